"""Both rewards, the language models that they ask, and how their scores become pairs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from flame_ray.config.base import Changeable, EngineWorkers, Fraction, Positive, Settings, TemplateVariables, Workers
from flame_ray.config.prompts import PromptSource

LEAST_VERIFIER_LENGTH = 1536  # with less, a long sentence has no room beside its question and answer


class FactualityConfig(Workers):
    """The factuality reward: which corpus it reads, how much evidence it takes, and which checker decides."""

    corpus: str = "factbook"
    """What facts are checked against: factbook (built in), a JSONL or Parquet file, or a `datasets` name."""
    title_column: str = "title"
    """The corpus's column of titles."""
    text_column: str = "text"
    """The corpus's column of texts."""
    decompose: Literal["rule", "sentence", "llm"] = "rule"
    """How answers become facts. rule: clauses and list items; sentence: each sentence is a fact (the paper's ablation); llm:
    asks the verifier.
    """
    sentences: Literal["all", "fact_based"] = "all"
    """Which sentences are checked. fact_based leaves out those that carry no factual knowledge, by a classifier trained on
    `sentence_labels`, or by a language model, the verifier: the paper's ablation (table 6), where it made results worse.
    SmolLM2-135M cannot tell them.
    """
    sentence_labels: tuple[PromptSource, ...] = ()
    """For fact_based: sets of sentences, from whose vectors (`embedder`) a light classifier learns: `sentences`, which is built
    in, or others, each with its `column` and `label_column`. Only their training part is learned. Without any, the verifier is
    asked.
    """
    sentence_threshold: Fraction = 0.5
    """A sentence is fact-based when the classifier, or the model of yes and no, gives yes this probability."""
    query: Literal["prompt", "fact"] = "prompt"
    """What evidence is found for. prompt: once for all responses to a prompt (paper); fact: for each fact."""
    retriever: Literal["bm25", "dense", "fusion"] = "bm25"
    """How evidence is found. bm25: by words; dense: by meaning; fusion: both, joined by reciprocal rank."""
    embedder: str = "all-minilm-l6-v2"
    """For dense and fusion, and for `sentence_labels`: a built-in name, a folder, or a hub id."""
    reranker: str | None = None
    """A cross-encoder: a folder or a hub id; null: keep the retriever's order."""
    retrieve: Positive = 20
    """Passages found for a query; paper: 20."""
    keep: Positive | None = None
    """How many of the passages found serve as evidence; paper: 10; null: all."""
    checker: Literal["lexical", "small", "nli", "llm", "whole"] = "lexical"
    """What decides whether evidence supports a fact. lexical: words and figures; small: a small model; nli: a cross-encoder;
    llm: the verifier; whole: the verifier, which judges a response at once and needs no decomposition.
    """
    checker_model: str | None = None
    """For nli: a cross-encoder, a folder or a hub id. For llm and whole: a language model; null: the policy's initial model.
    For small: a folder that flame-ray train-checker wrote; null: the weights in the package.
    """
    cache: Changeable[bool] = True
    """Keep a model's verdicts on the node's disk, for later rounds and runs."""
    threshold: Fraction | None = None
    """A fact counts as true from this support score on; null: the checker's own threshold."""
    not_found: Literal["unsupported", "ignored"] = "unsupported"
    """How a fact counts that the evidence does not mention."""

    @property
    def asks_verifier(self) -> bool:
        """Whether any stage asks a language model."""
        asked_about_sentences = self.sentences == "fact_based" and not self.sentence_labels
        return self.checker in ("llm", "whole") or self.decompose == "llm" or asked_about_sentences

    @property
    def verifier_model(self) -> str | None:
        """The model that the verifier serves; null: the policy's initial model."""
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
    def sentence_labels_are_read(self) -> "FactualityConfig":
        if self.sentence_labels and self.sentences != "fact_based":
            raise ValueError("factuality.sentence_labels has no say unless factuality.sentences is fact_based")
        return self

    @model_validator(mode="after")
    def checker_has_its_model(self) -> "FactualityConfig":
        if self.checker == "nli" and self.checker_model is None:
            raise ValueError("factuality.checker nli needs factuality.checker_model: a cross-encoder's folder or hub id")
        return self


class VerifierConfig(EngineWorkers):
    """The language model of `checker: llm` and `whole`, `decompose: llm`, and `sentences: fact_based` without
    `sentence_labels`, which alone start it.
    """

    max_length: Annotated[int, Field(ge=LEAST_VERIFIER_LENGTH)] = 4096
    """Tokens of question and answer; passages that do not fit are left out."""
    chat_template_kwargs: TemplateVariables = Field(default_factory=dict)
    """Variables of its model's chat template. Where that is the policy's model, those of `model` are given too."""

    @model_validator(mode="after")
    def all_begin(self) -> "VerifierConfig":
        if self.least < self.workers:
            raise ValueError(f"verifier.min_workers must be left out: all verifiers start together (given {self.min_workers})")
        return self


JudgeName = Literal["rubric", "backtranslation", "preference", "pairwise"]


@dataclass(frozen=True, slots=True)
class JudgeKind:
    """What the stages, the commands and the report ask of a judge."""

    unit: str
    """What its scores are, for the report."""
    asks_model: bool = True
    """Whether it asks the language model `judge.model`."""
    compares: bool = False
    """Whether its score of a response depends on the others of the group."""
    is_trained: bool = False
    """Whether it reads weights that flame-ray train-judge wrote, from `judge.preferences`."""


