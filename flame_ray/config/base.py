"""What every section of the settings shares: it is frozen, and an unknown key is an error."""

from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Value = TypeVar("Value")
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


@dataclass(frozen=True)
class ChangeableMark:
    """Marks a setting, or a whole section, that a resumed run may change."""


# `workers: Changeable[Positive] = 1`: such a setting says where or how fast a run runs, and never what is learned.
Changeable = Annotated[Value, ChangeableMark()]


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Workers(Settings):
    """The actors of one kind, and what each asks of the cluster."""

    workers: Changeable[Positive] = 1
    min_workers: Changeable[Positive | None] = None  # the run starts with this many, and the others join later; None: all
    node_labels: Changeable[dict[str, str]] = {}  # place the actors only on nodes with these Ray labels
    cpus: Changeable[Annotated[float, Field(ge=0)]] = 0.25
    gpus: Changeable[Annotated[float, Field(ge=0)]] = 0.0
    # Compute threads of an actor. 0: as many as its `cpus`; below one CPU, as many as its node has cores.
    threads: Changeable[Annotated[int, Field(ge=0)]] = 0

    @property
    def own_threads(self) -> int:
        """The compute threads that an actor has to itself, or 0: it takes turns on all cores of its node."""
        return self.threads or int(self.cpus)

    @property
    def least(self) -> int:
        """How many workers the run needs to start."""
        return self.min_workers or self.workers

    @model_validator(mode="after")
    def least_is_least(self) -> "Workers":
        if self.least > self.workers:
            raise ValueError(f"min_workers ({self.min_workers}) must not be more than workers ({self.workers})")
        return self
