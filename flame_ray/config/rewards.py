"""Both rewards, the language models that they ask, and how their scores become pairs."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from flame_ray.config.base import Changeable, Fraction, Positive, Settings, TemplateVariables, Workers


class FactualityConfig(Workers):
    """The factuality reward: which corpus it reads, how much evidence it takes, and which checker decides."""

    corpus: str = "factbook"
    title_column: str = "title"
    text_column: str = "text"
    # rule: clauses and list items; sentence: each sentence is a fact (the paper's ablation); llm: asks the verifier.
    decompose: Literal["rule", "sentence", "llm"] = "rule"
    # fact_based: leave out sentences that a language model, the verifier, finds to carry no factual knowledge. The paper's
    # ablation (table 6), where it made results worse. SmolLM2-135M cannot tell them.
    sentences: Literal["all", "fact_based"] = "all"
    sentence_threshold: Fraction = 0.5  # a sentence is fact-based when the model gives yes, of yes and no, this probability
    query: Literal["prompt", "fact"] = "prompt"  # find evidence once a prompt, for all its responses (paper), or for each fact
    retriever: Literal["bm25", "dense", "fusion"] = "bm25"  # by words, by meaning, or both, joined by reciprocal rank
    embedder: str = "all-minilm-l6-v2"  # of dense and fusion; or a folder, or a hub id
    reranker: str | None = None  # a cross-encoder: a folder or a hub id; None: keep the retriever's order
    retrieve: Positive = 20  # passages found for a query; paper: 20
    keep: Positive | None = None  # how many of them serve as evidence; paper: 10; None: all
    # llm and whole ask the verifier; whole judges a response at once and needs no decomposition.
    checker: Literal["lexical", "small", "nli", "llm", "whole"] = "lexical"
    # nli: a cross-encoder. llm, whole: a language model; None: the policy's initial model. small: a folder that train-checker
    # wrote; None: the weights in the package.
    checker_model: str | None = None
    cache: Changeable[bool] = True  # keep a model's verdicts on the node's disk, for later rounds and runs
    threshold: Fraction | None = None  # a fact counts as true from this support score on; None: the checker's own threshold
    not_found: Literal["unsupported", "ignored"] = "unsupported"  # how a fact counts that the evidence does not mention

    @property
    def asks_verifier(self) -> bool:
        """Whether any stage asks a language model."""
        return self.checker in ("llm", "whole") or self.decompose == "llm" or self.sentences == "fact_based"

    @property
    def verifier_model(self) -> str | None:
        """The model that the verifier serves; None: the policy's initial model."""
        return self.checker_model if self.checker in ("llm", "whole") else None

    @field_validator("decompose", mode="before")
    @classmethod
    def decompose_without_a_parser(cls, value: object) -> object:
        if value == "parse":
            raise ValueError("there is no decomposer `parse` any more: more of its facts were unfaithful; use `rule`")
        return value

    @model_validator(mode="after")
    def keeps_what_it_retrieves(self) -> "FactualityConfig":
        if self.keep is not None and self.keep > self.retrieve:
            raise ValueError(f"factuality.keep is {self.keep}, more than the {self.retrieve} of factuality.retrieve")
        return self

    @model_validator(mode="after")
    def sentences_are_decomposed(self) -> "FactualityConfig":
        if self.sentences == "fact_based" and self.checker == "whole":
            raise ValueError(
                "factuality.sentences fact_based needs a checker of facts: factuality.checker whole has no sentences"
            )
        return self

    @model_validator(mode="after")
    def checker_has_its_model(self) -> "FactualityConfig":
        if self.checker == "nli" and self.checker_model is None:
            raise ValueError("factuality.checker nli needs factuality.checker_model: a cross-encoder's folder or hub id")
        return self


class VerifierConfig(Workers):
    """The language model of `checker: llm` and `whole`, `decompose: llm`, and `sentences: fact_based`, which alone start it."""

    max_length: Annotated[int, Field(ge=1536)] = 4096  # tokens of question and answer; passages that do not fit are left out
    # Variables of its model's chat template. Where that is the policy's model, those of `model` are given too.
    chat_template_kwargs: TemplateVariables = Field(default_factory=dict)
    max_sequences: Changeable[Positive] = 64
    kv_cache_gib: Changeable[Annotated[float, Field(gt=0)]] = 1.0
    gpu_memory: Changeable[Fraction] = 0.8
    enforce_eager: Changeable[bool] = False  # as in rollout

    @model_validator(mode="after")
    def all_begin(self) -> "VerifierConfig":
        if self.least < self.workers:
            raise ValueError(f"verifier.min_workers must be left out: all verifiers start together (given {self.min_workers})")
        return self


