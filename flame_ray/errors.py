"""Every error that a user can cause or meet. Each exits the command line with its own code.

Ray carries these errors between processes, so each one can be pickled: it is made of three strings.
"""

from flame_ray.shown import shown


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
        return shown(f"expected {self.expected}; found {self.found}. To fix: {self.fix}.")


class ConfigError(FlameError):
    """A setting that cannot be used. The message names its path, such as `rollout.samples`."""

    exit_code = 2


class DataError(FlameError):
    """A prompt set, corpus or file of labels that cannot be read. The message names the file, and the line if there is one."""

    exit_code = 3


class ModelError(FlameError):
    """A model that cannot be loaded, or that lacks what the method needs."""

    exit_code = 4


class PlacementError(FlameError):
    """The cluster cannot hold what the settings ask for, or did not in time."""

    exit_code = 5


class StorageError(FlameError):
    """A folder or file that cannot be read or written: no space, no permission, damaged, or in use by another process."""

    exit_code = 6


class NotShared(StorageError):
    """A folder that is not the same one on every node of the cluster that needs it: no other job can use it there either."""


class WeightSyncError(FlameError):
    """A sampler does not have the weights that the learner sent."""

    exit_code = 7


class EngineError(FlameError):
    """vLLM or DeepSpeed has a version or a state that the run cannot use."""

    exit_code = 8


class EngineDied(EngineError):
    """The engine inside a worker is dead. The worker is discarded, and another one does its work."""


class LearnerDied(EngineError):
    """A rank of the learner is gone, and the others with it. The learner can restart from its last stored state."""


class WorkLost(EngineError):
    """A piece of work that has brought down several workers in turn, and is given up."""


class Interrupted(FlameError):
    """The run was told to stop, and has stored its state. The exit code tells a scheduler to run it again with --resume."""

    exit_code = 75
