"""A learner that outlives its ranks: when one dies, or its node is about to, the group starts again from the newest state.

In: a way to start a group from a state. Out: the calls of a `LearnerGroup`, each of which survives a few deaths and any number
of moves. A round's training counts once its state is stored. Knows nothing of what a state holds or of what is trained.
"""

import logging
from collections.abc import Callable, Sequence, Set
from typing import Any, TypeVar

from flame_ray.cluster.failures import Drained
from flame_ray.errors import FlameError, LearnerDied
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.learner.group import LearnerGroup, OnStep
from flame_ray.storage.local_copy import Folder
from flame_ray.types import Pair, TrainingReport

log = logging.getLogger(__name__)
Result = TypeVar("Result")
ATTEMPTS = 5  # deaths in a row without a state stored in between


class DurableLearner:
    """`start(state, life)` places a group that goes on from a state folder, or from the initial model (None).

    `restarts`: how often it was placed again, after a death or to leave a node.
    """

    def __init__(self, start: Callable[[Folder | None, int], LearnerGroup], checkpoints: Checkpoints):
        self._start, self._checkpoints = start, checkpoints
        self.restarts = self._deaths_in_a_row = 0
        self._leaving: Set[str] = frozenset()
        self._avoided: Set[str] = frozenset()  # nodes that were about to go before the group was placed
        self._state = checkpoints.newest()
        self._placed: LearnerGroup | None = None
        self._surviving(lambda group: None)

    @property
    def group(self) -> LearnerGroup:
        """The ranks as they are now; starts them if there are none."""
        if self._placed is None:
            self._avoided = self._leaving
            self._placed = self._start(self._state, self.restarts)
        return self._placed

    def leave(self, nodes: Set[str]) -> None:
        """Nodes that are about to go, by id: ranks there go on elsewhere after their unit of work. From any thread."""
        self._leaving = nodes

    def train(self, pairs_D: Sequence[Pair], round: int, on_step: OnStep | None = None) -> TrainingReport:
        """Train a round and store its state; what an earlier attempt has stored of it is not trained again."""
        return self._surviving(lambda group: self._train(group, pairs_D, round, on_step))

    def export(self) -> Any:
        return self._surviving(lambda group: group.export())

    def canary(self, prompt_ids: Sequence[int], response_ids: Sequence[int]) -> list[float]:
        return self._surviving(lambda group: group.canary(prompt_ids, response_ids))

    def save(self, folder: Folder, merged: bool) -> None:
        self._surviving(lambda group: group.save(folder, merged))

    def interrupt(self, round: int) -> None:
        """Store where the round's training stands, if that can be done; for a process that was asked to stop."""
        try:
            self.group.save_state(self._checkpoints.next_step(round))
        except FlameError as error:  # what ends the process may have ended the ranks
            log.warning("round %d goes on from an earlier state: %s", round, error)

    def stop(self) -> None:
        """Let go of the ranks, if there are any."""
        if self._placed is not None:
            self._placed.stop()
            self._placed = None

    def _train(self, group: LearnerGroup, pairs_D: Sequence[Pair], round: int, on_step: OnStep | None) -> TrainingReport:
        def stepped(done: int, total: int) -> None:
            if on_step:
                on_step(done, total)
            if self._is_leaving():
                group.save_state(self._checkpoints.next_step(round))
                raise _moving()

        report = group.train(pairs_D, round, stepped, lambda _: self._checkpoints.next_step(round))
        if self._checkpoints.trained() < round:
            group.save_state(self._checkpoints.state(round))
        self._checkpoints.finished(round)
        return report

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
                    self._note(error)
                finally:
                    self.stop()

    def _note(self, error: LearnerDied | Drained) -> None:
        """Choose the state to go on from. Raises the error when it was one death too many."""
        before, self._state = self._state, self._checkpoints.newest()
        self._deaths_in_a_row = self._deaths_in_a_row if self._state == before else 0
        self._deaths_in_a_row += isinstance(error, LearnerDied)
        self.restarts += 1
        if self._deaths_in_a_row >= ATTEMPTS:
            raise error
        log.warning("the learner starts again from its newest state: %s", error)


def _moving() -> Drained:
    return Drained("the node of a rank is about to go")
