"""The settings of a run: one small frozen model a stage, checked when the file is loaded and never changed after.

    run              run, cluster, pipeline
    model            model, weights
    prompts          prompts, classify, self_instruct, rollout, evaluation
    rewards          factuality, verifier, judge, pairs, score
    learner          learner
    sft              sft
    reward_training  train_checker, train_judge
    suites           suites

Ranges live in the types. A setting that a resumed run may change says so beside itself: `Changeable[...]`.
"""

from typing import Any

from pydantic import JsonValue, model_validator

from flame_ray.config.base import Changeable, EngineWorkers, Settings, Workers
from flame_ray.config.learner import LearnerConfig, LoraConfig
from flame_ray.config.model import ModelConfig, WeightsConfig, fast_dtype
from flame_ray.config.prompts import (
    ClassifyConfig,
    EvaluationConfig,
    PromptsConfig,
    PromptSource,
    RolloutConfig,
    SelfInstructConfig,
)
from flame_ray.config.reward_training import TrainCheckerConfig, TrainJudgeConfig
from flame_ray.config.rewards import FactualityConfig, JudgeConfig, PairsConfig, ScoreConfig, VerifierConfig
from flame_ray.config.run import ClusterConfig, PipelineConfig, RunConfig
from flame_ray.config.sft import DemonstrationSource, ElicitConfig, SftConfig
from flame_ray.config.suites import SuitesConfig
from flame_ray.config.validate import problems

__all__ = [
    "ClassifyConfig",
    "ClusterConfig",
    "Config",
    "DemonstrationSource",
    "ElicitConfig",
    "EngineWorkers",
    "EvaluationConfig",
    "FactualityConfig",
    "JudgeConfig",
    "LearnerConfig",
    "LoraConfig",
    "ModelConfig",
    "PairsConfig",
    "PipelineConfig",
    "PromptSource",
    "PromptsConfig",
    "RolloutConfig",
    "RunConfig",
    "ScoreConfig",
    "SelfInstructConfig",
    "Settings",
    "SftConfig",
    "SuitesConfig",
    "VerifierConfig",
    "WeightsConfig",
    "Workers",
]


class Config(Settings):
    """A whole job. Every setting has a default, and a job file names only those that differ."""

    run: RunConfig = RunConfig()
    cluster: Changeable[ClusterConfig] = ClusterConfig()
    model: ModelConfig = ModelConfig()
    prompts: PromptsConfig = PromptsConfig()
    classify: ClassifyConfig = ClassifyConfig()
    rollout: RolloutConfig = RolloutConfig()
    factuality: FactualityConfig = FactualityConfig()
    verifier: VerifierConfig = VerifierConfig()
    judge: JudgeConfig = JudgeConfig()
    pairs: PairsConfig = PairsConfig()
    learner: LearnerConfig = LearnerConfig()
    sft: SftConfig = SftConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    weights: Changeable[WeightsConfig] = WeightsConfig()
    pipeline: PipelineConfig = PipelineConfig()
    score: Changeable[ScoreConfig] = ScoreConfig()
    suites: Changeable[SuitesConfig] = SuitesConfig()
    self_instruct: Changeable[SelfInstructConfig] = SelfInstructConfig()
    train_checker: Changeable[TrainCheckerConfig] = TrainCheckerConfig()
    train_judge: Changeable[TrainJudgeConfig] = TrainJudgeConfig()

    def replaced(self, section: str, **settings: Any) -> "Config":
        """The same job with other settings in one section. They are taken as they are: nothing checks them.

        >>> Config().replaced("run", rounds=7, seed=1).run.rounds
        7
        """
        return self.model_copy(update={section: getattr(self, section).model_copy(update=settings)})

    @property
    def judge_variables(self) -> dict[str, JsonValue]:
        """The variables of the judge's chat template."""
        of_policy = {} if self.judge.model else self.model.chat_template_kwargs
        return of_policy | self.judge.chat_template_kwargs

    @property
    def verifier_variables(self) -> dict[str, JsonValue]:
        """The variables of the verifier's chat template."""
        of_policy = {} if self.factuality.verifier_model else self.model.chat_template_kwargs
        return of_policy | self.verifier.chat_template_kwargs

    @property
    def longest_answer(self) -> int:
        """The most tokens that an answer may have, in training or in the evaluation."""
        return max(self.rollout.max_tokens, self.evaluation.max_tokens or 0)

    @model_validator(mode="after")
    def dtypes_fit_the_devices(self) -> "Config":
        """Replaces `auto` for good: a run that is resumed on another machine keeps the dtype that it began with.

        Beside samplers that compute in 16 bits, the learner does so too, so that they get the weights that it has.
        """
        verifier = self.verifier.gpus if self.factuality.asks_verifier else 0
        engines = self.rollout.gpus or self.judge.gpus or verifier
        for section, gpus in (("model", engines), ("learner", self.learner.gpus)):
            settings = getattr(self, section)
            if settings.dtype == "auto":
                dtype = "bfloat16" if section == "learner" and self.model.dtype != "float32" else fast_dtype(gpus)
                object.__setattr__(self, section, settings.model_copy(update={"dtype": dtype}))
        return self

    @property
    def shares_gpus(self) -> bool:
        """Whether each GPU has one sampler, one judge and one rank of the learner, who take turns on it."""
        return self.pipeline.colocated and self.learner.gpus > 0

    @model_validator(mode="after")
    def settings_go_together(self) -> "Config":
        for problem in problems(self):
            raise ValueError(problem)
        return self
