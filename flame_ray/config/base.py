"""What every section of the settings shares: frozen, and an unknown key is an error."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Workers(Settings):
    """N actors of one kind, and what each asks of the cluster."""

    workers: Positive = 1
    min_workers: Annotated[
        Positive | None, Field(description="enough to begin with, the others join when there is room; None: all of them")
    ] = None
    node_labels: Annotated[dict[str, str], Field(description="only nodes with these Ray labels hold the actors")] = {}
    cpus: Annotated[float, Field(ge=0)] = 0.25
    gpus: Annotated[float, Field(ge=0)] = 0.0
    threads: Annotated[int, Field(ge=0, description="compute threads an actor; 0: as many as the machine has cores")] = 0

    @property
    def least(self) -> int:
        """How many workers are enough to begin."""
        return self.min_workers or self.workers

    @model_validator(mode="after")
    def least_is_least(self) -> "Workers":
        if self.least > self.workers:
            raise ValueError(f"min_workers ({self.min_workers}) must not be more than workers ({self.workers})")
        return self
