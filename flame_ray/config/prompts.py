"""Prompts, how they are classified, how responses are sampled, and how the held-out set is evaluated."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from flame_ray.config.base import Changeable, EngineWorkers, Fraction, Positive, Settings


class PromptSource(Settings):
    """One set of prompts. A column `split` with the words train, dev and heldout, where there is one, decides the split."""

    source: str
    """factbook or open-ended (built in; also sentences, for `factuality.sentence_labels`), a JSONL, JSON or Parquet file, or
    a `datasets` name.
    """
    column: str = "prompt"
    """The column of the instruction: a text, or a chat whose first request is taken. Where there is no column `prompt`, chats
    are found in `messages` and `conversations`.
    """
    input_column: str | Literal[False] | None = None
    """The column of a text that belongs to the instruction, and follows it after a blank line. null: a row with text in a
    column `input` or `context` is refused; false: such a text is left out. Each of a row's `instances`, as in
    self-instruct's files, counts as a row with its `input`.
    """
    label_column: str | None = None
    """The column that says which rows need facts."""
    heldout_fraction: Fraction = 0.2
    """The share of the prompts that is held out, for a set without a column `split`."""
    dev_fraction: Fraction = 0.0
    """The share of the training prompts (of `factbook`: of their countries) that is not trained on. This development set
    chooses the best round; see `run.select`.
    """
    limit: Positive | None = None
    """The most training prompts; null: all."""
    dev_limit: Positive | None = None
    """The most development prompts; null: all."""
    heldout_limit: Positive | None = None
    """The most held-out prompts; null: all."""

    @model_validator(mode="after")
    def settings_are_read(self) -> "PromptSource":
        of_rows = ("column", "input_column", "label_column", "heldout_fraction")
        unread = [name for name in of_rows if getattr(self, name) != type(self).model_fields[name].default]
        if unread and self.source in ("factbook", "open-ended", "sentences"):
            raise ValueError(f"{self.source} has columns, labels and splits of its own: leave {', '.join(unread)} out")
        return self


class PromptsConfig(Settings):
    """The sets that a run draws its prompts from."""

    sources: Annotated[tuple[PromptSource, ...], Field(min_length=1)] = (
        PromptSource(source="factbook"),
        PromptSource(source="open-ended"),
    )
    """The sets of prompts."""
    per_round: Positive = 96
    """How many training prompts a round has; they are drawn anew each round."""
    overlong: Literal["refuse", "leave_out"] = "refuse"
    """What happens to a prompt that leaves no room for a response within model.max_length. refuse: the run does not start, and
    all of them are named; leave_out: they are left out and counted.
    """


class ClassifyConfig(Settings):
    """How the run decides which prompts need facts."""

    by: Literal["model", "label", "embedding"] = "model"
    """model: ask the judge's model. label: trust `label_column`. embedding: a light classifier, trained on `labels` at the
    start.
    """
    threshold: Fraction = 0.5
    """A prompt needs facts when the model gives yes, of yes and no, at least this probability."""
    labels: tuple[PromptSource, ...] = ()
    """For embedding: sets of instructions, each with its `label_column`. Only their training prompts are learned."""
    embedder: str = "all-minilm-l6-v2"
    """For embedding: a built-in name, a folder, or a hub id."""

    @model_validator(mode="after")
    def embedding_has_labels(self) -> "ClassifyConfig":
        if self.by == "embedding" and not self.labels:
            raise ValueError("classify.by embedding needs classify.labels: at least one set of labelled instructions")
        return self


class SeedSource(PromptSource):
    """A set of instructions to start from: all of a file, or what its column `split` says is for training."""

    heldout_fraction: Fraction = 0.0
    """The share that is held out, and is no seed, for a set without a column `split`."""


class SelfInstructConfig(Settings):
    """How `flame-ray self-instruct` makes instructions. The model is `model.policy`, and it samples as `rollout` says."""

    seeds: Annotated[tuple[SeedSource, ...], Field(min_length=1)] = (
        SeedSource(source="open-ended"),
        SeedSource(source="factbook", limit=100),
    )
    """The sets of instructions to start from."""
    instructions: Positive = 20_000
    """How many to make; paper: about 20,000."""
    seed_examples: Positive = 6
    """Seeds among the examples that an answer is asked after; Wang et al.: 6."""
    made_examples: Annotated[int, Field(ge=0)] = 2
    """Instructions made before among these examples; Wang et al.: 2."""
    asked: Positive = 8
    """Instructions that one answer is asked for."""
    batch: Positive = 64
    """Answers that are sampled before the next examples are drawn."""
    patience: Positive = 20
    """The command ends after so many batches without a new instruction."""
    max_alike: Annotated[float, Field(gt=0, le=1)] = 0.7
    """An instruction is left out from this ROUGE-L to another one on; Wang et al.: 0.7."""
    min_words: Positive = 4
    """Shorter instructions are left out."""
    max_words: Positive = 150
    """Longer instructions are left out, also as examples."""
    max_tokens: Positive = 384
    """The most tokens of an answer."""

    @model_validator(mode="after")
    def words_are_a_range(self) -> "SelfInstructConfig":
        if self.min_words > self.max_words:
            raise ValueError(f"self_instruct.min_words ({self.min_words}) must not be above max_words ({self.max_words})")
        return self


class RolloutConfig(EngineWorkers):
    """How responses are sampled (paper: 4 a prompt, temperature 0.7, top-p 0.9)."""

    samples: Annotated[int, Field(ge=2)] = 4
    """Responses a prompt."""
    temperature: Annotated[float, Field(gt=0)] = 0.7
    """Of the sampling; higher: more varied responses."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Sample from the likeliest tokens that have this probability together. With `top_k` too, on a CPU, it sorts the vocabulary
    at each step, which is slow.
    """
    top_k: Annotated[int, Field(ge=0)] = 0
    """Sample from so many of the likeliest tokens; 0: from all."""
    max_tokens: Positive = 96
    """The most tokens of a response."""
    batch_sequences: Changeable[Positive | None] = None
    """Sequences that a worker has at a time, those that wait in it too; null: two and a half times max_sequences."""
    max_sequences: Changeable[Positive] = 96
    """Sequences that an engine samples at the same time."""

    @property
    def batch(self) -> int:
        """How many sequences a worker has at a time."""
        return self.batch_sequences or self.max_sequences * 5 // 2

    @property
    def refill(self) -> int:
        """How many of them are finished before the worker gets more: few, so that its engine always has enough to sample."""
        return max(1, self.batch // 16)


class EvaluationConfig(Settings):
    """How the held-out prompts are answered and summarized. Answers are greedy."""

    max_tokens: Positive | None = None
    """The most tokens of an answer; null: as in rollout."""
    bootstrap: Annotated[int, Field(ge=100)] = 1000
    """Resamples behind each 95 % interval."""
    recall_at: Positive = 4
    """K of the metric F@K: the number of supported facts that is wanted, as many as an answer states."""
    recall_weight: Annotated[float, Field(gt=0)] = 1.0
    """Beta of F@K; below 1, precision weighs more than recall."""
