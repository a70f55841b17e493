"""Where a trained model comes from: what its card says, and `lineage.json` beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from flame_ray.types.results import Interval


class Where(StrEnum):
    """How others find a model. A built-in one is a rounded copy of a model of the hub."""

    HUB = "hub"
    BUILT_IN = "built in"
    FOLDER = "folder"


class TrainedOn(StrEnum):
    """What a model learned from: pairs or single answers, its own or others'."""

    OWN_PAIRS = "own pairs"
    GIVEN_PAIRS = "given pairs"
    GRADED = "graded answers"
    BEST = "best answers"
    DEMONSTRATIONS = "demonstrations"


@dataclass(frozen=True, slots=True)
class BaseModel:
    """The model that was trained on. `name` is a hub id, or what the user called a folder; `license` as the hub writes it."""

    name: str
    where: Where
    revision: str | None = None
    license: str | None = None


@dataclass(frozen=True, slots=True)
class Ancestor:
    """An earlier model that the weights went through. `settings`: its lineage's; `base`: the hub id below it, if known."""

    run: str
    round: int
    settings: str | None = None
    base: str | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """A base model and the models that it was made from, the nearest first."""

    base: BaseModel
    ancestors: tuple[Ancestor, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure of the held-out answers, and its change from before the run."""

    name: str
    value: Interval
    change: Interval | None = None


@dataclass(frozen=True, slots=True)
class Lineage:
    """How a saved model was made. `settings` is the SHA-256 of all that decides what a run computes; `source` that of the code.

    `ancestors`: the nearest first. `training`: counts and losses by name. `datasets`: hub ids of what was trained on.
    """

    run: str
    round: int
    method: str
    trained_on: TrainedOn
    settings: str
    command: str
    base: BaseModel
    ancestors: tuple[Ancestor, ...] = ()
    flame_ray: str | None = None
    commit: str | None = None
    source: str | None = None
    training: Mapping[str, float] | None = None
    heldout: tuple[Measured, ...] = ()
    datasets: tuple[str, ...] = ()

    @property
    def hub_base(self) -> str | None:
        """The nearest model below that others find on the hub."""
        if self.base.where is not Where.FOLDER:
            return self.base.name
        return next((each.base for each in self.ancestors if each.base), None)
