"""The settings of a run: one small frozen model a stage, checked when the file is loaded and never changed after.

In: a job YAML (sparse overrides of the defaults below). Out: a `Config`, or a `ConfigError` that names the
setting's path. Ranges live in the types. Imports no torch, vllm, deepspeed or ray.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flame_ray.devices import device_problems
from flame_ray.errors import ConfigError

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Workers(Settings):
    """N actors of one kind, and what each asks of the cluster."""

    workers: Positive = 1
    min_workers: Annotated[
        Positive | None, Field(description="enough to begin with, the others join when there is room; None: all of them")
    ] = None
    node_labels: Annotated[dict[str, str], Field(description="only nodes with these Ray labels hold the actors")] = {}
    cpus: Annotated[float, Field(ge=0)] = 0.25
    gpus: Annotated[float, Field(ge=0)] = 0.0
    threads: Annotated[int, Field(ge=0, description="compute threads an actor; 0: as many as the machine has cores")] = 0

    @property
    def least(self) -> int:
        """How many workers are enough to begin."""
        return self.min_workers or self.workers

    @model_validator(mode="after")
    def least_is_least(self) -> "Workers":
        if self.least > self.workers:
            raise ValueError(f"min_workers ({self.min_workers}) must not be more than workers ({self.workers})")
        return self


class RunConfig(Settings):
    """Where the run is written and what makes its random streams; without an id, one is made from name and time.

    `root`: a folder that every node sees, or a URL that every node reaches (s3://, gs://, abfs://; its fsspec driver, such
    as s3fs, must be installed). `keep_checkpoints`: so many last rounds' (None: all).
    """

    name: Name = "run"
    id: Name | None = None
    root: str = "runs"
    seed: int = 0
    rounds: Positive = 3
    save_merged: Annotated[bool, Field(description="beside the adapter, write whole safetensors after each round")] = False
    keep_checkpoints: Positive | None = None


class ClusterConfig(Settings):
    """Which Ray: `local` starts one on this machine (loopback, token on); `auto` joins RAY_ADDRESS; else an address."""

    address: str = "auto"
    dashboard: bool = True
    object_store_gib: Annotated[float, Field(gt=0)] = 2.0
    start_timeout_s: Positive = 300


class ModelConfig(Settings):
    """A built-in name (`smollm2-135m`), a local folder, or a hub id."""

    policy: str = "smollm2-135m"
    revision: str | None = None
    dtype: Literal["bfloat16", "float16", "float32"] = "bfloat16"
    max_length: Positive = 512
    trust_remote_code: bool = False


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


class FactualityConfig(Workers):
    """The factuality reward: which corpus, how much evidence, and which checker decides.

    `query`: evidence is found by the prompt, shared by all responses to it (paper), or by each fact.
    """

    corpus: str = "factbook"
    title_column: str = "title"
    text_column: str = "text"
    decompose: Annotated[Literal["rule", "sentence"], Field(description="sentence: the paper's ablation")] = "rule"
    query: Literal["prompt", "fact"] = "prompt"
    retrieve: Annotated[int, Field(ge=1, description="passages found for a query; paper: 20")] = 20
    keep: Annotated[Positive | None, Field(description="how many of them serve as evidence; paper: 10; None: all")] = None
    checker: Literal["lexical"] = "lexical"
    threshold: Annotated[
        Fraction | None, Field(description="support score from which a fact counts as true; None: the checker's own")
    ] = None
    not_found: Annotated[
        Literal["unsupported", "ignored"], Field(description="how a fact that the evidence does not mention counts")
    ] = "unsupported"


class JudgeConfig(Workers):
    """The instruction-following reward. `rubric`: five additive points, `samples` judgements averaged (paper: 3).

    `backtranslation`: log-likelihood of the instruction given the response, nats a token; a small model can do this one.
    """

    backend: Literal["rubric", "backtranslation"] = "backtranslation"
    model: Annotated[str | None, Field(description="None: the policy's initial model")] = None
    samples: Positive = 3
    temperature: Annotated[float, Field(ge=0)] = 0.7
    max_tokens: Positive = 128
    max_sequences: Positive = 64
    kv_cache_gib: Annotated[float, Field(gt=0)] = 1.0
    gpu_memory: Fraction = 0.4


class PairsConfig(Settings):
    """How scores become pairs. `max_judge_gap` drops a factuality pair whose sides differ by more than this in RM_IF.

    The paper's gap is 0.5 on its 5-point scale; None keeps all. `min_fact_gap` and `min_judge_gap`: the smallest
    difference that counts as a preference. Points tie by themselves; a likelihood never does, and needs the second.
    `recall_at` K ranks by F@K, so that a response does not win by saying less; None, as in the paper, by precision.
    `max_fact_loss` drops an instruction pair whose chosen side is less factual by more than this; None keeps all (paper).
    """

    max_judge_gap: Annotated[float | None, Field(ge=0)] = 0.5
    factuality_per_prompt: Annotated[int, Field(ge=1, description="widest gaps first; paper: 1, and all in its table 7")] = 1
    gamma: Annotated[float, Field(ge=0, description="FActScore's length penalty below this many facts; paper: none")] = 0.0
    recall_at: Positive | None = None
    recall_weight: Annotated[float, Field(gt=0, description="beta: below 1, precision weighs more than recall at K")] = 1.0
    max_fact_loss: Fraction | None = None
    min_fact_gap: Fraction = 0.0
    min_judge_gap: Annotated[float, Field(ge=0)] = 0.0
    drop_truncated: bool = True
    kinds: Annotated[tuple[Literal["instruction", "factuality"], ...], Field(min_length=1)] = ("instruction", "factuality")


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
    lr_round_factor: Annotated[
        float, Field(gt=0, le=1, description="each round's rates are those of the round before times this")
    ] = 1.0
    epochs: Positive = 1
    batch_pairs: Annotated[int, Field(ge=1, description="pairs an optimizer step, over all ranks")] = 8
    micro_batch_pairs: Annotated[int, Field(ge=1, description="pairs a forward pass, a rank")] = 4
    placement: Annotated[
        Literal["pack", "strict_pack", "spread"], Field(description="ranks close together, on one node, or apart")
    ] = "pack"
    reference: Literal["round", "initial"] = "round"
    zero_stage: Annotated[int, Field(ge=0, le=3)] = 1
    lora: LoraConfig | None = LoraConfig()
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    grad_clip: Annotated[float, Field(gt=0)] = 1.0
    gradient_checkpointing: bool = False
    offload: Annotated[
        Literal["none", "optimizer", "parameters"],
        Field(description="kept in the machine's memory instead of the GPU's; parameters: and the optimizer"),
    ] = "none"
    checkpoint_steps: Annotated[
        Positive | None,
        Field(description="optimizer steps between durable states inside a round; None: only at the end of a round"),
    ] = None
    canary_tolerance: Annotated[float, Field(gt=0, description="mean nats a token by which learner and sampler may differ")] = (
        0.1
    )

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


class WeightsConfig(Settings):
    """How weights reach the samplers. `object_store`: through Ray, on any machine. `checkpoint`: through the merged folder
    that each round writes. `lora`: the adapter's folder alone, swapped in place over the initial weights. From GPU to GPU by
    vLLM's own engines: `nccl`, and `ipc` where samplers and learner share them; a sampler that joins later loads the folder.
    """

    backend: Literal["object_store", "checkpoint", "lora", "nccl", "ipc"] = "object_store"
    chunk_mib: Annotated[int, Field(ge=1, description="how much of the model is gathered and sent at a time")] = 256


class PipelineConfig(Settings):
    """What runs side by side. `staleness` 1: a round is sampled, by weights one version behind, while the last one trains.

    `stream`: a group is scored while others are sampled. Where samplers and judge share a few cores it only slows both.
    `colocated`: samplers, judge and learner share GPUs, and take turns on them.
    """

    stream: bool = True
    staleness: Annotated[int, Field(ge=0, le=1)] = 0
    colocated: bool = False


class EvaluationConfig(Settings):
    """The held-out prompts, greedy. `bootstrap`: resamples behind each 95 % interval."""

    max_tokens: Positive | None = None
    bootstrap: Annotated[int, Field(ge=100)] = 1000


class Config(Settings):
    """A whole job. Every section has defaults; a job file names only what differs."""

    run: RunConfig = RunConfig()
    cluster: ClusterConfig = ClusterConfig()
    model: ModelConfig = ModelConfig()
    prompts: PromptsConfig = PromptsConfig()
    classify: ClassifyConfig = ClassifyConfig()
    rollout: RolloutConfig = RolloutConfig()
    factuality: FactualityConfig = FactualityConfig()
    judge: JudgeConfig = JudgeConfig()
    pairs: PairsConfig = PairsConfig()
    learner: LearnerConfig = LearnerConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    weights: WeightsConfig = WeightsConfig()
    pipeline: PipelineConfig = PipelineConfig()

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


def load_config(path: Path | str, overrides: tuple[str, ...] = ()) -> Config:
    """Read a job YAML; each override is `section.key=value` with a YAML value. Raises ConfigError."""
    path = Path(path)
    if not path.is_file():
        raise ConfigError("a job file (YAML)", f"nothing at {path}", "give the path of a file such as jobs/quickstart.yaml")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("a job file in YAML", f"{path}: {error}", "correct the line that is named") from error
    if not isinstance(tree, dict):
        raise ConfigError(
            "sections such as `run:` and `rollout:`", f"{path} holds a {type(tree).__name__}", "see jobs/quickstart.yaml"
        )
    for override in overrides:
        _apply(tree, override)
    return parse_config(tree, str(path))


def parse_config(tree: dict, where: str) -> Config:
    """Check a tree of settings; `where` names its origin in errors."""
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(
            "settings that this version knows",
            _describe(error, where),
            "see flame_ray/config.py for every setting and its range",
        ) from error


WHERE_NOT_WHAT = re.compile(
    r"cluster\..*|run\.(id|root|keep_checkpoints)"
    r"|(rollout|factuality|judge|learner)\.(workers|min_workers|cpus|gpus|threads|node_labels.*)"
    r"|(rollout|judge)\.(max_sequences|kv_cache_gib|gpu_memory|batch_sequences)"
    r"|weights\..*|rollout\.tensor_parallel|pipeline\.colocated"
    r"|learner\.(placement|zero_stage|offload|micro_batch_pairs|gradient_checkpointing|checkpoint_steps)"
)


def changed_settings(before: Config, after: Config) -> list[str]:
    """`path: before -> after` of each setting that says what is learned; those that say where and how fast may change."""
    old, new = _leaves(before.model_dump(mode="json")), _leaves(after.model_dump(mode="json"))
    return [
        f"{path}: {old.get(path)!r} -> {new.get(path)!r}"
        for path in sorted(old.keys() | new.keys())
        if old.get(path) != new.get(path) and not WHERE_NOT_WHAT.fullmatch(path)
    ]


def _leaves(tree: dict, prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves.update(_leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return leaves


def _apply(tree: dict, override: str) -> None:
    key, equals, value = override.partition("=")
    *sections, leaf = key.split(".")
    if not equals or not sections:
        raise ConfigError("--set section.key=value", override, "name the section, as in --set rollout.workers=2")
    for section in sections:
        node = tree[section] = {} if tree.get(section) is None else tree[section]
        if not isinstance(node, dict):
            raise ConfigError("a section", f"`{section}` in {override} is a value", "name the section, then the setting")
        tree = node
    try:
        tree[leaf] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError("--set section.key=value with a YAML value", f"{override}: {error}", "quote the value") from error


def _describe(error: ValidationError, where: str) -> str:
    return f"in {where}: " + "; ".join(_described(item) for item in error.errors())


def _described(item: Any) -> str:
    """What concerns several sections has no path, and names its settings itself."""
    path, message = ".".join(str(part) for part in item["loc"]), item["msg"].removeprefix("Value error, ")
    return f"{path}: {message} (given {item['input']!r:.80})" if path else message
