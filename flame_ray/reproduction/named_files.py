"""What is in the files of this machine that settings name: their paths say nothing of it."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from flame_ray.config import Config
from flame_ray.config.prompts import PromptSource
from flame_ray.config.sft import DemonstrationSource
from flame_ray.engines.embedder import MINILM
from flame_ray.engines.models import SMOLLM2
from flame_ray.evaluation.suites.alpaca import QUESTIONS
from flame_ray.prompts import demonstrations, load
from flame_ray.reproduction.tables import AGREEMENT
from flame_ray.storage.atomic import sha256_of, storage_errors

READ_BYTES = 64 * 2**20  # a larger file is known by its size and time of writing, as those of models and corpora are elsewhere
BUILT_IN = {*load.BUILT_IN, demonstrations.BUILT_IN, QUESTIONS, SMOLLM2, MINILM, "plain"}


def contents(config: Config, suite: str | None = None) -> dict[str, str]:
    """By their settings, a digest of each file or folder that is named and is here. Raises StorageError.

    `suite`: the suite that is asked, or `agreement`; the data of others has no say.
    """
    found: dict[str, str] = {}
    for setting, name in _named(config, suite):
        if name and name not in BUILT_IN:
            path = Path(name).expanduser()
            with storage_errors(path, "read", setting):
                found |= {setting: _digest(path)} if path.exists() else {}
    return found


def _named(config: Config, suite: str | None) -> Iterator[tuple[str, str | None]]:
    """Settings that may name a file, with their values. All suites of one kind of data share its setting."""
    data = "labelled" if suite == AGREEMENT else suite.partition("-")[0] if suite else ""
    yield f"suites.{data}", getattr(config.suites, data, None)
    model, factuality, judge = config.model, config.factuality, config.judge
    yield from (("model.policy", model.policy), ("model.chat_template", model.chat_template))
    yield from (("judge.model", judge.model), ("judge.preferences", judge.preferences), ("pairs.file", config.pairs.file))
    for name in ("corpus", "embedder", "reranker", "checker_model"):
        yield f"factuality.{name}", getattr(factuality, name)
    yield from (("classify.embedder", config.classify.embedder), ("sft.elicit.embedder", config.sft.elicit.embedder))
    yield from _sources("prompts.sources", config.prompts.sources)
    yield from _sources("sft.sources", config.sft.sources)
    yield from _sources("classify.labels", config.classify.labels)
    yield from _sources("factuality.sentence_labels", factuality.sentence_labels)


def _sources(setting: str, sources: Iterable[PromptSource | DemonstrationSource]) -> Iterator[tuple[str, str]]:
    return ((f"{setting}.{at}", each.source) for at, each in enumerate(sources))


def _digest(path: Path) -> str:
    """Of a folder, by the names and contents of all files in it and below."""
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    listing = "\n".join(f"{each.relative_to(path)} {_content(each)}" for each in files)
    return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _content(path: Path) -> str:
    status = path.stat()
    return _read_once(path, status.st_size, status.st_mtime_ns, status.st_ino)


@cache
def _read_once(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    return f"{size} {mtime_ns}" if size > READ_BYTES else sha256_of(path)
