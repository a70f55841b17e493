"""A learner that outlives its ranks: when one dies, the group starts again from the newest state that is whole.

In: a way to start a group from a state. Out: the calls of a `LearnerGroup`, each of which survives a few deaths. A round's
training counts once its state is stored. Knows nothing of what a state holds or of what is trained.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from flame_ray.errors import FlameError, LearnerDied
from flame_ray.learner.group import LearnerGroup, OnStep
from flame_ray.runtime.checkpoints import Checkpoints
from flame_ray.types import Pair, TrainingReport

log = logging.getLogger(__name__)
Result = TypeVar("Result")
ATTEMPTS = 5  # deaths in a row without a state stored in between


class DurableLearner:
    """`start(state, life)` places a group that goes on from a state folder, or from the initial model (None)."""

    def __init__(self, start: Callable[[Path | None, int], LearnerGroup], checkpoints: Checkpoints):
        self._start, self._checkpoints = start, checkpoints
        self.deaths = self._in_a_row = 0
        self._state = checkpoints.newest()
        self._group = start(self._state, 0)

    @property
    def group(self) -> LearnerGroup:
        return self._group

    def train(self, pairs_D: Sequence[Pair], round: int, on_step: OnStep | None = None) -> TrainingReport:
        """Train a round and store its state; what an earlier attempt has stored of it is not trained again."""
        return self._surviving(lambda group: self._train(group, pairs_D, round, on_step))

    def export(self) -> Any:
        return self._surviving(lambda group: group.export())

    def canary(self, prompt_ids: Sequence[int], response_ids: Sequence[int]) -> list[float]:
        return self._surviving(lambda group: group.canary(prompt_ids, response_ids))

    def save(self, folder: Path, merged: bool) -> None:
        self._surviving(lambda group: group.save(folder, merged))

    def interrupt(self, round: int) -> None:
        """Store where the round's training stands, if that can be done; for a process that was asked to stop."""
        try:
            self._group.save_state(self._checkpoints.next_step(round))
        except FlameError as error:  # what ends the process may have ended the ranks
            log.warning("round %d goes on from an earlier state: %s", round, error)

    def _train(self, group: LearnerGroup, pairs_D: Sequence[Pair], round: int, on_step: OnStep | None) -> TrainingReport:
        report = group.train(pairs_D, round, on_step, lambda _: self._checkpoints.next_step(round))
        group.save_state(self._checkpoints.state(round))
        self._checkpoints.finished(round)
        return report

    def _surviving(self, call: Callable[[LearnerGroup], Result]) -> Result:
        is_alive = True
        while True:
            try:
                if not is_alive:
                    self._group, is_alive = self._start(self._state, self.deaths), True
                return call(self._group)
            except LearnerDied as death:
                before, self._state = self._state, self._checkpoints.newest()
                self._in_a_row = self._in_a_row + 1 if self._state == before else 1
                self.deaths += 1
                if self._in_a_row >= ATTEMPTS:
                    raise
                log.warning("the learner starts again from its newest state: %s", death)
                self._group.stop()
                is_alive = False
