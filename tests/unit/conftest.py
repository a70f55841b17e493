"""A model's folder that costs nothing: no weights that anything could load, and a tokenizer of whole words."""

import json
from pathlib import Path

import pytest

from tests.doubles import FakeMetrics, FakeStages

TEMPLATE = "{% for m in messages %}[BEGIN] {{ m['content'] }} {% endfor %}{% if add_generation_prompt %}[ANSWER]{% endif %}"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder that looks like a model's."""
    path = tmp_path / "model"
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"max_position_embeddings": 64}))
    (path / "model.safetensors").write_bytes(b"weights")
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
