"""A tiny random Llama, and learners of it that cost no process each."""

import gc
import random
from dataclasses import replace
from pathlib import Path

import pytest
import ray
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from flame_ray.config import LearnerConfig, LoraConfig
from flame_ray.engines.models import reference
from flame_ray.engines.weight_chunks import to_tensors
from flame_ray.learner.data import Example, pair_examples
from flame_ray.learner.group import LearnerGroup
from tests.builders import make_pair, make_response

VOCAB = 97  # words that occur
SEED = 3
BASE = {
    "batch_pairs": 4,
    "micro_batch_pairs": 4,
    "dtype": "float32",
    "zero_stage": 0,
    "lr": 1e-3,
    "lr_final": 1e-4,
    "threads": 1,
    "lora": LoraConfig(r=3, alpha=6),  # with the odd width below: factors that do not divide over two ranks
}
SHAPE = {
    "vocab_size": 3200,  # so that ZeRO-3 splits the embeddings: up to 100,000 numbers it leaves whole
    "hidden_size": 32,
    "intermediate_size": 63,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


@pytest.fixture(scope="module")
def cluster(local_ray):
    """The Ray that groups start on; a file may have another."""
    return local_ray


@pytest.fixture(scope="session")
def model_path(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("tiny")
    torch.manual_seed(0)
    LlamaForCausalLM(LlamaConfig(initializer_range=0.2, tie_word_embeddings=True, **SHAPE)).save_pretrained(path)
    words = {f"w{number}": number for number in range(VOCAB)}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(words, unk_token="w0")), eos_token="w1")
    tokenizer.chat_template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    tokenizer.save_pretrained(path)
    return str(path)


@pytest.fixture(scope="session")
def make_examples():
    def make(count, seed=0) -> tuple[Example, ...]:
        rnd = random.Random(seed)

        def response(number, index, prompt):
            ids = tuple(rnd.randrange(2, VOCAB) for _ in range(rnd.randrange(1, 12)))
            return make_response(prompt=f"prompt-{number}", index=index, prompt_tokens=prompt, tokens=ids)

        def pair(number):
            prompt = tuple(rnd.randrange(2, VOCAB) for _ in range(rnd.randrange(2, 9)))
            return make_pair(response(number, 0, prompt), response(number, 1, prompt))

        return pair_examples([pair(number) for number in range(count)])

    return make


def start_group(model_path: str, name: str, resume_from: Path | None = None, **settings) -> LearnerGroup:
    """As a run does, in processes of its own."""
    config = LearnerConfig(**{**BASE, **settings})
    return LearnerGroup.start(reference(model_path), config, SEED, {"name": name, "num_cpus": 0.1}, resume_from=resume_from)


@pytest.fixture(scope="module")
def start(cluster, model_path):
    """Starts groups, which end with the file."""
    groups = []

    def make(resume_from: Path | None = None, name: str | None = None, **settings) -> LearnerGroup:
        groups.append(start_group(model_path, name or f"learner-{len(groups)}", resume_from, **settings))
        return groups[-1]

    yield make
    for group in groups:
        group.stop()


def leave_out_of_garbage_collection(group: LearnerGroup) -> None:
    """All that exists in its processes: most is the packages' own, and DeepSpeed looks through it whenever it starts."""
    ray.get([actor.__ray_call__.remote(lambda rank: gc.freeze()) for actor in group.actors], timeout=120)


class Standing:
    """Makes a group anew inside the processes of one with as many ranks, which is of no use from then on: a tenth of a start.

    The processes start with the first such group and end with Ray, or when they are stopped.
    """

    def __init__(self, model_path: str):
        self._model, self._groups = model_path, dict[int, LearnerGroup]()

    def __call__(self, resume_from: Path | None = None, **settings) -> LearnerGroup:
        config = LearnerConfig(**{**BASE, **settings})
        ranks = config.workers
        if ranks not in self._groups:
            self._groups[ranks] = start_group(self._model, f"standing-{ranks}", resume_from, **settings)
            leave_out_of_garbage_collection(self._groups[ranks])
            return self._groups[ranks]
        group, model = self._groups[ranks], reference(self._model)

        def renew(actor, rank):
            actor.__init__(model, config, rank, SEED)
            actor.connect("", resume_from=resume_from)

        ray.get([actor.__ray_call__.remote(renew, rank) for rank, actor in enumerate(group.actors)], timeout=120)
        return replace(group, checkpoint_steps=config.checkpoint_steps)

    def stop(self, group: LearnerGroup) -> None:
        """End its processes. The next group with as many ranks starts others, of the same names."""
        group.stop()
        self._groups.pop(len(group.actors), None)


@pytest.fixture(scope="session")
def learner(local_ray, model_path) -> Standing:
    return Standing(model_path)


@pytest.fixture(scope="session")
def weights():
    """The merged weights of a group, by name."""

    def merged(group: LearnerGroup) -> dict[str, torch.Tensor]:
        chunks = ray.get(list(group.export()), timeout=120)
        return {name: value.clone() for chunk in chunks for name, value in to_tensors(chunk)}

    return merged
