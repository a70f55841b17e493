"""Pseudo-random numbers that depend only on a text, so that a prompt is in the same split in every process."""

import hashlib

from flame_ray.types import Split


def stable_fraction(key: str) -> float:
    """A number in [0, 1) from the SHA-256 of the key; Python's `hash` of a text differs between processes."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:6]) / 2**48


def split_of(key: str, heldout_fraction: float) -> Split:
    return Split.HELDOUT if stable_fraction(key) < heldout_fraction else Split.TRAIN
