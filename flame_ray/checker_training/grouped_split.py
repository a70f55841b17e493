"""Labelled claims -> a part to train on and a part kept aside, with nothing in common. Pure."""

import hashlib
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from flame_ray.types import LabelledClaim

SHORT = 4  # words of a line that may stand in any text: a heading tells nothing


def apart(labelled: Sequence[LabelledClaim], aside: float) -> tuple[list[LabelledClaim], list[LabelledClaim]]:
    """(to train on, kept aside): about `aside` of the claims. A claim, or a line of evidence of more than SHORT words, that
    stands in one part never stands in the other, and neither does what it is tied to by a third. The same claims are always
    parted the same way.
    """
    if not labelled:
        return [], []
    texts = [_texts(each) for each in labelled]
    index = {text: place for place, text in enumerate(dict.fromkeys(text for each in texts for text in each))}
    edges = np.array([(index[each[0]], index[text]) for each in texts for text in each])
    size = len(index)
    ties = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(size, size))
    _, piece = connected_components(ties, directed=False)
    names: dict[int, str] = {}
    for text, place in index.items():
        names[piece[place]] = min(names.get(piece[place], text), text)
    is_aside = [_share(names[piece[index[each[0]]]]) < aside for each in texts]
    return (
        [each for each, kept in zip(labelled, is_aside, strict=True) if not kept],
        [each for each, kept in zip(labelled, is_aside, strict=True) if kept],
    )


def _texts(labelled: LabelledClaim) -> list[str]:
    """The claim, then its passages and their lines: texts that share sentences are joined in more ways than one."""
    passages = [passage.text for passage in labelled.claim.passages_K]
    lines = [line.strip() for text in passages for line in text.splitlines() if len(line.split()) > SHORT]
    return [f"claim {labelled.claim.fact.text}", *(f"passage {text}" for text in dict.fromkeys([*passages, *lines]))]


def _share(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32
