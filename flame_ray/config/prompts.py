"""Prompts, how they are classified, how responses are sampled, and how the held-out set is evaluated."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from flame_ray.config.base import Changeable, Fraction, Positive, Settings, Workers


class PromptSource(Settings):
    """One set of prompts. A column `split` with the words train, dev and heldout, where there is one, decides the split."""

    source: str  # built in (factbook, open-ended), a JSONL or Parquet file, or a `datasets` name
    # Holds a text, or a chat whose first request is taken. Where there is no column `prompt`, chats are found in `messages`
    # and `conversations`.
    column: str = "prompt"
    # A text that belongs to the instruction, and follows it after a blank line. None: a row with text in a column `input` or
    # `context` is refused; false: such a text is left out.
    input_column: str | Literal[False] | None = None
    label_column: str | None = None  # says which rows need facts
    heldout_fraction: Fraction = 0.2  # for a set without a column `split`
    # The share of the training prompts (of `factbook`: of their countries) that is not trained on. This development set
    # chooses the best round; see `run.select`.
    dev_fraction: Fraction = 0.0
    limit: Positive | None = None  # the most training prompts; None: all
    dev_limit: Positive | None = None  # the most development prompts; None: all
    heldout_limit: Positive | None = None  # the most held-out prompts; None: all


class PromptsConfig(Settings):
    """The sets that a run draws its prompts from."""

    sources: Annotated[tuple[PromptSource, ...], Field(min_length=1)] = (
        PromptSource(source="factbook"),
        PromptSource(source="open-ended"),
    )
    per_round: Positive = 96  # drawn anew each round
    # A prompt that leaves no room for a response within model.max_length. refuse: the run does not start, and all of them are
    # named; leave_out: they are left out and counted.
    overlong: Literal["refuse", "leave_out"] = "refuse"


class ClassifyConfig(Settings):
    """How the run decides which prompts need facts."""

    # model: ask the judge's model. label: trust `label_column`. embedding: a light classifier, trained on `labels` at the
    # start.
    by: Literal["model", "label", "embedding"] = "model"
    threshold: Fraction = 0.5  # a prompt needs facts when the model gives yes, of yes and no, at least this probability
    # For embedding: sets of instructions, each with its `label_column`. Only their training prompts are learned.
    labels: tuple[PromptSource, ...] = ()
    embedder: str = "all-minilm-l6-v2"  # for embedding: a built-in name, a folder, or a hub id

    @model_validator(mode="after")
    def embedding_has_labels(self) -> "ClassifyConfig":
        if self.by == "embedding" and not self.labels:
            raise ValueError("classify.by embedding needs classify.labels: at least one set of labelled instructions")
        return self


class SeedSource(PromptSource):
    """A set of instructions to start from: all of a file, or what its column `split` says is for training."""

    heldout_fraction: Fraction = 0.0


class SelfInstructConfig(Settings):
    """How `flame-ray self-instruct` makes instructions. The model is `model.policy`, and it samples as `rollout` says."""

    seeds: Annotated[tuple[SeedSource, ...], Field(min_length=1)] = (
        SeedSource(source="open-ended"),
        SeedSource(source="factbook", limit=100),
    )
    instructions: Positive = 20_000  # how many to make; paper: about 20,000
    # Examples that an answer is asked after: from the seeds, and from what was made before. Wang et al.: 6 and 2.
    seed_examples: Positive = 6
    made_examples: Annotated[int, Field(ge=0)] = 2
    asked: Positive = 8  # instructions that one answer is asked for
    batch: Positive = 64  # answers that are sampled before the next examples are drawn
    patience: Positive = 20  # the command ends after so many batches without a new instruction
    max_alike: Annotated[float, Field(gt=0, le=1)] = 0.7  # from this ROUGE-L to another one on it is left out; Wang et al.: 0.7
    min_words: Positive = 4
    max_words: Positive = 150  # also of a seed that serves as an example
    max_tokens: Positive = 384  # of an answer

    @model_validator(mode="after")
    def words_are_a_range(self) -> "SelfInstructConfig":
        if self.min_words > self.max_words:
            raise ValueError(f"self_instruct.min_words ({self.min_words}) must not be above max_words ({self.max_words})")
        return self


class RolloutConfig(Workers):
    """How responses are sampled (paper: 4 a prompt, temperature 0.7, top-p 0.9)."""

    samples: Annotated[int, Field(ge=2)] = 4  # responses a prompt
    temperature: Annotated[float, Field(gt=0)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9  # below 1 it sorts the vocabulary at each step: slow on a CPU
    top_k: Annotated[int, Field(ge=0)] = 0  # 0: off
    max_tokens: Positive = 96
    # Sequences that a worker has at a time, those that wait in it too; None: two and a half times max_sequences.
    batch_sequences: Changeable[Positive | None] = None
    max_sequences: Changeable[Positive] = 96  # sequences that an engine samples at the same time
    kv_cache_gib: Changeable[Annotated[float, Field(gt=0)]] = 1.0
    gpu_memory: Changeable[Fraction] = 0.8
    # On a GPU, without CUDA graphs and compilation: a quicker start and slower sampling. Not yet tried on a GPU either way.
    enforce_eager: Changeable[bool] = False
    tensor_parallel: Changeable[Positive] = 1  # GPUs of one engine; set `gpus` to the same number

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

    max_tokens: Positive | None = None  # None: as in rollout
    bootstrap: Annotated[int, Field(ge=100)] = 1000  # resamples behind each 95 % interval
    recall_at: Positive = 4  # K of the metric F@K: the number of supported facts that is wanted, as many as an answer states
    recall_weight: Annotated[float, Field(gt=0)] = 1.0  # its beta; below 1, precision weighs more than recall
