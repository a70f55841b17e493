"""Runs the fine-tuned checker's model: the lower blocks of SmolLM2-135M, LoRA on some of them, and a head of one logit.

The logit of a claim and its evidence is above 0 if the evidence supports the claim. The model reads the evidence, then the
claim; the head reads the states of the claim's last token in the middle of the model, where they know best whether the claim
fits what came before. `flame-ray train-checker` writes the trained tensors as one safetensors file in half precision.
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
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from flame_ray.config import ModelConfig
from flame_ray.config.model import cpu_dtype
from flame_ray.engines.models import CHECKER_WEIGHTS, SMOLLM2, resolve_model
from flame_ray.errors import ModelError
from flame_ray.storage.atomic import sha256_of

DEPTH = 16  # of the model's 30 blocks, those that are kept: the later ones specialize in the next token
READ_AFTER = (12, 16)  # blocks whose output the head reads
ADAPTED = range(10, DEPTH)  # blocks with an adapter
RANK = 16
EVIDENCE_TOKENS, CLAIM_TOKENS = 320, 96
LEXICAL_WEIGHT = 0.25  # of the lexical checker's logit, before training
DTYPE: torch.dtype = getattr(torch, cpu_dtype())


def model_description(adapted: range) -> str:
    """What a file of weights says of the model that it fits."""
    return (
        f"the lower {DEPTH} of {SMOLLM2}'s blocks, LoRA of rank {RANK} (alpha {2 * RANK}) on the last {len(adapted)}, "
        f"read after blocks {READ_AFTER}"
    )


MODEL = model_description(ADAPTED)


class PairClassifier(nn.Module):
    """The blocks and the head. `words` is the weight of the lexical logit: a stored tensor has this name."""

    def __init__(self, blocks: Any, width: int):
        super().__init__()
        self.blocks, self.words = blocks, nn.Parameter(torch.tensor(LEXICAL_WEIGHT))
        self.head = nn.Linear(len(READ_AFTER) * width, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, ids_DT: Tensor, lengths_D: Tensor, lexical_D: Tensor) -> Tensor:
        """Logits [D] of ids [D, T], padded on the right, with lengths [D] and lexical logits [D].

        There is no mask, because a token does not see what is to its right.
        """
        states = self.blocks(input_ids=ids_DT, use_cache=False, output_hidden_states=True).hidden_states
        rows = torch.arange(len(lengths_D))
        last = torch.stack([states[block][rows, lengths_D - 1].float() for block in READ_AFTER], dim=1)
        scaled = last * torch.rsqrt(last.square().mean(-1, keepdim=True) + 1e-6)
        with torch.autocast("cpu", enabled=False):
            logits: Tensor = self.head(scaled.flatten(1))[:, 0] + self.words * lexical_D
        return logits


class FinetunedModel:
    """A `PairScorer` with one label, whose weights are in `folder`; `name` identifies them. Raises ModelError.

    `lexical_weight` is the weight of the lexical logit beside the model's own.
    """

    labels = ("supported",)

    def __init__(self, folder: Path):
        path = folder / CHECKER_WEIGHTS
        if not path.is_file():
            fix = "set factuality.checker_model to the folder that flame-ray train-checker wrote"
            raise ModelError("weights of the fine-tuned checker", f"nothing at {path}", fix)
        self._tokenizer, self._model = load_base()
        _load(self._model, path)
        self._model.blocks = self._model.blocks.merge_and_unload()
        self.lexical_weight = self._model.words.item()
        self.name = sha256_of(path)[:16]

    def logits(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        """Float32 [N, 1] for N pairs of claim and evidence, in their order, without the lexical part."""
        return score_pairs(self._model, self._tokenizer, pairs)[:, None]


def load_base(seed: int = 0, adapted: range = ADAPTED) -> tuple[Any, PairClassifier]:
    """The tokenizer, and the model with a new adapter that the seed draws and that changes nothing yet. Raises ModelError.

    `adapted` are the blocks with an adapter.
    """
    folder = resolve_model(SMOLLM2, ModelConfig(), "the fine-tuned checker's base model")
    disable_progress_bar()  # loading takes half a second
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=DTYPE, use_safetensors=True).model
    model.layers, model.norm, model.config.num_hidden_layers = model.layers[:DEPTH], nn.Identity(), DEPTH
    places = "|".join(map(str, adapted))
    adapter = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=rf"layers\.(?:{places})\..*_proj")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoTokenizer.from_pretrained(folder), PairClassifier(get_peft_model(model, adapter), model.config.hidden_size)


def short_floats() -> torch.autocast:
    """Within it, matrix products are in bfloat16 where the CPU has instructions for it."""
    return torch.autocast("cpu", torch.bfloat16, enabled=DTYPE is torch.bfloat16)


def trained_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters that training changes, by name: of a model's adapter, and all that are not of its `blocks`."""
    return ((name, each) for name, each in model.named_parameters() if ".lora_" in name or not name.startswith("blocks."))


def encode(tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> tuple[Tensor, Tensor]:
    """Ids [D, T] and lengths [D] of `Text: <evidence>, Statement: <claim>`, each truncated to its own limit."""
    ids = [
        tokenizer(f"Text: {evidence}\nStatement:").input_ids[:EVIDENCE_TOKENS] + tokenizer(f" {claim}").input_ids[:CLAIM_TOKENS]
        for claim, evidence in pairs
    ]
    return pad_sequence([torch.tensor(each) for each in ids], batch_first=True), torch.tensor([len(each) for each in ids])


def score_pairs(model: PairClassifier, tokenizer: Any, pairs: Sequence[tuple[str, str]], batch: int = 32) -> np.ndarray:
    """Logits without the lexical part, float32 [N]. A batch has pairs of similar length."""
    model.eval()
    scores = np.zeros(len(pairs), np.float32)
    order = sorted(range(len(pairs)), key=lambda index: sum(map(len, pairs[index])))
    with torch.inference_mode(), short_floats():
        for start in range(0, len(order), batch):
            places = order[start : start + batch]
            logits = model(*encode(tokenizer, [pairs[index] for index in places]), torch.zeros(len(places)))
            scores[places] = logits.float().numpy()
    return scores


def save(model: PairClassifier, folder: Path) -> None:
    """Writes the trained tensors in half precision, with a description of the model that they fit."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: each.detach().to(torch.float16).contiguous() for name, each in trained_tensors(model)}
    save_file(tensors, folder / CHECKER_WEIGHTS, {"model": MODEL})


def _load(model: PairClassifier, path: Path) -> None:
    load_tensors(dict(trained_tensors(model)), path, MODEL)


def load_tensors(wanted: dict[str, Tensor], path: Path, model: str) -> None:
    """Copies a file's tensors into `wanted`. Raises ModelError if they are damaged, of another model, or others."""
    try:
        with safe_open(path, "pt") as file:
            names, about = file.keys(), (file.metadata() or {}).get("model")
            found = {name: file.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ModelError(
            "weights of the fine-tuned checker", f"{path}: {error}", "install flame-ray again, or train it"
        ) from error
    if about != model:
        raise ModelError(f"weights for {model}", f"weights for {about or 'an unnamed model'} in {path}", "train them again")
    if {name: each.shape for name, each in found.items()} != {name: each.shape for name, each in wanted.items()}:
        raise ModelError("tensors of the fine-tuned checker's adapter and head", f"other tensors in {path}", "train it again")
    with torch.no_grad():
        for name, each in wanted.items():
            each.copy_(found[name].float())
