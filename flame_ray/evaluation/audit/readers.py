"""How well two readers agree on the facts that both labelled."""

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

from flame_ray.evaluation.audit.labels import FLAGS, Reader

COLUMNS = ("label", "supported", *FLAGS)


@dataclass(frozen=True, slots=True)
class ReaderAgreement:
    """The agreement of two readers on one column: the share of `n` facts on which they say the same, and Cohen's kappa.

    `kappa` is None where it does not exist: if there is no such fact, or if both say one and the same throughout.
    """

    readers: tuple[str, str]
    column: str
    share: float | None
    kappa: float | None
    n: int


def agreements(readers: Sequence[Reader]) -> list[ReaderAgreement]:
    """Of each two readers, on every column that one of the facts has from both, and on the label in any case."""
    found = (_agreement(one, other, column) for one, other in combinations(readers, 2) for column in COLUMNS)
    return [each for each in found if each.n or each.column == "label"]


def _agreement(one: Reader, other: Reader, column: str) -> ReaderAgreement:
    both = [(answer, other.answers[id]) for id, answer in one.answers.items() if id in other.answers]
    values = [(getattr(a, column), getattr(b, column)) for a, b in both]
    known = [(a, b) for a, b in values if a is not None and b is not None]
    share = sum(a == b for a, b in known) / len(known) if known else None
    return ReaderAgreement((one.name, other.name), column, share, kappa(known), len(known))


def kappa(pairs: Sequence[tuple[Hashable, Hashable]]) -> float | None:
    """Cohen's kappa (Cohen 1960): the share of agreement beyond what two readers with these habits would have by chance.

        kappa = (p_o - p_e) / (1 - p_e),  p_e = sum over labels of p_first(label) * p_second(label)

    >>> kappa([("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15).__round__(3)
    0.4
    """
    if not pairs:
        return None
    n = len(pairs)
    first, second = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    chance = sum(first[label] * second[label] for label in first) / n**2
    observed = sum(a == b for a, b in pairs) / n
    return None if chance == 1 else (observed - chance) / (1 - chance)
