"""The settings of a run: one small frozen model a stage, checked when the file is loaded and never changed after.

    place      run, cluster, model, weights, pipeline
    prompts    prompts, classify, rollout, evaluation
    rewards    factuality, verifier, judge, pairs, score
    learner    learner
    checker    train_checker

Ranges live in the types; `load.py` reads job files. Imports no torch, vllm, deepspeed or ray.
"""

from pydantic import model_validator

from flame_ray.config.base import Settings, Workers
from flame_ray.config.learner import LearnerConfig, LoraConfig
from flame_ray.config.prompts import ClassifyConfig, EvaluationConfig, PromptsConfig, PromptSource, RolloutConfig
from flame_ray.config.rewards import FactualityConfig, JudgeConfig, PairsConfig, ScoreConfig, VerifierConfig
from flame_ray.config.run import ClusterConfig, ModelConfig, PipelineConfig, RunConfig, WeightsConfig
from flame_ray.config.train_checker import TrainCheckerConfig
from flame_ray.config.validate import device_problems

__all__ = [
    "ClassifyConfig",
    "ClusterConfig",
    "Config",
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
    "Settings",
    "VerifierConfig",
    "WeightsConfig",
    "Workers",
]


class Config(Settings):
    """A whole job. Every section has defaults; a job file names only what differs."""

    run: RunConfig = RunConfig()
    cluster: ClusterConfig = ClusterConfig()
    model: ModelConfig = ModelConfig()
    prompts: PromptsConfig = PromptsConfig()
    classify: ClassifyConfig = ClassifyConfig()
    rollout: RolloutConfig = RolloutConfig()
    factuality: FactualityConfig = FactualityConfig()
    verifier: VerifierConfig = VerifierConfig()
    judge: JudgeConfig = JudgeConfig()
    pairs: PairsConfig = PairsConfig()
    learner: LearnerConfig = LearnerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    weights: WeightsConfig = WeightsConfig()
    pipeline: PipelineConfig = PipelineConfig()
    score: ScoreConfig = ScoreConfig()
    train_checker: TrainCheckerConfig = TrainCheckerConfig()

    @model_validator(mode="after")
    def weights_have_their_folder(self) -> "Config":
        if self.weights.backend == "lora" and self.learner.lora is None:
            raise ValueError("weights.backend lora needs learner.lora (given null)")
        writes_folder = self.learner.lora is None or self.run.save_merged
        if self.weights.backend in ("checkpoint", "nccl", "ipc") and not writes_folder:
            raise ValueError(f"weights.backend {self.weights.backend} needs run.save_merged true, which writes the folder")
        return self

    @model_validator(mode="after")
    def samplers_reach_the_folder(self) -> "Config":
        backend, root = self.weights.backend, self.run.root
        if "://" in root and not root.startswith("file://") and backend != "object_store":
            raise ValueError(
                f"weights.backend {backend} needs run.root on a filesystem that every node mounts (given {root}); "
                "weights.backend object_store does not"
            )
        return self

    @model_validator(mode="after")
    def devices_fit(self) -> "Config":
        for problem in device_problems(self):
            raise ValueError(problem)
        return self
