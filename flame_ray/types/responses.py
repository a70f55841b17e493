"""Prompts, and the responses to them."""

from dataclasses import dataclass, field
from enum import StrEnum


class Split(StrEnum):
    """What a prompt is for: training, choosing the best round, or measuring what a run has reached."""

    TRAIN = "train"
    DEV = "dev"
    HELDOUT = "heldout"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One instruction.

    >>> Prompt(id="peru/borders", text="Which countries border Peru?", label=True).fact_based is None
    True
    """

    id: str
    text: str
    split: Split = Split.TRAIN
    label: bool | None = None  # whether the prompt set says that it needs facts
    fact_based: bool | None = None  # whether the run decided that it needs facts
    source: str = field(default="", compare=False)  # the set that it is from, for figures


@dataclass(frozen=True, slots=True)
class PromptSet:
    """The prompts of a round, in the order in which they were drawn."""

    prompts_P: tuple[Prompt, ...]


@dataclass(frozen=True, slots=True)
class ResponseId:
    """The unique name of one sample: its round, its prompt, and its index among the responses to that prompt."""

    round: int
    prompt_id: str
    index: int

    def __str__(self) -> str:
        return f"{self.round}/{self.prompt_id}/{self.index}"


@dataclass(frozen=True, slots=True)
class Response:
    """One sample of the policy. The token ids are the sampler's own; nothing renders or tokenizes the text again."""

    id: ResponseId
    text: str
    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    finish_reason: str  # "stop": the model ended the text; "length": the token limit cut it off
    weight_version: int

    @property
    def truncated(self) -> bool:
        return self.finish_reason != "stop"


@dataclass(frozen=True, slots=True)
class Group:
    """A prompt with its responses [G]. Rollout workers produce groups, rewards score them, and the journal stores them."""

    prompt: Prompt
    responses_G: tuple[Response, ...]
