"""The run itself: where it is written, on which Ray it runs, and what runs at the same time."""

from typing import Annotated, Literal

from pydantic import Field

from flame_ray.config.base import Changeable, Fraction, Name, Positive, Settings


class RunConfig(Settings):
    """What the run is called, where it is written, and the seed of all its random numbers."""

    name: Name = "run"
    """What the run is called; its id begins with it."""
    id: Changeable[Name | None] = None
    """The run's id, which is its folder's name; null: made from the name and the time."""
    root: Changeable[str] = "runs"
    """The folder of all runs, which every node sees, or a URL that every node reaches (s3://, gs://, abfs://) with its fsspec
    driver installed.
    """
    samples: Changeable[str | None] = None
    """A folder or URL in which runs share the samples and scores of their first round, and fine-tunings what the model answers
    itself, each where all that decides it is the same. null: each makes its own.
    """
    seed: int = 0
    """The seed of all random numbers of the run."""
    rounds: Positive = 3
    """How many rounds are trained."""
    select: Literal["last", "best"] = "last"
    """Which round is delivered. best: the best one by the development prompts (`dev_fraction` in prompts.sources), as `best/`;
    a round that makes them worse is rolled back. last: every round continues the one before it.
    """
    select_by: Literal["f_at_k", "factual_precision", "correct_facts", "relevant_facts"] = "f_at_k"
    """The metric that decides which round is best; `evaluation` says what F@K is."""
    max_abstentions: Fraction = 0.1
    """A round that abstains on a larger share of the development prompts is not the best."""
    save_merged: bool = False
    """Also write the whole model as safetensors after each round, beside the adapter."""
    trackers: Changeable[tuple[Literal["tensorboard", "wandb", "mlflow"], ...]] = ()
    """Where the curves of the run are shown too, by the libraries' own writers: the learner's steps, and all figures of each
    round. Each needs its package where the run is started: pip install -e ".[tensorboard]", and so on.
    """
    keep_checkpoints: Changeable[Positive | None] = None
    """Keep this many of the latest rounds; null: all."""


class ClusterConfig(Settings):
    """Which Ray the run uses, and how long it waits. A wait of more than 30 seconds says what for, in a line each."""

    address: str = "auto"
    """local: start Ray on this machine (loopback, token on); auto: join RAY_ADDRESS; or an address to join."""
    dashboard: bool = True
    """Start Ray's dashboard, where Ray is started."""
    object_store_gib: Annotated[float, Field(gt=0)] = 2.0
    """GiB of Ray's object store, where Ray is started."""
    start_timeout_s: Positive = 900
    """Seconds until all workers that must be there at the start serve: nodes boot, models are fetched and loaded. Later also
    until a lost learner is back, and until any worker of a pool serves that has lost all of them.
    """
    result_timeout_s: Positive = 1800
    """Seconds until a worker's next result; a worker that takes longer is replaced."""
    step_timeout_s: Positive = 1800
    """Seconds until the learner has done one step, or one batch of the reference."""
    save_timeout_s: Positive = 3600
    """Seconds until the learner has written an adapter, a model, or its state."""
    push_timeout_s: Positive = 1800
    """Seconds until new weights are on the samplers, and until the learner has freed or taken its GPUs."""


class PipelineConfig(Settings):
    """Which stages run at the same time, and on which devices."""

    stream: bool = True
    """Score an answer while others are sampled, in rounds and evaluations; on a few shared cores this slows both."""
    staleness: Annotated[int, Field(ge=0, le=1)] = 0
    """1: sample the next round while this one trains, with weights one version behind; 0: one after the other."""
    colocated: Changeable[bool] = False
    """Each GPU has one sampler, one judge and one rank of the learner, who take turns: give each of the three `gpus: 1`."""
    release_idle: Changeable[bool] = False
    """End the workers that sample and score while the learner trains, so that an autoscaler can take their nodes away, and
    start them again before the round's weights are sent. It pays where training takes much longer than nodes and engines need
    to start. Verifiers stay.
    """
