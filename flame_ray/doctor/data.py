"""Whether the prompts and the corpus are there, and can be read as the run will read them.

In: settings. Out: checks, and the corpus's size. A data set of the hub is looked for, not fetched.
"""

from pathlib import Path

from flame_ray.config import Config
from flame_ray.doctor.checks import Check, Level, in_units, refused
from flame_ray.doctor.hub import find_data_set
from flame_ray.errors import DataError
from flame_ray.prompts.load import BUILT_IN, load_prompts
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.types import Split

SMALL_CORPUS = 64 * 2**20  # bytes that are read here as the run would read them
FILES = {".jsonl", ".parquet", ".json", ".csv", ".tsv", ".txt", ".whl"}  # endings by which a source is a file


def find_prompts(config: Config) -> list[Check]:
    """As the run loads them; a data set of the hub is only looked for."""
    sources = [source.source for source in config.prompts.sources]
    remote = [name for name in sources if _is_remote(name, tuple(BUILT_IN))]
    if remote:
        return [find_data_set(f"prompts {name}", name) for name in remote]
    try:
        prompts = load_prompts(config.prompts)
    except DataError as error:
        return [refused("prompts", error)]
    held_out = sum(prompt.split is Split.HELDOUT for prompt in prompts)
    found = f"{len(prompts) - held_out} for training, {held_out} held out"
    return [Check(Level.OK, "prompts", f"prompts in {', '.join(sources)}", found)]


def find_corpus(config: Config) -> tuple[Check, int]:
    """And its size in bytes. A large file is not read here."""
    source, path = config.factuality.corpus, Path(config.factuality.corpus)
    if _is_remote(source, ("factbook",)):
        return find_data_set("corpus", source), 0
    size = sum(file.stat().st_size for file in (path, *path.rglob("*")) if file.is_file())
    if size > SMALL_CORPUS:
        fix = "check its columns (factuality.title_column, text_column) before a long run"
        return Check(Level.WARNING, "corpus", f"passages in {source}", f"{in_units(size)}, too large to read here", fix), size
    try:
        passages = load_corpus(source, config.factuality.title_column, config.factuality.text_column)
    except DataError as error:
        return refused("corpus", error), size
    bytes_ = size or sum(len(passage.text) for passage in passages)
    return Check(Level.OK, "corpus", f"passages in {source}", f"{len(passages)} passages, {in_units(bytes_)}"), bytes_


def _is_remote(name: str, built_in: tuple[str, ...]) -> bool:
    """Neither built in nor a file, nor anything that is there: then it is the name of a `datasets` set."""
    path = Path(name).expanduser()
    return name not in built_in and path.suffix not in FILES and not path.exists()
