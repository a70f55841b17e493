"""What a response is worth: both rewards, and how their scores become pairs."""

from typing import Annotated, Literal

from pydantic import Field

from flame_ray.config.base import Fraction, Positive, Settings, Workers


class FactualityConfig(Workers):
    """The factuality reward: which corpus, how much evidence, and which checker decides.

    `query`: evidence is found by the prompt, shared by all responses to it (paper), or by each fact.
    """

    corpus: str = "factbook"
    title_column: str = "title"
    text_column: str = "text"
    decompose: Annotated[Literal["rule", "sentence"], Field(description="sentence: the paper's ablation")] = "rule"
    query: Literal["prompt", "fact"] = "prompt"
    retrieve: Annotated[int, Field(ge=1, description="passages found for a query; paper: 20")] = 20
    keep: Annotated[Positive | None, Field(description="how many of them serve as evidence; paper: 10; None: all")] = None
    checker: Literal["lexical"] = "lexical"
    threshold: Annotated[
        Fraction | None, Field(description="support score from which a fact counts as true; None: the checker's own")
    ] = None
    not_found: Annotated[
        Literal["unsupported", "ignored"], Field(description="how a fact that the evidence does not mention counts")
    ] = "unsupported"


class JudgeConfig(Workers):
    """The instruction-following reward. `rubric`: five additive points, `samples` judgements averaged (paper: 3).

    `backtranslation`: log-likelihood of the instruction given the response, nats a token; a small model can do this one.
    """

    backend: Literal["rubric", "backtranslation"] = "backtranslation"
    model: Annotated[str | None, Field(description="None: the policy's initial model")] = None
    samples: Positive = 3
    temperature: Annotated[float, Field(ge=0)] = 0.7
    max_tokens: Positive = 128
    max_sequences: Positive = 64
    kv_cache_gib: Annotated[float, Field(gt=0)] = 1.0
    gpu_memory: Fraction = 0.4


class PairsConfig(Settings):
    """How scores become pairs. `max_judge_gap` drops a factuality pair whose sides differ by more than this in RM_IF.

    The paper's gap is 0.5 on its 5-point scale; None keeps all. `min_fact_gap` and `min_judge_gap`: the smallest
    difference that counts as a preference. Points tie by themselves; a likelihood never does, and needs the second.
    `recall_at` K ranks by F@K, so that a response does not win by saying less; None, as in the paper, by precision.
    `max_fact_loss` drops an instruction pair whose chosen side is less factual by more than this; None keeps all (paper).
    """

    max_judge_gap: Annotated[float | None, Field(ge=0)] = 0.5
    factuality_per_prompt: Annotated[int, Field(ge=1, description="widest gaps first; paper: 1, and all in its table 7")] = 1
    gamma: Annotated[float, Field(ge=0, description="FActScore's length penalty below this many facts; paper: none")] = 0.0
    recall_at: Positive | None = None
    recall_weight: Annotated[float, Field(gt=0, description="beta: below 1, precision weighs more than recall at K")] = 1.0
    max_fact_loss: Fraction | None = None
    min_fact_gap: Fraction = 0.0
    min_judge_gap: Annotated[float, Field(ge=0)] = 0.0
    drop_truncated: bool = True
    kinds: Annotated[tuple[Literal["instruction", "factuality"], ...], Field(min_length=1)] = ("instruction", "factuality")
