"""A stable pseudo-random number for a piece of text, so that a prompt lies in the same split in every process.

In: a key. Out: a fraction in [0, 1), or the split that it falls into. Knows nothing of prompts or files.
"""

import hashlib

from flame_ray.types import Split


def stable_fraction(key: str) -> float:
    """Python's own `hash` of a string changes with every process; this never does."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / 2**48


def split_of(key: str, heldout_fraction: float) -> Split:
    return Split.HELDOUT if stable_fraction(key) < heldout_fraction else Split.TRAIN
