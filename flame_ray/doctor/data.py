"""Checks that the prompts and the corpus are there and can be read. A data set on the hub is looked up, not downloaded."""

from collections import Counter
from pathlib import Path

from flame_ray.config import Config
from flame_ray.doctor.checks import HUB_TIMEOUT_S, Check, Level, in_units, refused, unreached
from flame_ray.doctor.models import at_hand
from flame_ray.elicitation.prompts import check_seeds
from flame_ray.engines.chat import ChatTokenizer
from flame_ray.engines.models import prompt_lengths
from flame_ray.errors import DataError, ModelError
from flame_ray.prompts.decide import check_labels
from flame_ray.prompts.demonstrations import BUILT_IN as SEEDS
from flame_ray.prompts.demonstrations import load_demonstrations
from flame_ray.prompts.embedding_classifier import check_classifier
from flame_ray.prompts.given_pairs import read_given_pairs
from flame_ray.prompts.lengths import check_classification, fitting
from flame_ray.prompts.load import BUILT_IN, check_development, load_prompts
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.rewards.factuality.corpus.files import parse_name
from flame_ray.types import Split

SMALL_CORPUS = 64 * 2**20  # bytes; a larger corpus is not read here
FILE_SUFFIXES = {".jsonl", ".parquet", ".json", ".csv", ".tsv", ".txt", ".whl"}


def find_prompts(config: Config) -> list[Check]:
    """Load the prompts as the run will, or look up the data sets that are on the hub.

    Their length is checked if the model is on this machine.
    """
    sources = [source.source for source in config.prompts.sources]
    labels = [source.source for source in config.classify.labels if config.classify.by == "embedding"]
    remote = [name for name in (*sources, *labels) if _is_remote(name, tuple(BUILT_IN))]
    if remote:
        return [find_data_set(f"prompts {name}", name) for name in remote]
    policy = at_hand(config.model.policy, config.model)
    try:
        check_classifier(config.classify)
        loaded = load_prompts(config.prompts)
        check_labels(config.classify, loaded.prompts)
        loaded = fitting(loaded, policy, config) if policy else loaded
        check_development(loaded.prompts, config.run)
        if config.classify.by == "model" and (judge := at_hand(config.judge.model or config.model.policy, config.model)):
            check_classification(judge, config)
    except (DataError, ModelError) as error:
        return [refused("prompts", error)]
    counts = Counter(prompt.split for prompt in loaded.prompts)
    development = f"{counts[Split.DEV]} for development, " if counts[Split.DEV] else ""
    found = f"{counts[Split.TRAIN]} for training, {development}{counts[Split.HELDOUT]} held out"
    found += "".join(f"; {count} {reason}" for reason, count in loaded.left_out.items())
    found += "" if policy else "; their length is not checked, as the model is not on this machine yet"
    return [Check(Level.OK, "prompts", f"prompts in {', '.join(sources)}", found)]


def find_demonstrations(config: Config) -> Check:
    """Read the demonstrations as `flame-ray sft` will, or look up the first data set that is on the hub."""
    sources = [source.source for source in config.sft.sources]
    if remote := [name for name in sources if _is_remote(name, (SEEDS,))]:
        return find_data_set(f"demonstrations {remote[0]}", remote[0])
    try:
        check_classifier(config.classify)
        found = load_demonstrations(config.sft.sources)
        check_seeds(config, found.demonstrations)
    except DataError as error:
        return refused("demonstrations", error)
    left_out = "".join(f"; {count} left out: {reason}" for reason, count in found.left_out.items())
    return Check(
        Level.OK, "demonstrations", f"answers to learn from in {', '.join(sources)}", f"{len(found.demonstrations)}{left_out}"
    )


def longest_demonstration(config: Config) -> tuple[int, int] | None:
    """Of `flame-ray sft`, the tokens of the longest instruction, and of the longest answer, also of the model's own.

    None where that cannot be known.
    """
    policy = at_hand(config.model.policy, config.model)
    if policy is None or any(_is_remote(source.source, (SEEDS,)) for source in config.sft.sources):
        return None
    try:
        found, chat = load_demonstrations(config.sft.sources).demonstrations, ChatTokenizer(policy, config.model)
    except (DataError, ModelError):
        return None
    own = config.sft.elicit.max_tokens if config.sft.elicits else 0
    prompt = max(len(chat.prompt(each.prompt.text)) for each in found)
    return prompt, max(own, *(len(chat.answer(each.answer)) for each in found))


def find_given_pairs(config: Config) -> list[Check]:
    """Read the pairs of `pairs.file` as the run will, if the settings name one, or look up the data set on the hub."""
    name = config.pairs.file
    if name is None:
        return []
    if _is_remote(name, ()):
        return [find_data_set(f"pairs {name}", name)]
    try:
        found = read_given_pairs(name, by_factuality=config.learner.loss_kind.compares_factuality)
    except DataError as error:
        return [refused("pairs.file", error)]
    left_out = "".join(f"; {count} left out: {reason}" for reason, count in found.left_out.items())
    return [Check(Level.OK, "pairs.file", f"preference pairs in {name}", f"{len(found.pairs_D)}{left_out}")]


def longest_prompt(config: Config) -> int | None:
    """The length of the longest prompt, in tokens; None where that cannot be known: `find_prompts` says why.

    The pairs of a file may be of any length.
    """
    policy = at_hand(config.model.policy, config.model)
    if (
        config.pairs.file
        or policy is None
        or any(_is_remote(source.source, tuple(BUILT_IN)) for source in config.prompts.sources)
    ):
        return None
    try:
        prompts = fitting(load_prompts(config.prompts), policy, config).prompts
        return max((length for _, length in prompt_lengths(policy, prompts, config.model)), default=None)
    except (DataError, ModelError):
        return None


def find_corpus(config: Config) -> tuple[Check, int]:
    """The check, and the corpus's size in bytes."""
    source, path = config.factuality.corpus, Path(config.factuality.corpus)
    if _is_remote(source, ("factbook",)):
        name = parse_name(source)
        return find_data_set("corpus", name.path, name.revision), 0
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


def find_data_set(name: str, source: str, revision: str | None = None) -> Check:
    from huggingface_hub import HfApi

    try:
        HfApi().dataset_info(source, revision=revision, timeout=HUB_TIMEOUT_S)
    except Exception as error:  # the hub's client raises the errors of several HTTP libraries
        return unreached(name, source, error)
    found = "on the hub; its columns are checked when the run loads it"
    return Check(Level.OK, name, f"the data set {source}", found)


def _is_remote(name: str, built_in: tuple[str, ...]) -> bool:
    """A source that is neither built in nor a file is the name of a data set on the hub."""
    path = Path(name).expanduser()
    return name not in built_in and path.suffix not in FILE_SUFFIXES and not path.exists()
