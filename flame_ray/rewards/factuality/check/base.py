"""What a checker is. In: claims, each a fact with its evidence. Out: a verdict each, in order."""

from collections.abc import Sequence
from typing import Protocol

from flame_ray.types import Claim, Verdict


class Checker(Protocol):
    """Judges facts on evidence. A fact is SUPPORTED when its score reaches `threshold`, which is the checker's own:
    set beforehand on development data.

    `identity` names all that a verdict depends on beside fact and evidence (backend, model, version, threshold): what
    is cached under one identity is never read under another.
    """

    threshold: float

    @property
    def identity(self) -> str: ...

    def check(self, claims: Sequence[Claim]) -> tuple[Verdict, ...]:
        """One verdict a claim, in order. A claim on which the model fails is ERROR; it does not cost the others."""
        ...
