"""A model's folder that costs nothing: no weights that anything could load, and a tokenizer of whole words."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from rich.console import Console

from flame_ray.config.load import parse_config
from flame_ray.journal.journal import Journal
from flame_ray.journal.run_folder import RunFolder
from flame_ray.report.progress import Screen
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Sentence, Split
from tests.builders import (
    Facts,
    make_evaluation,
    make_fact_score,
    make_held_out,
    make_passage,
    make_prompt,
    make_response,
    make_scored,
    make_weights,
)
from tests.doubles import FakeMetrics, FakeStages

TEMPLATE = "{% for m in messages %}[BEGIN] {{ m['content'] }} {% endfor %}{% if add_generation_prompt %}[ANSWER]{% endif %}"


@pytest.fixture(autouse=True)
def computes_in_bfloat16(monkeypatch) -> None:
    """The same settings on every machine: `dtype: auto` depends on the CPU."""
    monkeypatch.setattr("flame_ray.config.model.cpu_dtype", lambda: "bfloat16")


@pytest.fixture(autouse=True)
def forgets_files_in_memory() -> Iterator[None]:
    """The filesystem in memory is one for all tests, and at each look goes through every file in it."""
    yield
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder that looks like a model's."""
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"max_position_embeddings": 64}))
    (path / "model.safetensors").write_bytes(make_weights(b"weights"))
    return path


@pytest.fixture
def add_tokenizer():
    """Writes a tokenizer into a folder: one token a word; the template adds two."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    def add(folder: Path, template: str | None = TEMPLATE) -> None:
        words = Tokenizer(WordLevel({"[UNK]": 0, "[BEGIN]": 1, "[ANSWER]": 2, "word": 3}, unk_token="[UNK]"))
        words.pre_tokenizer = WhitespaceSplit()
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]")
        tokenizer.chat_template = template
        tokenizer.save_pretrained(folder)

    return add


@pytest.fixture
def metrics() -> FakeMetrics:
    return FakeMetrics()


@pytest.fixture
def fake_stages() -> type[FakeStages]:
    """The class: a test makes as many as it has processes."""
    return FakeStages


@pytest.fixture
def finished_run(tmp_path, metrics) -> Callable[[list[Mapping[str, Facts]]], RunFolder]:
    """Makes the folder of a run `mine` that is complete: of each round, the facts of the answer to each held-out prompt."""
    from flame_ray.commands.run import _record

    def make(rounds: list[Mapping[str, Facts]], **sections) -> RunFolder:
        def evaluate(prompts_P, round):
            scored = [_answer(round, name, facts) for name, facts in rounds[round].items()]
            return make_held_out(*scored, evaluation=make_evaluation(round / 8, prompts=len(prompts_P)))

        run = RunFolder(Storage(tmp_path / "runs" / "mine"))
        config = parse_config({"run": {"rounds": len(rounds) - 1}} | sections, "here")
        run.create(config, {})
        journal = Journal(run, "mine", Screen(Console(file=io.StringIO())), metrics)
        held_out = [make_prompt(name, f"Where is {name}?", split=Split.HELDOUT) for name in rounds[0]]
        stages = journal.wrap(FakeStages().stages(evaluate=evaluate))
        _record(journal, config, stages, (make_prompt("train"), *held_out))
        return run

    return make


def _answer(round: int, prompt: str, facts: Facts | str | None):
    response = make_response(f"Answer {round}: {prompt} is here.", round=round, prompt=prompt)
    if facts is None or isinstance(facts, str):
        return make_scored(response, facts=facts)
    sentence = Sentence(f"{prompt} is here.", verifiable=True)
    passages = [make_passage(f"{prompt} lies there.", id=f"{prompt}/0", title=prompt)]
    return make_scored(response, facts=make_fact_score(*facts, id=response.id, passages=passages, sentences=[sentence]))
