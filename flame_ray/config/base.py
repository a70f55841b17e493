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
    # GPUs of each actor. 0: it sees none, and computes on the CPU. A fraction is a share of one GPU, on which Ray puts other
    # shares, of any role, before it begins the next GPU.
    gpus: Changeable[Annotated[float, Field(ge=0)]] = 0.0
    threads: Changeable[Annotated[int, Field(ge=0)]] = 0  # compute threads of an actor; 0: as many as the machine has cores

    @property
    def least(self) -> int:
        """How many workers the run needs to start."""
        return self.min_workers or self.workers

    @model_validator(mode="after")
    def least_is_least(self) -> "Workers":
        if self.least > self.workers:
            raise ValueError(f"min_workers ({self.min_workers}) must not be more than workers ({self.workers})")
        return self
