"""What is asked, and how it is answered: prompts, their classification, sampling, and the held-out answers."""

from typing import Annotated, Literal

from pydantic import Field

from flame_ray.config.base import Fraction, Positive, Settings, Workers


class PromptSource(Settings):
    """One set of prompts: built in (`factbook`, `open-ended`), a JSONL or Parquet file, or a `datasets` name.

    `limit` and `heldout_limit` cap each split (None: all). A user's set is split by `heldout_fraction`, or by a
    column `split` with the words train and heldout where there is one. `label_column` says which rows need facts.
    """

    source: str
    column: str = "prompt"
    label_column: str | None = None
    heldout_fraction: Fraction = 0.2
    limit: Positive | None = None
    heldout_limit: Positive | None = None


class PromptsConfig(Settings):
    """The sets that make up the run, and how many prompts a round takes from their union (drawn anew each round)."""

    sources: Annotated[tuple[PromptSource, ...], Field(min_length=1)] = (
        PromptSource(source="factbook"),
        PromptSource(source="open-ended"),
    )
    per_round: Positive = 96


class ClassifyConfig(Settings):
    """Which prompts need facts: `model` asks it (P(yes) of yes and no, against `threshold`); `label` trusts the column."""

    by: Literal["model", "label"] = "model"
    threshold: Fraction = 0.5


class RolloutConfig(Workers):
    """Sampling. Paper: 4 responses, temperature 0.7, top-p 0.9. `top_k` 0 is off; top-p sorts the vocabulary, slow on a CPU."""

    samples: Annotated[int, Field(ge=2)] = 4
    temperature: Annotated[float, Field(gt=0)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    top_k: Annotated[int, Field(ge=0)] = 0
    max_tokens: Positive = 96
    batch_sequences: Annotated[int, Field(ge=1, description="sequences sent to a worker at a time")] = 240
    max_sequences: Positive = 96
    kv_cache_gib: Annotated[float, Field(gt=0)] = 1.0
    gpu_memory: Fraction = 0.8
    tensor_parallel: Annotated[int, Field(ge=1, description="GPUs an engine; set gpus to the same number")] = 1


class EvaluationConfig(Settings):
    """The held-out prompts, greedy. `bootstrap`: resamples behind each 95 % interval."""

    max_tokens: Positive | None = None
    bootstrap: Annotated[int, Field(ge=100)] = 1000
