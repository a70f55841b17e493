"""The run itself: where it is written, on which Ray it runs, and what runs at the same time."""

from typing import Annotated, Literal

from pydantic import Field

from flame_ray.config.base import Changeable, Fraction, Name, Positive, Settings


class RunConfig(Settings):
    """What the run is called, where it is written, and the seed of all its random numbers."""

    name: Name = "run"
    id: Changeable[Name | None] = None  # None: made from the name and the time
    # A folder that every node sees, or a URL that every node reaches (s3://, gs://, abfs://) with its fsspec driver installed.
    root: Changeable[str] = "runs"
    # A folder or URL in which runs share the samples and scores of their first round, where all that decides these is the same.
    # None: each run makes its own.
    samples: Changeable[str | None] = None
    seed: int = 0
    rounds: Positive = 3
    # best: the best round by the development prompts (`dev_fraction` in prompts.sources) is delivered as `best/`, and a round
    # that makes them worse is rolled back. last: every round continues the one before it.
    select: Literal["last", "best"] = "last"
    # The metric that decides; `evaluation` says what F@K is.
    select_by: Literal["f_at_k", "factual_precision", "correct_facts", "relevant_facts"] = "f_at_k"
    max_abstentions: Fraction = 0.1  # a round that abstains on a larger share of the development prompts is not the best
    save_merged: bool = False  # also write the whole model as safetensors after each round, beside the adapter
    keep_checkpoints: Changeable[Positive | None] = None  # keep this many of the latest rounds; None: all


class ClusterConfig(Settings):
    """Which Ray the run uses, and how long it waits. A wait of more than 30 seconds says what for, in a line each."""

    address: str = "auto"  # local: start one on this machine (loopback, token on); auto: join RAY_ADDRESS; else an address
    dashboard: bool = True
    object_store_gib: Annotated[float, Field(gt=0)] = 2.0
    # Until all workers that must be there at the start serve: nodes boot, models are fetched and loaded. Later also until a
    # lost learner is back, and until any worker of a pool serves that has lost all of them.
    start_timeout_s: Positive = 900
    result_timeout_s: Positive = 1800  # until a worker's next result; a worker that takes longer is replaced
    step_timeout_s: Positive = 1800  # until the learner has done one step, or one batch of the reference
    save_timeout_s: Positive = 3600  # until the learner has written an adapter, a model, or its state
    push_timeout_s: Positive = 1800  # until new weights are on the samplers, and until the learner has freed or taken its GPUs


class PipelineConfig(Settings):
    """Which stages run at the same time, and on which devices."""

    stream: bool = True  # score a group while others are sampled; on a few shared cores this slows both
    staleness: Annotated[int, Field(ge=0, le=1)] = 0  # 1: sample the next round while this one trains, one version behind
    # Each GPU has one sampler, one judge and one rank of the learner, who take turns: give each of the three `gpus: 1`.
    colocated: Changeable[bool] = False
