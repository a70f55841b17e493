"""A checker that remembers: a verdict on the same fact with the same evidence is computed once on each node.

A verdict is kept under the checker's identity, the fact's text, and the titles and texts of the evidence. It keeps the place
of the deciding passage, not its id. A verdict on which the checker failed is not kept.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from flame_ray.cluster.figures import count_lookups
from flame_ray.rewards.factuality.check import Checker
from flame_ray.storage.cache import Cache, cache_dir, node_file
from flame_ray.types import Claim, Passage, Verdict, VerdictLabel

LABELS = frozenset(map(str, VerdictLabel))


def default_path() -> Path:
    """The file of this node in the cache folder."""
    return node_file(cache_dir() / "verdicts" / "v2")


class CachedChecker:
    """Another checker that remembers, unless the file cannot be written. Raises StorageError if its folder cannot be made."""

    def __init__(self, checker: Checker, path: Path):
        self.threshold = checker.threshold
        self._checker, self._cache = checker, Cache(path, needed=False)

    @property
    def identity(self) -> str:
        return self._checker.identity

    def check(self, claims: Sequence[Claim]) -> tuple[Verdict, ...]:
        keys = [_key(self.identity, claim) for claim in claims]
        known = {key: value for key, value in self._cache.get(keys).items() if _is_verdict(value)}
        missing = {key: claim for key, claim in zip(keys, claims, strict=True) if key not in known}
        count_lookups("verdicts", hits=len(claims) - len(missing), misses=len(missing))
        verdicts = dict(zip(missing, self._checker.check(list(missing.values())) if missing else (), strict=True))
        new = {key: _to_json(missing[key], verdict) for key, verdict in verdicts.items()}
        self._cache.add({key: new[key] for key, verdict in verdicts.items() if verdict.label is not VerdictLabel.ERROR})
        return tuple(_from_json(claim, known.get(key) or new[key]) for key, claim in zip(keys, claims, strict=True))


def _key(identity: str, claim: Claim) -> str:
    """Hashes each text with its length before it, so that no two lists of texts look the same."""
    return hashlib.sha256(_sized(identity, claim.fact.text) + _evidence(claim.passages_K)).hexdigest()


@lru_cache(maxsize=128)
def _evidence(passages_K: tuple[Passage, ...]) -> bytes:
    """Cached, because all facts of a prompt share their evidence."""
    return _sized(*(text for passage in passages_K for text in (passage.title, passage.text)))


def _sized(*texts: str) -> bytes:
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    return b"".join(len(data).to_bytes(8, "big") + data for data in encoded)


def _to_json(claim: Claim, verdict: Verdict) -> list[Any]:
    """Label, score, and the place of the deciding passage in the claim's evidence."""
    ids = [passage.id for passage in claim.passages_K]
    return [str(verdict.label), verdict.score, ids.index(verdict.passage_id) if verdict.passage_id in ids else None]


def _from_json(claim: Claim, value: list[Any]) -> Verdict:
    label, score, place = value
    return Verdict(claim.fact, VerdictLabel(label), score, None if place is None else claim.passages_K[place].id)


def _is_verdict(value: Any) -> bool:
    """False for a row whose bits have changed, which SQLite does not see."""
    return isinstance(value, list) and len(value) == 3 and value[0] in LABELS
