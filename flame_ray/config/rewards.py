"""What a response is worth: both rewards, and how their scores become pairs."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from flame_ray.config.base import Fraction, Positive, Settings, Workers


class FactualityConfig(Workers):
    """The factuality reward: which corpus, how much evidence, and which checker decides.

    `query`: evidence is found by the prompt, shared by all responses to it (paper), or by each fact.
    """

    corpus: str = "factbook"
    title_column: str = "title"
    text_column: str = "text"
    decompose: Annotated[
        Literal["rule", "parse", "sentence", "llm"],
        Field(description="parse: by spaCy's dependency trees; sentence: the paper's ablation; llm: asks the verifier"),
    ] = "rule"
    query: Literal["prompt", "fact"] = "prompt"
    retriever: Annotated[
        Literal["bm25", "dense", "fusion"], Field(description="by words, by meaning, or both by reciprocal rank")
    ] = "bm25"
    embedder: Annotated[str, Field(description="of dense and fusion; or a folder, or a hub id")] = "all-minilm-l6-v2"
    reranker: Annotated[str | None, Field(description="a cross-encoder, a folder or a hub id; None: as they are found")] = None
    retrieve: Annotated[int, Field(ge=1, description="passages found for a query; paper: 20")] = 20
    keep: Annotated[Positive | None, Field(description="how many of them serve as evidence; paper: 10; None: all")] = None
    checker: Annotated[
        Literal["lexical", "small", "nli", "llm", "whole"],
        Field(description="llm and whole ask the verifier; whole judges a response at once and needs no decomposition"),
    ] = "lexical"
    checker_model: Annotated[
        str | None,
        Field(
            description="of nli: a cross-encoder; of llm and whole: None is the policy's initial model; of small: a folder "
            "that train-checker wrote, None: the one that ships"
        ),
    ] = None
    cache: Annotated[bool, Field(description="keep a model's verdicts on the node's disk, for later rounds and runs")] = True
    threshold: Annotated[
        Fraction | None, Field(description="support score from which a fact counts as true; None: the checker's own")
    ] = None
    not_found: Annotated[
        Literal["unsupported", "ignored"], Field(description="how a fact that the evidence does not mention counts")
    ] = "unsupported"

    @property
    def asks_verifier(self) -> bool:
        """Whether any stage asks a language model."""
        return self.checker in ("llm", "whole") or self.decompose == "llm"

    @property
    def verifier_model(self) -> str | None:
        """What the verifier serves; None: the policy's initial model."""
        return self.checker_model if self.checker in ("llm", "whole") else None

    @model_validator(mode="after")
    def keeps_what_it_retrieves(self) -> "FactualityConfig":
        if self.keep is not None and self.keep > self.retrieve:
            raise ValueError(f"factuality.keep is {self.keep}, more than the {self.retrieve} of factuality.retrieve")
        return self

    @model_validator(mode="after")
    def checker_has_its_model(self) -> "FactualityConfig":
        if self.checker == "nli" and self.checker_model is None:
            raise ValueError("factuality.checker nli needs factuality.checker_model: a cross-encoder's folder or hub id")
        return self


class VerifierConfig(Workers):
    """The language model behind `checker: llm`, `checker: whole` and `decompose: llm`; placed only when one of them is set.

    `max_length`: tokens of a question; evidence beyond it is left out, whole passages from the end.
    """

    max_length: Annotated[int, Field(ge=1536, description="tokens of a question, evidence and all, with its answer")] = 4096
    max_sequences: Positive = 64
    kv_cache_gib: Annotated[float, Field(gt=0)] = 1.0
    gpu_memory: Fraction = 0.8

    @model_validator(mode="after")
    def all_begin(self) -> "VerifierConfig":
        if self.least < self.workers:
            raise ValueError(f"verifier.min_workers must be left out: all verifiers begin together (given {self.min_workers})")
        return self


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


class ScoreConfig(Settings):
    """What `flame-ray score` adds to precision: FActScore's length penalty, and F1@K."""

    gamma: Annotated[
        float, Field(ge=0, description="facts below which a response says too little; FActScore's authors: 10")
    ] = 10.0
    recall_at: Annotated[int, Field(ge=1, description="K, the supported facts that are wanted; SAFE: 64")] = 64


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
