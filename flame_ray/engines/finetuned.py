"""The small checker's model: the lower blocks of SmolLM2-135M, an adapter of ours on some of them, and a head of one logit.

In: pairs of claim and evidence. Out: a logit each, above 0 where the evidence supports the claim: read at the claim's last
token, after the evidence, where the middle of such a model knows best whether it has just read something that fits. The
trained tensors are one safetensors file in half precision, in the package or in a folder that `flame-ray train-checker`
wrote.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from flame_ray.config import ModelConfig
from flame_ray.engines.models import SMOLLM2, resolve_model
from flame_ray.errors import ModelError
from flame_ray.storage.atomic import sha256_of

WEIGHTS = "checker.safetensors"
SHIPPED = Path(__file__).parents[1] / "rewards" / "factuality" / "check" / "finetuned_weights"
DEPTH = 16  # blocks of the model that are kept, of its 30: the later ones turn to the next word
READ = (12, 16)  # blocks after which the head reads
ADAPTED = range(10, DEPTH)
RANK = 16
MODEL = (
    f"the lower {DEPTH} of {SMOLLM2}'s blocks, LoRA of rank {RANK} (alpha {2 * RANK}) on the last {len(ADAPTED)}, "
    f"read after blocks {READ}"
)
EVIDENCE_TOKENS, CLAIM_TOKENS = 320, 96
WORDS = 0.25  # weight of the lexical checker's logit before training


class Reader(nn.Module):
    """The blocks and their head. `forward` takes ids [D, T] padded on the right, lengths [D] and lexical logits [D]."""

    def __init__(self, blocks: Any, width: int):
        super().__init__()
        self.blocks, self.words = blocks, nn.Parameter(torch.tensor(WORDS))
        self.head = nn.Linear(len(READ) * width, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids_DT: Tensor, lengths_D: Tensor, words_D: Tensor) -> Tensor:
        """Logits [D]. No mask: what stands right of a token is not seen by it."""
        states = self.blocks(input_ids=ids_DT, use_cache=False, output_hidden_states=True).hidden_states
        rows = torch.arange(len(lengths_D))
        last = torch.stack([states[block][rows, lengths_D - 1].float() for block in READ], dim=1)
        scaled = last * torch.rsqrt(last.square().mean(-1, keepdim=True) + 1e-6)
        with torch.autocast("cpu", enabled=False):
            logits: Tensor = self.head(scaled.flatten(1))[:, 0] + self.words * words_D
        return logits


class SmallModel:
    """A `PairScorer` with one label, and `words`, the weight of the lexical logit beside its own. Raises ModelError."""

    labels = ("supported",)

    def __init__(self, folder: Path = SHIPPED, batch: int = 32):
        path = folder / WEIGHTS
        if not path.is_file():
            fix = "name the folder that flame-ray train-checker wrote, in factuality.checker_model"
            raise ModelError("the small checker's weights", f"nothing at {path}", fix)
        self._tokenizer, self._model = load_base()
        _load(self._model, path)
        self._model.blocks = self._model.blocks.merge_and_unload()
        self._batch, self.words = batch, self._model.words.item()
        self.name = sha256_of(path)[:16]

    def logits(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Float32 [N, 1], in the pairs' order, without the lexical part."""
        return score_pairs(self._model, self._tokenizer, pairs, batch=self._batch)[:, None]


def load_base(seed: int = 0) -> tuple[Any, Reader]:
    """The tokenizer, and the blocks with a new adapter, drawn by the seed, that changes nothing yet. Raises ModelError."""
    folder = resolve_model(SMOLLM2, ModelConfig(), "the small checker's base")
    disable_progress_bar()  # it takes half a second
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, use_safetensors=True).model
    model.layers, model.norm = model.layers[:DEPTH], nn.Identity()
    places = "|".join(map(str, ADAPTED))
    adapter = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=rf"layers\.(?:{places})\..*_proj")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoTokenizer.from_pretrained(folder), Reader(get_peft_model(model, adapter), model.config.hidden_size)


def trained_tensors(model: Reader) -> Iterator[tuple[str, Tensor]]:
    """The parameters that training moves, by name."""
    return ((name, each) for name, each in model.named_parameters() if ".lora_" in name or not name.startswith("blocks."))


def encode(tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> tuple[Tensor, Tensor]:
    """Ids [D, T] and lengths [D] of `Text: evidence, Statement: claim`; each is cut to its own number of tokens."""
    rows = [
        tokenizer(f"Text: {evidence}\nStatement:").input_ids[:EVIDENCE_TOKENS] + tokenizer(f" {claim}").input_ids[:CLAIM_TOKENS]
        for claim, evidence in pairs
    ]
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
    return ids, torch.tensor([len(row) for row in rows])


def score_pairs(
    model: Reader, tokenizer: Any, pairs: Sequence[tuple[str, str]], *, words: Sequence[float] = (), batch: int = 32
) -> np.ndarray:
    """Float32 [N]: a logit a pair; `words` [N] are lexical logits, none by default. Pairs of like length go together."""
    model.eval()
    scores = np.zeros(len(pairs), np.float32)
    beside = torch.tensor(words or [0.0] * len(pairs))
    order = sorted(range(len(pairs)), key=lambda index: sum(map(len, pairs[index])))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, len(order), batch):
            places = order[start : start + batch]
            logits = model(*encode(tokenizer, [pairs[index] for index in places]), beside[places])
            scores[places] = logits.float().numpy()
    return scores


def save(model: Reader, folder: Path) -> None:
    """The trained tensors in half precision, with what they fit."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: each.detach().to(torch.float16).contiguous() for name, each in trained_tensors(model)}
    save_file(tensors, folder / WEIGHTS, {"model": MODEL})


def _load(model: Reader, path: Path) -> None:
    try:
        with safe_open(path, "pt") as file:
            names, about = file.keys(), (file.metadata() or {}).get("model")
            found = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ModelError("the small checker's weights", f"{path}: {error}", "install flame-ray again, or train one") from error
    if about != MODEL:
        raise ModelError(
            f"weights for {MODEL}", f"some for {about or 'a model that is not named'} in {path}", "train them again"
        )
    wanted = dict(trained_tensors(model))
    if {name: each.shape for name, each in found.items()} != {name: each.shape for name, each in wanted.items()}:
        raise ModelError("weights of the small checker's adapter and head", f"other tensors in {path}", "train it again")
    with torch.no_grad():
        for name, each in wanted.items():
            each.copy_(found[name].float())
