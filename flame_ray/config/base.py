"""What every section of the settings shares: it is frozen, and an unknown key is an error."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

Value = TypeVar("Value")
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]

LABEL = r"[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?"
LABEL_KEY = re.compile(rf"(?:{LABEL}/)?{LABEL}")
LABEL_SELECTOR = re.compile(rf"!?(?:{LABEL}|in\({LABEL}(?:,{LABEL})*\))")  # Ray takes a blank for a part of the label

# What decides the form in which a template is rendered is not the job's to set.
OURS = frozenset(
    {"conversation", "messages", "chat_template", "add_generation_prompt", "continue_final_message", "tokenize", "padding"}
    | {"truncation", "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs"}
)


def _not_ours(variables: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if taken := sorted(OURS & variables.keys()):
        raise ValueError(f"variables of the chat template, such as enable_thinking; `{taken[0]}` is not for a job to set")
    return variables


# Variables that a model's chat template reads, such as `enable_thinking`, by name.
TemplateVariables = Annotated[dict[str, JsonValue], AfterValidator(_not_ours)]


@dataclass(frozen=True)
class ChangeableMark:
    """Marks a setting, or a whole section, that a resumed run may change."""


# `workers: Changeable[Positive] = 1`: such a setting says where or how fast a run runs, and never what is learned.
Changeable = Annotated[Value, ChangeableMark()]


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    @field_validator("*", mode="before")
    @classmethod
    def text_is_given(cls, value: Any) -> Any:
        """An empty text, as of a shell variable that is not set, would name the working directory, or mean a default."""
        texts = value if isinstance(value, list | tuple) else (value,)
        if any(isinstance(text, str) and not text.strip() for text in texts):
            raise ValueError("must not be empty; leave the setting out to use its default")
        return value


class Workers(Settings):
    """The actors of one kind, and what each asks of the cluster."""

    workers: Changeable[Positive] = 1
    min_workers: Changeable[Positive | None] = None  # the run starts with this many, and the others join later; None: all
    # Place the actors only on nodes with these Ray labels: a value is a, !a, in(a,b) or !in(a,b), and a node without the label
    # is like any other value.
    node_labels: Changeable[dict[str, str]] = {}
    cpus: Changeable[Annotated[float, Field(ge=0)]] = 0.25
    # GPUs of each actor. 0: it sees none, and computes on the CPU. A fraction is a share of one GPU, on which Ray puts other
    # shares, of any role, before it begins the next GPU.
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

    @field_validator("node_labels")
    @classmethod
    def labels_are_as_ray_reads_them(cls, labels: dict[str, str]) -> dict[str, str]:
        for key, value in labels.items():
            if not (LABEL_KEY.fullmatch(key) and LABEL_SELECTOR.fullmatch(value)):
                raise ValueError(
                    f"a label is written key: a, !a, in(a,b) or !in(a,b), without blanks (given {key!r}: {value!r})"
                )
        return labels

    @model_validator(mode="after")
    def least_is_least(self) -> "Workers":
        if self.least > self.workers:
            raise ValueError(f"min_workers ({self.min_workers}) must not be more than workers ({self.workers})")
        return self
