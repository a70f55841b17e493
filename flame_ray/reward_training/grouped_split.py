"""Splits labelled claims into a training set and a held-out set that share no claim and no evidence."""

import hashlib
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from flame_ray.types import LabelledClaim

SHORT = 4  # a line of so few words, such as a heading, may occur in both sets


def grouped_split(labelled: Sequence[LabelledClaim], held_out: float) -> tuple[list[LabelledClaim], list[LabelledClaim]]:
    """(training set, held-out set), the second with about the share `held_out` of the claims.

    Claims that share a text (the claim, a passage, or a line of evidence with more than SHORT words) are in the same set, also
    if only a chain of other claims connects them. The same claims are always split the same way.
    """
    if not labelled:
        return [], []
    texts = [_texts(each) for each in labelled]
    index = {text: place for place, text in enumerate(dict.fromkeys(text for each in texts for text in each))}
    edges = np.array([(index[each[0]], index[text]) for each in texts for text in each])
    size = len(index)
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(size, size))
    _, group = connected_components(graph, directed=False)
    names: dict[int, str] = {}
    for text, place in index.items():
        names[group[place]] = min(names.get(group[place], text), text)
    is_held_out = [_hashed(names[group[index[each[0]]]]) < held_out for each in texts]
    return (
        [each for each, out in zip(labelled, is_held_out, strict=True) if not out],
        [each for each, out in zip(labelled, is_held_out, strict=True) if out],
    )


def _texts(labelled: LabelledClaim) -> list[str]:
    """The claim, its passages, and their lines."""
    passages = [passage.text for passage in labelled.claim.passages_K]
    lines = [line.strip() for text in passages for line in text.splitlines() if len(line.split()) > SHORT]
    return [f"claim {labelled.claim.fact.text}", *(f"passage {text}" for text in dict.fromkeys([*passages, *lines]))]


def _hashed(name: str) -> float:
    """A number in [0, 1) that depends only on the name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32