JUDGES: Mapping[JudgeName, JudgeKind] = {
    "rubric": JudgeKind("points of 5, by rubric"),
    "backtranslation": JudgeKind("log-likelihood of the instruction, nats a token"),
    "preference": JudgeKind("log-odds to be preferred", asks_model=False, is_trained=True),
    "pairwise": JudgeKind("chance to win", compares=True),
}


class JudgeConfig(EngineWorkers):
    """The instruction-following reward."""

    backend: JudgeName = "backtranslation"
    """How a response is judged. rubric: five additive points, for a large model (paper). backtranslation: the log-likelihood of
    the instruction given the response, in nats a token, which a small model can judge by. preference: a small model that was
    trained on people's preferences, in log-odds; it runs on the CPU. pairwise: the mean chance to win against each other
    response of the group, by comparison in both orders; of an evaluation, the chance to win against the answer of round 0,
    whose own is one half.
    """
    preferences: str | None = None
    """For preference: a folder that flame-ray train-judge wrote; null: the one that ships."""
    model: str | None = None
    """The model that judges: a built-in name, a folder, or a hub id; null: the policy's initial model."""
    chat_template_kwargs: TemplateVariables = Field(default_factory=dict)
    """Variables of its model's chat template. Where that is the policy's model, those of `model` are given too."""
    samples: Positive = 3
    """Judgements by rubric that are averaged; paper: 3."""
    temperature: Annotated[float, Field(ge=0)] = 0.7
    """Of the sampled judgements."""
    max_tokens: Positive = 128
    """The most tokens of a judgement by rubric."""
    gpu_memory: Changeable[Fraction] = 0.4
    """The share of its GPU's memory that an engine takes."""

    @property
    def kind(self) -> JudgeKind:
        return JUDGES[self.backend]


class ScoreConfig(Settings):
    """How `flame-ray score` reads its file, and the two scores that it prints beside precision: FActScore, and F1@K."""

    gamma: Annotated[float, Field(ge=0)] = 10.0
    """A response with fewer facts is penalized; FActScore's authors: 10."""
    recall_at: Positive = 64
    """K, the number of supported facts that is wanted; SAFE: 64."""
    max_bad_lines: Fraction = 0.1
    """Malformed lines are skipped up to this share of the file's lines; with more, the file is refused. 1: no limit."""


class PairsConfig(Settings):
    """How scores become preference pairs, and which pairs are dropped."""

    file: str | None = None
    """Train on the pairs of this file, and sample none: JSONL, JSON, Parquet or a `datasets` name, with `prompt`, `chosen` and
    `rejected` (TRL's preference format). But for `balance`, the other settings of this section then have no say. null: pairs
    are made of sampled responses.
    """
    balance: Literal["prompts", "kinds"] = "prompts"
    """What counts alike in the loss, however many pairs it gave. prompts: each prompt; kinds: each kind of pair, and in a kind
    each of its prompts (paper: both kinds are drawn alike often). The losses nll and grpo, which compare no pairs, do not
    read it: there each prompt counts once.
    """
    kinds: Annotated[tuple[Literal["instruction", "factuality", "weighted"], ...], Field(min_length=1)] = (
        "instruction",
        "factuality",
    )
    """Which pairs are made. instruction: ordered by the judge's score; factuality: by factuality, of prompts that need facts;
    weighted: by the judge's score + fact_weight x factuality (paper's table 7); a prompt that needs no facts gives an
    instruction pair.
    """
    fact_weight: Annotated[float, Field(gt=0)] = 5.0
    """How much factuality counts in weighted pairs, in units of the judge's score; paper: 5."""
    max_judge_gap: Annotated[float | None, Field(ge=0)] = 0.5
    """Drop a factuality pair whose sides differ by more than this in the judge's score; paper: 0.5 of 5 points; null: keep
    all.
    """
    max_fact_loss: Fraction | None = None
    """Drop an instruction pair whose chosen side is less factual by more; null: keep all."""
    min_fact_gap: Fraction = 0.0
    """A smaller difference in factuality is a tie."""
    min_judge_gap: Annotated[float, Field(ge=0)] = 0.0
    """A smaller difference in the judge's score, or in that of weighted pairs, is a tie; likelihoods are never equal and need
    this.
    """
    count_relevant: bool = False
    """A supported fact counts only if it answers the instruction, as facts do that no record is asked for; false ones always
    count.
    """
    factuality_per_prompt: Positive | None = 1
    """How many factuality pairs a prompt gives. 1: the widest, or none if a filter drops it (paper). More: the widest so many
    that no filter drops. null: every pair that no filter drops; with min_fact_gap 0.2, this is a row of the paper's table 7.
    """
    gamma: Annotated[float, Field(ge=0)] = 0.0
    """Rank with FActScore's length penalty, for responses with fewer facts than this; paper: none."""
    recall_at: Positive | None = None
    """Rank by F@K, so that saying less does not win; null: by precision (paper)."""
    recall_weight: Annotated[float, Field(gt=0)] = 1.0
    """Beta of F@K; below 1, precision weighs more than recall."""
    drop_truncated: bool = False
    """A response that the token limit cut off is never chosen. false: it may be rejected, so that running on loses; true: it
    enters no pair.
    """
