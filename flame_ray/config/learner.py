"""How the policy is trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, model_validator

from flame_ray.config.base import Changeable, Fraction, Positive, Settings, Workers

LossName = Literal["dpo", "ipo", "cdpo", "fdpo", "mask_dpo", "grpo", "nll"]


@dataclass(frozen=True, slots=True)
class LossKind:
    """What the stages, the engine and the commands ask of a loss."""

    trains_on: Literal["pairs", "graded", "answers"] = "pairs"
    """graded: responses with their advantages; answers: the best of each prompt's responses, or demonstrations."""
    takes_file: bool = False
    """Whether the pairs of `pairs.file` are enough for it: it compares two answers, and reads no facts or samples."""
    compares_factuality: bool = False
    """Whether the more factual side of each pair is to be the chosen one."""
    reads_sentences: bool = False
    """Whether it finds sentences among the tokens, for which it needs their texts."""
    is_on_policy: bool = False
    """Whether its reference must be the policy that sampled."""


LOSSES: Mapping[LossName, LossKind] = {
    "dpo": LossKind(takes_file=True),
    "ipo": LossKind(takes_file=True),
    "cdpo": LossKind(takes_file=True),
    "fdpo": LossKind(takes_file=True, compares_factuality=True),
    "mask_dpo": LossKind(reads_sentences=True),
    "grpo": LossKind("graded", is_on_policy=True),
    "nll": LossKind("answers"),
}
COMPARING = tuple(name for name, kind in LOSSES.items() if kind.takes_file)


class LoraConfig(Settings):
    """The adapter that is trained in place of all parameters."""

    r: Positive = 16
    """Rank of the adapter."""
    alpha: Positive = 32
    """Scale of the adapter: its product is multiplied by alpha / r."""
    dropout: Fraction = 0.0
    """The share of the adapter's inputs that is dropped in training."""
    target_modules: str | tuple[str, ...] = "all-linear"
    """The layers that are adapted, by their names in the model; all-linear: all linear layers but the last."""


class LearnerConfig(Workers):
    """Training on DeepSpeed; `workers` is the number of ranks.

    The paper: DPO with beta 0.1, 64 pairs a batch, and rates from 1e-6 to 1e-7, on all parameters.
    """

    loss: LossName = "dpo"
    """What is minimized. dpo, ipo, cdpo (DPO with smoothed labels), fdpo and mask_dpo (DPO that reads facts) train on pairs;
    grpo and nll on single responses.
    """
    beta: Annotated[float, Field(gt=0)] = 0.1
    """Scale of DPO's implicit reward; for ipo, its tau."""
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    """For cdpo: the share of pairs that may be wrong."""
    fact_margin: Annotated[float, Field(ge=0)] = 10.0
    """For fdpo, its lambda: by how many nats more sides that differ by 1 in factuality must differ. The authors try 0 to
    100.
    """
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """For grpo: how far the ratio of a response, a token's mean, may go from 1."""
    kl_weight: Annotated[float, Field(ge=0)] = 0.0
    """For grpo: the loss adds this times the divergence from the round's start."""
    nll_weight: Annotated[float, Field(ge=0)] = 0.0
    """For losses of pairs: they add this times the chosen side's negative log-likelihood a token."""
    lr: Annotated[float, Field(gt=0)] = 1e-4
    """The learning rate with which a round starts."""
    lr_final: Annotated[float, Field(ge=0)] = 1e-5
    """The rates of a round fall towards this; the last step's is still above it."""
    lr_round_factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Each round's rates are the previous round's times this."""
    epochs: Positive = 1
    """How often a round goes through its pairs; not used where `steps` or `seconds` is set."""
    steps: Positive | None = None
    """Exactly so many optimizer steps a round, in as many epochs as that takes; null: `epochs`."""
    seconds: Annotated[float | None, Field(gt=0)] = None
    """A round ends with the step, the first or a later one, at whose end its steps and its reference pass have taken so many
    seconds; what a resumed round has spent counts. The rates fall by the share of the seconds after the reference pass. null:
    `steps` or `epochs`.
    """
    batch_pairs: Positive = 8
    """Pairs (for grpo and nll: responses or answers) in an optimizer step, over all ranks."""
    micro_batch_pairs: Changeable[Positive] = 4
    """Pairs, responses or answers in a forward pass of one rank."""
    packing: Changeable[bool] = False
    """For nll. true: short answers share the rows of long ones and see nothing of each other, so that little padding is
    computed. false: answers of like length share a pass.
    """
    placement: Changeable[Literal["pack", "strict_pack", "spread"]] = "pack"
    """How the ranks are placed: pack, close together; strict_pack, on one node; spread, apart."""
    reference: Literal["round", "initial", "average"] = "round"
    """What losses compare with. round: the weights at the start of the round. initial: those at the start of the run. average:
    the exponential average of the weights at the start of each round so far (for an adapter, of its two factors). Without lora,
    `initial` and `average` keep a second copy of the model on each rank, and `average` a third one, float32, in the machine's
    memory.
    """
    average_decay: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """For reference average: the share of the average that stays when a round comes in."""
    zero_stage: Changeable[Annotated[int, Field(ge=0, le=3)]] = 1
    """DeepSpeed's ZeRO: what the ranks divide among them. 0: nothing; 1: the optimizer's states; 2: the gradients too; 3: the
    parameters too.
    """
    lora: LoraConfig | None = LoraConfig()
    """An adapter is trained; null: all parameters are."""
    dtype: Literal["auto", "bfloat16", "float32"] = "auto"
    """What the learner computes in. auto: bfloat16 beside samplers that compute in 16 bits, otherwise as for model.dtype."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """AdamW's weight decay."""
    grad_clip: Annotated[float, Field(gt=0)] = 1.0
    """Longer gradients are cut to this norm."""
    gradient_checkpointing: Changeable[bool] = False
    """Compute activations a second time instead of storing them: less memory, and slower."""
    offload: Changeable[Literal["none", "optimizer", "parameters"]] = "none"
    """What is kept in the machine's memory instead of the GPU's; `parameters` includes the optimizer's states."""
    checkpoint_steps: Changeable[Positive | None] = None
    """Save the state every so many steps; null: only after each round."""
    canary_tolerance: Annotated[float, Field(gt=0)] = 0.1
    """How far the log-probabilities of learner and sampler may differ after a push, in mean nats a token."""

    @property
    def loss_kind(self) -> LossKind:
        return LOSSES[self.loss]

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
            raise ValueError(f"offload {self.offload} needs zero_stage {lowest} or more (given {self.zero_stage})")
        return self
