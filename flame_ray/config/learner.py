"""How the policy learns from pairs."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from flame_ray.config.base import Changeable, Fraction, Positive, Settings, Workers


class LoraConfig(Settings):
    r: Positive = 16
    alpha: Positive = 32
    dropout: Fraction = 0.0
    target_modules: str | tuple[str, ...] = "all-linear"


class LearnerConfig(Workers):
    """DPO on DeepSpeed (paper: beta 0.1, batch 64, rate 1e-6 decayed to 1e-7, full parameters). `workers` is the rank count."""

    beta: Annotated[float, Field(gt=0)] = 0.1
    nll_weight: Annotated[
        float, Field(ge=0, description="added: the chosen side's negative log-likelihood a token, times this; paper: none")
    ] = 0.0
    lr: Annotated[float, Field(gt=0)] = 1e-4
    lr_final: Annotated[float, Field(ge=0)] = 1e-5
    lr_round_factor: Annotated[float, Field(gt=0, le=1)] = 1.0  # each round's rates are the last round's times this
    epochs: Positive = 1
    batch_pairs: Positive = 8  # pairs an optimizer step, over all ranks
    micro_batch_pairs: Changeable[Positive] = 4  # pairs a forward pass, on each rank
    placement: Changeable[Literal["pack", "strict_pack", "spread"]] = "pack"  # ranks close together, on one node, or apart
    reference: Literal["round", "initial"] = "round"
    zero_stage: Changeable[Annotated[int, Field(ge=0, le=3)]] = 1
    lora: LoraConfig | None = LoraConfig()
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    grad_clip: Annotated[float, Field(gt=0)] = 1.0
    gradient_checkpointing: Changeable[bool] = False
    # What is kept in the machine's memory instead of the GPU's; parameters: the optimizer's states as well.
    offload: Changeable[Literal["none", "optimizer", "parameters"]] = "none"
    # Optimizer steps between stored states inside a round; None: store only at the end of a round.
    checkpoint_steps: Changeable[Positive | None] = None
    canary_tolerance: Annotated[float, Field(gt=0)] = 0.1  # mean nats a token by which learner and sampler may differ

    @model_validator(mode="after")
    def batch_divides(self) -> "LearnerConfig":
        if self.batch_pairs % (self.workers * self.micro_batch_pairs):
            raise ValueError(
                f"batch_pairs ({self.batch_pairs}) must be a multiple of workers x micro_batch_pairs "
                f"({self.workers} x {self.micro_batch_pairs})"
            )
        return self

    @model_validator(mode="after")
    def offload_has_its_stage(self) -> "LearnerConfig":
        lowest = {"none": 0, "optimizer": 1, "parameters": 3}[self.offload]
        if self.zero_stage < lowest:
            raise ValueError(f"offload {self.offload!r} needs zero_stage {lowest} or more (given {self.zero_stage})")
        return self
