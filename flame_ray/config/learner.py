"""How the policy is trained."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from flame_ray.config.base import Changeable, Fraction, Positive, Settings, Workers


class LoraConfig(Settings):
    r: Positive = 16
    alpha: Positive = 32
    dropout: Fraction = 0.0
    target_modules: str | tuple[str, ...] = "all-linear"


class LearnerConfig(Workers):
    """Training on DeepSpeed; `workers` is the number of ranks.

    The paper: DPO with beta 0.1, 64 pairs a batch, and rates from 1e-6 to 1e-7, on all parameters.
    """

    loss: Literal["dpo", "ipo", "cdpo", "fdpo", "mask_dpo", "grpo", "nll"] = "dpo"  # the file of that name in learner/losses
    beta: Annotated[float, Field(gt=0)] = 0.1  # scale of DPO's implicit reward; for ipo, its tau
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0  # for cdpo: the share of pairs that may be wrong
    # For fdpo, its lambda: by how many nats more sides that differ by 1 in factuality must differ. The authors try 0 to 100.
    fact_margin: Annotated[float, Field(ge=0)] = 10.0
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2  # for grpo: how far the ratio of a response, a token's mean, may go from 1
    kl_weight: Annotated[float, Field(ge=0)] = 0.0  # for grpo: adds this times the divergence from the round's start
    # For losses of pairs: adds this times the chosen side's negative log-likelihood a token.
    nll_weight: Annotated[float, Field(ge=0)] = 0.0
    lr: Annotated[float, Field(gt=0)] = 1e-4
    lr_final: Annotated[float, Field(ge=0)] = 1e-5  # the rates of a round fall towards it; the last step's is still above
    lr_round_factor: Annotated[float, Field(gt=0, le=1)] = 1.0  # each round's rates are the last round's times this
    epochs: Positive = 1
    steps: Positive | None = None  # exactly so many optimizer steps a round, in as many epochs as that takes; None: `epochs`
    # A round ends with the step, the first or a later one, at whose end its steps and its reference pass have taken so many
    # seconds; what a resumed round has spent counts. The rates fall by the share of the seconds after the reference pass. None:
    # `steps` or `epochs`.
    seconds: Annotated[float | None, Field(gt=0)] = None
    batch_pairs: Positive = 8  # pairs (for grpo and nll: responses or answers) in an optimizer step, over all ranks
    micro_batch_pairs: Changeable[Positive] = 4  # pairs, responses or answers in a forward pass of one rank
    # For nll: short answers share the rows of long ones and see nothing of each other, so that little padding is computed.
    # False: answers of like length share a pass.
    packing: Changeable[bool] = False
    placement: Changeable[Literal["pack", "strict_pack", "spread"]] = "pack"  # ranks close together, on one node, or apart
    # What losses compare with: the weights at the start of the round, those of the start of the run, or the exponential average
    # of the weights at the start of each round so far (for an adapter, of its two factors). Without lora, `initial` and
    # `average` keep a second copy of the model on each rank, and `average` a third one, float32, in the machine's memory.
    reference: Literal["round", "initial", "average"] = "round"
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.5  # of the average: the share that stays when a round comes in
    zero_stage: Changeable[Annotated[int, Field(ge=0, le=3)]] = 1
    lora: LoraConfig | None = LoraConfig()
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"  # see `fast_dtype` in model.py
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    grad_clip: Annotated[float, Field(gt=0)] = 1.0
    gradient_checkpointing: Changeable[bool] = False
    # What is kept in the machine's memory instead of the GPU's; `parameters` includes the optimizer's states.
    offload: Changeable[Literal["none", "optimizer", "parameters"]] = "none"
    checkpoint_steps: Changeable[Positive | None] = None  # save the state every so many steps; None: only after each round
    canary_tolerance: Annotated[float, Field(gt=0)] = 0.1  # how far learner and sampler may differ, mean nats a token

    @model_validator(mode="after")
    def smoothing_is_for_cdpo(self) -> "LearnerConfig":
        if (self.loss == "cdpo") != (self.label_smoothing > 0):
            raise ValueError(
                "loss cdpo needs label_smoothing above 0, and every other loss needs it to be 0 "
                f"(given {self.loss} and {self.label_smoothing:g})"
            )
        return self

    @model_validator(mode="after")
    def grpo_compares_with_the_sampler(self) -> "LearnerConfig":
        if self.loss == "grpo" and (self.reference != "round" or self.nll_weight):
            raise ValueError(
                "loss grpo needs reference round, the policy that sampled, and nll_weight 0, as it trains on bad responses too "
                f"(given {self.reference} and {self.nll_weight:g})"
            )
        return self

    @model_validator(mode="after")
    def nll_counts_once(self) -> "LearnerConfig":
        if self.loss == "nll" and self.nll_weight:
            raise ValueError(
                "loss nll needs nll_weight 0: it is the negative log-likelihood already, which would count "
                f"{1 + self.nll_weight:g} times (given {self.nll_weight:g})"
            )
        return self

    @model_validator(mode="after")
    def a_round_has_one_length(self) -> "LearnerConfig":
        if self.steps and self.seconds:
            raise ValueError(
                f"only one of steps and seconds says how long a round is (given {self.steps} and {self.seconds:g})"
            )
        return self

    @model_validator(mode="after")
    def packing_is_for_single_sequences(self) -> "LearnerConfig":
        if self.packing and self.loss != "nll":
            raise ValueError(f"packing needs loss nll: pairs share their prompts' passes already (given {self.loss})")
        return self

    @model_validator(mode="after")
    def batch_divides(self) -> "LearnerConfig":
        if self.batch_pairs % (self.workers * self.micro_batch_pairs):
            raise ValueError(
                f"batch_pairs ({self.batch_pairs}) must be a multiple of workers x micro_batch_pairs "
                f"({self.workers} x {self.micro_batch_pairs}): lower micro_batch_pairs, or raise batch_pairs"
            )
        return self

    @model_validator(mode="after")
    def offload_has_its_stage(self) -> "LearnerConfig":
        lowest = {"none": 0, "optimizer": 1, "parameters": 3}[self.offload]
        if self.zero_stage < lowest:
            raise ValueError(f"offload {self.offload!r} needs zero_stage {lowest} or more (given {self.zero_stage})")
        return self