class JudgeConfig(Workers):
    """The instruction-following reward."""

    # rubric: five additive points, for a large model (paper). backtranslation: the log-likelihood of the instruction given
    # the response, in nats a token, which a small model can judge by. preference: a small model that was trained on people's
    # preferences, in log-odds; it runs on the CPU. pairwise: the mean chance to win against each other response of the group,
    # by comparison in both orders; of an evaluation, the chance to win against the answer of round 0, whose own is one half.
    backend: Literal["rubric", "backtranslation", "preference", "pairwise"] = "backtranslation"
    preferences: str | None = None  # for preference: a folder that flame-ray train-judge wrote; None: the one that ships
    model: str | None = None  # None: the policy's initial model
    # Variables of its model's chat template. Where that is the policy's model, those of `model` are given too.
    chat_template_kwargs: TemplateVariables = Field(default_factory=dict)
    samples: Positive = 3  # judgements by rubric that are averaged; paper: 3
    temperature: Annotated[float, Field(ge=0)] = 0.7
    max_tokens: Positive = 128
    max_sequences: Changeable[Positive] = 64
    kv_cache_gib: Changeable[Annotated[float, Field(gt=0)]] = 1.0
    gpu_memory: Changeable[Fraction] = 0.4
    enforce_eager: Changeable[bool] = False  # as in rollout


class ScoreConfig(Settings):
    """The two scores that `flame-ray score` prints beside precision: FActScore, and F1@K."""

    gamma: Annotated[float, Field(ge=0)] = 10.0  # a response with fewer facts is penalized; FActScore's authors: 10
    recall_at: Positive = 64  # K, the number of supported facts that is wanted; SAFE: 64


class PairsConfig(Settings):
    """How scores become preference pairs, and which pairs are dropped."""

    # Train on the pairs of this file, and sample none: JSONL, JSON, Parquet or a `datasets` name, with `prompt`, `chosen` and
    # `rejected` (TRL's preference format). The other settings here then have no say.
    file: str | None = None
    # instruction: ordered by the judge's score; factuality: by factuality, of prompts that need facts; weighted: by the judge's
    # score + fact_weight x factuality, and by the judge's score alone where a prompt needs no facts (paper's table 7).
    kinds: Annotated[tuple[Literal["instruction", "factuality", "weighted"], ...], Field(min_length=1)] = (
        "instruction",
        "factuality",
    )
    fact_weight: Annotated[float, Field(gt=0)] = 5.0  # of weighted pairs, in units of the judge's score; paper: 5
    # Drop a factuality pair whose sides differ by more than this in the judge's score; paper: 0.5 of 5 points; None: keep all.
    max_judge_gap: Annotated[float | None, Field(ge=0)] = 0.5
    max_fact_loss: Fraction | None = None  # drop an instruction pair whose chosen side is less factual by more; None: keep all
    min_fact_gap: Fraction = 0.0  # a smaller difference in factuality is a tie
    # The same for the judge's score, and for weighted pairs; likelihoods are never equal and need this.
    min_judge_gap: Annotated[float, Field(ge=0)] = 0.0
    count_relevant: bool = False  # a supported fact counts only if it answers the instruction; false ones always count
    # 1: the widest pair, or none if a filter drops it (paper). More: the widest so many that no filter drops. None: every pair
    # that no filter drops; with min_fact_gap 0.2, this is a row of the paper's table 7.
    factuality_per_prompt: Positive | None = 1
    gamma: Annotated[float, Field(ge=0)] = 0.0  # FActScore's length penalty below this many facts; paper: none
    recall_at: Positive | None = None  # rank by F@K, so that saying less does not win; None: by precision (paper)
    recall_weight: Annotated[float, Field(gt=0)] = 1.0  # beta of F@K; below 1, precision weighs more than recall
    # A response that the token limit cut off is never chosen. False: it may be rejected, so that running on loses; True: it
    # enters no pair.
    drop_truncated: bool = False
