"""Trains the model that reads records, on people's labels of what a policy says and on statements made from the records.

A step reads one record and up to MOST_TOGETHER statements about it. The loss is logistic, for `supported` and, with less
weight, for `contradicted` and for `says_nothing`. In sum, people's labels `supported` and their other ones weigh the same.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from flame_ray.config.reward_training import RecordTrainingConfig
from flame_ray.engines.finetuned import short_floats, trained_tensors
from flame_ray.engines.models import CHECKER_WEIGHTS
from flame_ray.engines.prefix_reader import MOST_TOGETHER, PrefixClassifier, load_reader
from flame_ray.engines.record_reader import RECORDS, encode
from flame_ray.errors import DataError
from flame_ray.reward_training.record_statements import country_of, record_statements
from flame_ray.reward_training.training import Advance, Pace, adapter_optimizer, descend
from flame_ray.rewards.factuality.check.records import Record, record_for
from flame_ray.rewards.factuality.retrieve.titles import words_of
from flame_ray.seeds import derived_seed
from flame_ray.storage.jsonl import read_jsonl
from flame_ray.types import Claim, Fact, Passage, VerdictLabel

WARM_UP = 20  # steps of records
TOGETHER = 2  # records of an optimizer step
HEAD_RATE = 5  # times the learning rate of the adapter
CONTRADICTED_WEIGHT, SAYS_NOTHING_WEIGHT = 0.3, 0.3
LABELS = (VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND)  # those that readers give
KEPT = 0.99  # of the true facts, as those that say something
SIZE = 20  # the sum over a record's statements is divided by this


@dataclass(frozen=True, slots=True)
class Judged:
    """A statement about a title with its label. `made`: it was made from the record, and no policy said it."""

    text: str
    label: VerdictLabel
    made: bool = False
    says_nothing: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """A record, its passages, and the statements about it."""

    record: Record
    passages_K: tuple[Passage, ...]
    statements: tuple[Judged, ...]


def labelled_subjects(paths: Sequence[Path], passages: Sequence[Passage]) -> list[Subject]:
    """The labelled facts of JSONL files by the title that their prompt names. Raises DataError, naming the line.

    Columns `claim`, `prompt`, `label` (supported, contradicted or not_found), and optionally `says_nothing` (true or false).
    """
    by_title: dict[str, list[Passage]] = defaultdict(list)
    for passage in passages:
        by_title[passage.title].append(passage)
    judged: dict[str, list[Judged]] = defaultdict(list)
    for path in paths:
        for row in read_jsonl(path):
            prompt, label = row.text("prompt"), row.text("label")
            if label not in LABELS:
                raise row.unusable("`label` to be supported, contradicted or not_found", label)
            title = _named(prompt, by_title)
            if title is None:
                raise row.unusable("`prompt` to name a title of the corpus", prompt)
            judged[title].append(
                Judged(row.text("claim"), VerdictLabel(label), says_nothing=row.columns.get("says_nothing") is True)
            )
    return [_subject(title, tuple(by_title[title]), statements) for title, statements in sorted(judged.items())]


def _named(prompt: str, titles: Iterable[str]) -> str | None:
    """The longest title whose words, without an article, stand in the prompt.

    >>> _named("Where is Nigeria?", ["Niger", "Nigeria"]), _named("Where are the Bahamas?", ["The Bahamas"])
    ('Nigeria', 'The Bahamas')
    """
    words = f" {' '.join(words_of(prompt))} "
    found = [title for title in titles if title and f" {_key(title)} " in words]
    return max(found, key=lambda title: len(_key(title)), default=None)


@cache
def _key(title: str) -> str:
    return " ".join(words_of(title.removeprefix("The ")))


def _subject(title: str, passages_K: tuple[Passage, ...], statements: Sequence[Judged]) -> Subject:
    record = record_for(Claim(Fact(title, 0), passages_K))
    if record is None:
        raise DataError("records, lines `Field: value` under a title", f"prose under {title!r}", "name a corpus of records")
    return Subject(record, passages_K, tuple(statements))


def split_subjects(subjects: Sequence[Subject], aside: float, seed: int) -> tuple[list[Subject], list[Subject]]:
    """Training subjects, and a share `aside` of all that is held out: no title is in both."""
    shuffled = random.Random(derived_seed(seed, "split")).sample(subjects, len(subjects))
    held = round(aside * len(shuffled))
    return shuffled[held:], shuffled[:held]


def with_made_statements(subjects: Sequence[Subject], count: int, seed: int) -> list[Subject]:
    """Each subject with about `count` more statements, made from its record and the other subjects' records."""
    draw = random.Random(derived_seed(seed, "statements"))
    countries = [country_of(each.record) for each in subjects]
    made = []
    for subject, country in zip(subjects, countries, strict=True):
        others = [each for each in countries if each is not country]
        new = record_statements(country, others, count, draw)
        labels = {True: VerdictLabel.SUPPORTED, False: VerdictLabel.CONTRADICTED}
        statements = (*subject.statements, *(Judged(text, labels[true], made=True) for text, true in new))
        made.append(Subject(subject.record, subject.passages_K, statements))
    return made


