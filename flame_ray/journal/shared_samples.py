"""Keeps the samples and scores of first rounds, so that a run which would make the same ones takes them over."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from flame_ray.config import Config
from flame_ray.config.load import lasting
from flame_ray.round import Stages
from flame_ray.storage.atomic import json_digest
from flame_ray.storage.filesystem import Storage
from flame_ray.types import PairSet, ScoredGroup

# Of what a resumed run may not change: sections that only say what follows the scores, or where. A new section counts.
LATER = {"run", "pairs", "learner", "sft", "evaluation", "pipeline"}
STREAMS = ("rounds/0001/sampled", "rounds/0001/scored")  # the order in which a run needs them
COMPLETE = "complete.json"


def samples_key(config: Config, models: Mapping[str, str], contents: Sequence[Any] = ()) -> str:
    """A digest of what decides the samples and scores of a run's first round.

    `models`: by their settings, which models it asks; what these settings say themselves does not count. `contents`: what tells
    the content of its models, prompts and corpus, as JSON can write it.
    """
    settings = {path: value for path, value in lasting(config.model_dump(mode="json")).items() if path not in models}
    deciding = {path: value for path, value in settings.items() if path.partition(".")[0] not in LATER or path == "run.seed"}
    return json_digest([deciding, dict(models), contents])


@dataclass(frozen=True)
class SharedSamples:
    """`<key>/<run id>/` of `root` holds the shards of the run's first round; they are whole once COMPLETE is there too."""

    root: Storage
    key: str
    run_id: str

    def take_over(self, run: Storage) -> bool:
        """Give a new run the shards of an earlier one, if there are any. The run resumes its first round from them."""
        whole = next((name for name in self.root.names(self.key) if name.endswith(f"/{COMPLETE}")), None)
        if whole is None:
            return False
        _copy(self.root, whole.removesuffix(COMPLETE), run, "")
        return True

    def keeping(self, stages: Stages, run: Storage) -> Stages:
        """The same stages, of which `pair` keeps the shards of the first round when all of it is paired."""

        def pair(groups_P: Iterable[ScoredGroup], round: int) -> PairSet:
            pairs = stages.pair(groups_P, round)
            if round == 1:
                self._keep(run)
            return pairs

        return replace(stages, pair=pair)

    def _keep(self, run: Storage) -> None:
        """Other runs may have kept the same meanwhile, in folders of their own."""
        if any(name.endswith(f"/{COMPLETE}") for name in self.root.names(self.key)):
            return
        mine = f"{self.key}/{self.run_id}"
        self.root.remove(mine)  # what a process left that died here
        _copy(run, "", self.root, f"{mine}/")
        self.root.write(f"{mine}/{COMPLETE}", b"{}")


def _copy(source: Storage, below: str, target: Storage, to: str) -> None:
    for stream in STREAMS:
        for name in source.names(below + stream):
            target.write(to + name.removeprefix(below), source.read(name))
