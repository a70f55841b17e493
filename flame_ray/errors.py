"""Every error that a user can cause or meet, in one picklable tree.

In: what was expected, what was found, what to do. Out: one message. Knows nothing of where it is printed;
`cli.py` prints it and exits with `exit_code`. Ray carries these between processes, so each one rebuilds
from its three strings.
"""


class FlameError(Exception):
    """An expected failure: `expected`, `found` and `fix` make one message that a person can act on.

    >>> print(ConfigError("rollout.samples >= 2", "1", "set rollout.samples to 2 or more"))
    expected rollout.samples >= 2; found 1. To fix: set rollout.samples to 2 or more.
    """

    exit_code = 1

    def __init__(self, expected: str, found: str, fix: str):
        super().__init__(expected, found, fix)
        self.expected, self.found, self.fix = expected, found, fix

    def __str__(self) -> str:
        return f"expected {self.expected}; found {self.found}. To fix: {self.fix}."


class ConfigError(FlameError):
    """A setting that cannot be used; the message names its path, such as `rollout.samples`."""

    exit_code = 2


class DataError(FlameError):
    """A prompt set or corpus that cannot be read; the message names the file, and the line if there is one."""

    exit_code = 3


class ModelError(FlameError):
    """A model folder or hub id that cannot be loaded, or that lacks what the method needs."""

    exit_code = 4


class PlacementError(FlameError):
    """The cluster can never hold, or did not hold in time, what the settings ask for."""

    exit_code = 5


class StorageError(FlameError):
    """A run folder that cannot be written: no space, no permission, or already there."""

    exit_code = 6


class WeightSyncError(FlameError):
    """A rollout worker does not have the weights that the learner sent."""

    exit_code = 7


class EngineError(FlameError):
    """An engine (vLLM, DeepSpeed) of a version, or in a state, that cannot go on."""

    exit_code = 8


class EngineDied(EngineError):
    """The engine inside a worker is dead: the worker is of no use any more, and its work goes to another."""


class LearnerDied(EngineError):
    """A rank of the learner is gone, and the others with it: the learner can be started again from its last state."""


class WorkLost(EngineError):
    """One piece of work that brought down one worker after another."""


class Interrupted(FlameError):
    """The run was asked to stop, and stored where it stands. The exit code says: not finished, run it again with --resume."""

    exit_code = 75
