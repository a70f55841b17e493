"""A learner that survives its ranks: when one dies, or its node drains, the group starts again from the newest state."""

import logging
from collections.abc import Callable, Sequence, Set
from typing import Any, TypeVar

from flame_ray.cluster.failures import Drained
from flame_ray.engines.base import Continuation
from flame_ray.errors import FlameError, LearnerDied
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.learner.data import Example
from flame_ray.learner.group import LearnerGroup, OnStep
from flame_ray.learner.train_state import Progress
from flame_ray.storage.local_copy import Folder
from flame_ray.types import TrainingReport

log = logging.getLogger(__name__)
Result = TypeVar("Result")
ATTEMPTS = 5  # deaths in a row without a new state in between


class DurableLearner:
    """The calls of a `LearnerGroup`; each one survives a few deaths of a rank, and any number of moves to other nodes.

    `start(state, life)` places a group that resumes from a state's folder, or starts from the initial model (None).
    `restarts` counts how often the group was placed again, `deaths` how often because a rank died.
    """

    def __init__(self, start: Callable[[Folder | None, int], LearnerGroup], checkpoints: Checkpoints):
        self._start, self._checkpoints = start, checkpoints
        self.restarts = self.deaths = self._deaths_in_a_row = 0
        self._is_training = False
        self._leaving: Set[str] = frozenset()
        self._avoided: Set[str] = frozenset()  # nodes that were draining already when the group was placed
        self._state = self._newest()
        self._placed: LearnerGroup | None = None
        self._surviving(lambda group: None)

    @property
    def group(self) -> LearnerGroup:
        """The current ranks; starts them if there are none."""
        if self._placed is None:
            self._avoided = self._leaving
            self._placed = self._start(self._state, self.restarts)
        return self._placed

    @property
    def ranks(self) -> int:
        """How many are placed now."""
        return len(self._placed.actors) if self._placed else 0

    def leave(self, nodes: Set[str]) -> None:
        """The ids of the draining nodes: ranks there finish their unit of work, then move. Safe to call from any thread."""
        self._leaving = nodes

    def train(self, examples_D: Sequence[Example], round: int, on_step: OnStep | None = None) -> TrainingReport:
        """Train a round and save its state. Steps that an earlier attempt saved are not trained again."""
        self._is_training = True
        try:
            return self._surviving(lambda group: self._train(group, examples_D, round, on_step))
        finally:
            self._is_training = False

    def export(self) -> Any:
        return self._surviving(lambda group: group.export())

    def canary(self, sequences: Sequence[Continuation], added: bool = False, initial: bool = False) -> list[list[float]]:
        return self._surviving(lambda group: group.canary(sequences, added, initial))

    def save(self, folder: Folder, merged: bool) -> None:
        self._surviving(lambda group: group.save(folder, merged))

    def restart(self) -> None:
        """Start again from the weights that come next (`Checkpoints.start`), after a round was rolled back."""
        self.stop()
        self._state = self._newest()
        self.restarts += 1
        self._surviving(lambda group: None)

    def interrupt(self, round: int) -> None:
        """Save how far the round is, if possible, because the process was asked to stop."""
        try:
            self.group.save_state(self._next_step(round))
        except FlameError as error:  # whatever stops the process may have killed the ranks too
            log.warning("the state inside round %d was not saved; a resume starts from an earlier one: %s", round, error)

    def stop(self) -> None:
        """End the ranks, if there are any."""
        if self._placed is not None:
            self._placed.stop()
            self._placed = None

    def _train(self, group: LearnerGroup, examples_D: Sequence[Example], round: int, on_step: OnStep | None) -> TrainingReport:
        def stepped(at: Progress) -> None:
            if on_step:
                on_step(at)
            if self._is_leaving():
                group.save_state(self._next_step(round))
                raise _moving()

        inside = self._checkpoints.inside(round)
        if inside is not None and inside != self._state:
            group.load_state(inside)
            self._state = inside
        report = group.train(examples_D, round, stepped, lambda _: self._next_step(round))
        if self._checkpoints.trained() < round:
            group.save_state(self._checkpoints.state(round))
        self._checkpoints.finished(round)
        return report

    def _next_step(self, round: int) -> Folder:
        """Where the next state inside the round goes. The disk holds at most this one and the one before it."""
        self._checkpoints.prune_steps(round)
        return self._checkpoints.next_step(round)

    def _is_leaving(self) -> bool:
        new = self._leaving - self._avoided
        return bool(new and new & self.group.nodes)

    def _surviving(self, call: Callable[[LearnerGroup], Result]) -> Result:
        while True:
            try:
                group = self.group
                if self._is_leaving():
                    raise _moving()
                return call(group)
            except (LearnerDied, Drained) as error:
                try:
                    self._choose_state(error)
                finally:
                    self.stop()

    def _newest(self) -> Folder | None:
        """The state that a group begins from. Between rounds the weights are those of a round's end, for samplers, for the
        canary and for other tools, also if a process before this one was stopped inside the next round.
        """
        return self._checkpoints.newest() if self._is_training else self._checkpoints.ended()

    def _choose_state(self, error: LearnerDied | Drained) -> None:
        """The state to resume from is the newest. Raises `error` after too many deaths in a row."""
        before, self._state = self._state, self._newest()
        self._deaths_in_a_row = self._deaths_in_a_row if self._state == before else 0
        self._deaths_in_a_row += isinstance(error, LearnerDied)
        self.deaths += isinstance(error, LearnerDied)
        self.restarts += 1
        if self._deaths_in_a_row >= ATTEMPTS:
            raise error
        log.warning("the learner starts again from its newest state: %s", error)


def _moving() -> Drained:
    return Drained("the node of a rank is draining")