def train_reader(
    subjects: Sequence[Subject], config: RecordTrainingConfig, start: Path, seed: int, advance: Advance
) -> tuple[Any, PrefixClassifier]:
    """The tokenizer, and a reader trained from the weights of the prose model in `start`.

    Raises EngineError if the loss is not finite.
    """
    torch.manual_seed(derived_seed(seed, "training"))
    tokenizer, model = load_reader(RECORDS, derived_seed(seed, "adapter"))
    start_from(model, start / CHECKER_WEIGHTS)
    weight = _weights(subjects, config.made_weight)
    steps = [step for epoch in range(config.epochs) for step in _steps(subjects, derived_seed(seed, "order", epoch))]
    optimizer = adapter_optimizer(model, dict(trained_tensors(model)), config.lr, HEAD_RATE)
    model.train()

    def losses(step: tuple[Record, Sequence[Judged]]) -> Iterable[Tensor]:
        record, statements = step
        with short_floats():
            logits_N3 = model(*encode(tokenizer, record.text, [record.statement(each.text) for each in statements])).float()
        yield _loss(logits_N3, statements, torch.tensor([weight(each) for each in statements]))

    descend(optimizer, steps, losses, Pace(WARM_UP, "train_checker.records.lr", TOGETHER), advance)
    return tokenizer, model


def set_thresholds(model: PrefixClassifier, tokenizer: Any, held_out: Sequence[Subject], specificity: float) -> None:
    """Moves the head's biases, so that these shares of the held-out statements have a logit below 0: `specificity` of those
    that are not supported, for `supported`, and KEPT of the others, for `says_nothing`.
    """
    found: list[tuple[bool, float, float]] = []
    model.eval()
    with torch.inference_mode(), short_floats():
        for subject in held_out:
            for start in range(0, len(subject.statements), MOST_TOGETHER):
                part = subject.statements[start : start + MOST_TOGETHER]
                ids = encode(tokenizer, subject.record.text, [subject.record.statement(each.text) for each in part])
                supported, _, says_nothing = model(*ids).float().T.tolist()
                found += zip((each.label is VerdictLabel.SUPPORTED for each in part), supported, says_nothing, strict=True)
    refused = torch.tensor([supported for is_true, supported, _ in found if not is_true])
    told = torch.tensor([says_nothing for is_true, _, says_nothing in found if is_true])
    with torch.no_grad():
        model.head.bias[0] -= refused.quantile(specificity)
        model.head.bias[2] -= told.quantile(KEPT)


def start_from(model: PrefixClassifier, path: Path) -> None:
    """Copies the adapter of the prose model, on the blocks where it has one, and its head, as the head for `supported`."""
    wanted = dict(trained_tensors(model))
    with safe_open(path, "pt") as file, torch.no_grad():
        for name in wanted.keys() & set(file.keys()):
            if name.startswith("blocks."):
                wanted[name].copy_(file.get_tensor(name).float())
        model.head.weight[0] = file.get_tensor("head.weight")[0].float()
        model.head.bias[0] = file.get_tensor("head.bias")[0].float()


def _steps(subjects: Sequence[Subject], seed: int) -> list[tuple[Record, list[Judged]]]:
    """One epoch: the statements of a subject in equal parts of at most MOST_TOGETHER, in random order."""
    draw = random.Random(seed)
    steps = []
    for subject in subjects:
        shuffled = draw.sample(subject.statements, len(subject.statements))
        parts = -(-len(shuffled) // MOST_TOGETHER)
        steps += [(subject.record, shuffled[part::parts]) for part in range(parts)]
    return draw.sample(steps, len(steps))


def _weights(subjects: Sequence[Subject], made_weight: float) -> Callable[[Judged], float]:
    """Of people's labels, the supported and the other ones have the same sum."""
    labels = [each.label == VerdictLabel.SUPPORTED for subject in subjects for each in subject.statements if not each.made]
    share = {key: len(list(group)) / len(labels) for key, group in groupby(sorted(labels))}
    return lambda each: made_weight if each.made else 0.5 / share[each.label == VerdictLabel.SUPPORTED]


def _loss(logits_N3: Tensor, statements: Sequence[Judged], weights_N: Tensor) -> Tensor:
    targets_N3 = torch.tensor(
        [
            (each.label == VerdictLabel.SUPPORTED, each.label == VerdictLabel.CONTRADICTED, each.says_nothing)
            for each in statements
        ]
    ).float()
    losses_N3 = binary_cross_entropy_with_logits(logits_N3, targets_N3, reduction="none")
    made_N = torch.tensor([each.made for each in statements])
    plain_N = torch.where(made_N, weights_N, torch.ones_like(weights_N))
    others_N = losses_N3[:, 1:] @ torch.tensor([CONTRADICTED_WEIGHT, SAYS_NOTHING_WEIGHT])
    return (weights_N * losses_N3[:, 0] + plain_N * others_N).sum() / SIZE
