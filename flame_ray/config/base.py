"""What every section of the settings shares: it is frozen, and an unknown key is an error."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError


@dataclass(frozen=True)
class InWords:
    """Says in a user's words what a type takes, where its name and its range do not."""

    words: str


Value = TypeVar("Value")
Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
NAME = InWords("a name of at most 63 letters, digits, `.`, `_` and `-` that begins with a letter or digit")
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"), NAME]

LABEL = r"[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?"
LABEL_KEY = re.compile(rf"(?:{LABEL}/)?{LABEL}")
LABEL_SELECTOR = re.compile(rf"!?(?:{LABEL}|in\({LABEL}(?:,{LABEL})*\))")  # Ray takes a blank for a part of the label

# What decides the form in which a template is rendered is not the job's to set.
OURS = frozenset(
    {"conversation", "messages", "chat_template", "add_generation_prompt", "continue_final_message", "tokenize", "padding"}
    | {"truncation", "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs"}
)


LONGEST_NAME = 255  # bytes of a file's or a folder's name, on the filesystems that people use


STORES = "s3a?|gc?s|abfss?|az|adl"  # protocols whose URLs begin with a bucket or the like
MISTYPED_URL = re.compile(
    rf"[a-z][\w+.-]*:/(?!/)\S*|(?:{STORES}|file|https?|hdfs):(?!/)\S*|(?:{STORES})(?://|:///)\S*|(?:{STORES})://", re.I
)


def can_be_a_name(text: str) -> bool:
    """Whether files may be called so, part by part of a path.

    >>> can_be_a_name("../runs/mine"), can_be_a_name("a" * 256), can_be_a_name("a\\0b")
    (True, False, False)
    """
    return "\0" not in text and all(len(part.encode("utf-8", "surrogatepass")) <= LONGEST_NAME for part in text.split("/"))


def is_mistyped_url(text: str) -> bool:
    """Whether a text looks like a URL that lacks a slash, a colon or its bucket: it would be read as a path on this machine.

    >>> [is_mistyped_url(text) for text in ("s3:/b/runs", "s3//b/runs", "gs:b", "s3:///runs", "file:/runs")]
    [True, True, True, True, True]
    >>> [is_mistyped_url(text) for text in ("s3://b/runs", "file:///runs", "./s3:/runs", "owner/name@main", "file: notes")]
    [False, False, False, False, False]
    """
    return MISTYPED_URL.fullmatch(text) is not None


def _is_unicode(text: str) -> bool:
    """Without half of a surrogate pair, which stands for a byte of the command line that is not UTF-8."""
    return text == text.encode("utf-8", "ignore").decode()


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
    """A section. The text below a field says what the setting means, also to readers of `flame-ray settings`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False, use_attribute_docstrings=True
    )

    @field_validator("*", mode="before")
    @classmethod
    def text_is_given(cls, value: Any) -> Any:
        """An empty text, as of a shell variable that is not set, would name the working directory, or mean a default."""
        texts = value if isinstance(value, list | tuple) else (value,)
        if any(isinstance(text, str) and not text.strip() for text in texts):
            raise ValueError("must not be empty; leave the setting out to use its default")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def text_can_be_a_name(cls, value: Any) -> Any:
        """Every text among the settings is the name of a file, a model, a column or the like."""
        texts = value if isinstance(value, list | tuple) else (value,)
        if not all(can_be_a_name(text) and _is_unicode(text) for text in texts if isinstance(text, str)):
            raise ValueError(
                f"must be a name, or a path of names, of at most {LONGEST_NAME} bytes each, in UTF-8, without null characters"
            )
        return value

    @field_validator("*", mode="before")
    @classmethod
    def text_is_no_mistyped_url(cls, value: Any) -> Any:
        texts = value if isinstance(value, list | tuple) else (value,)
        if any(is_mistyped_url(text) for text in texts if isinstance(text, str)):
            raise ValueError(
                "must be a path, or a URL such as s3://bucket/folder; a folder of this name is written ./ and the name"
            )
        return value

    @field_validator("*", mode="before")
    @classmethod
    def truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Python counts true as 1."""
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else (value,)
        if any(isinstance(part, bool) for part in parts) and not _takes_truth(
            cls.model_fields[str(info.field_name)].annotation
        ):
            raise PydanticCustomError("truth_for_number", "true or false, where a number is expected")
        return value


def _takes_truth(kind: Any) -> bool:
    """Whether values of a type, or what is in them, may be true or false; sections say so themselves."""
    return any(part is bool or part is False or part is JsonValue or is_section(part) for part in _parts(kind))


def is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _parts(kind: Any) -> Iterator[Any]:
    yield kind
    for part in get_args(kind):
        yield from _parts(part)


class Workers(Settings):
    """The actors of one kind, and what each asks of the cluster."""

    workers: Changeable[Positive] = 1
    """How many actors of this kind there are."""
    min_workers: Changeable[Positive | None] = None
    """The run starts with this many, and the others join later; null: it waits for all."""
    node_labels: Changeable[dict[str, str]] = {}
    """Place the actors only on nodes with these Ray labels. A value is a, !a, in(a,b) or !in(a,b), and a node without the label
    is like any other value.
    """
    cpus: Changeable[Annotated[float, Field(ge=0)]] = 0.25
    """CPUs that each actor asks of the cluster; a share of one is allowed."""
    gpus: Changeable[Annotated[float, Field(ge=0)]] = 0.0
    """GPUs of each actor. 0: it sees none, and computes on the CPU. A fraction is a share of one GPU, on which Ray puts other
    shares, of any role, before it begins the next GPU.
    """
    threads: Changeable[Annotated[int, Field(ge=0)]] = 0
    """Compute threads of an actor. 0: as many as its `cpus`; below one CPU, as many as its node has cores."""

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


class EngineWorkers(Workers):
    """Actors that hold a vLLM engine each."""

    max_sequences: Changeable[Positive] = 64
    """Sequences that an engine samples at the same time."""
    kv_cache_gib: Changeable[Annotated[float, Field(gt=0)]] = 1.0
    """On a CPU: GiB of an engine's KV cache. On a GPU it takes what `gpu_memory` leaves beside the model."""
    gpu_memory: Changeable[Fraction] = 0.8
    """The share of its GPU's memory that an engine takes."""
    enforce_eager: Changeable[bool] = False
    """On a GPU, without CUDA graphs and compilation: a quicker start and slower sampling. Not yet tried on a GPU either way."""
    tensor_parallel: Changeable[Positive] = 1
    """GPUs of one engine; set `gpus` to the same number."""
