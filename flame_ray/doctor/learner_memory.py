"""What one rank of the learner holds, by arithmetic alone.

In: a model's shape, the learner's settings, the length of sequences. Out: bytes on its GPU and on the machine. Knows nothing
of other roles. Symbols: P parameters, T of them trained, N ranks, e bytes a number, h hidden size, V vocabulary.
"""

from dataclasses import replace

from flame_ray.config import LearnerConfig, LoraConfig
from flame_ray.doctor.checks import GIB
from flame_ray.doctor.memory import BYTES, FLOAT32, GPU_PROCESS_DEVICE, GPU_PROCESS_HOST, Memory
from flame_ray.doctor.shape import ModelShape

LEARNER_PROCESS = 1.0 * GIB  # measured with DeepSpeed 0.19.8: 0.5 after its import, the rest while it trains
BUCKET = 500_000_000  # numbers in DeepSpeed's reduce bucket
LIVE = 1_000_000_000  # parameters that ZeRO-3 keeps whole at a time
EAGER_COLUMNS = 256  # up to which the learner takes plain attention on a CPU


def learner_memory(shape: ModelShape, learner: LearnerConfig, length: int, response: int) -> tuple[Memory, Memory]:
    """A rank's share of its GPU, and of the machine (the first is empty without a GPU).

    Model states as `model_states`; with `offload` they move to the machine, as DeepSpeed's estimators have it. The frozen
    reference of full training against the initial model is a second P e, which nothing divides. While it loads, a rank
    holds the whole model in the machine's memory: P e, whatever the stage.
    """
    e = BYTES[learner.dtype]
    trained = shape.parameters if learner.lora is None else lora_parameters(shape, learner.lora)
    ranks, stage = learner.workers, learner.zero_stage
    weights, gradients, optimizer = model_states(shape.parameters, trained, ranks, stage, e)
    second = shape.parameters * e if learner.lora is None and learner.reference == "initial" else 0
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
        return Memory(), replace(work, other=work.other + LEARNER_PROCESS)
    return _placed(work, shape.parameters * e, learner, second)


def _placed(work: Memory, whole: float, learner: LearnerConfig, second: float) -> tuple[Memory, Memory]:
    """What of a rank's work lies on its GPU, and what on the machine."""
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
    ranks, stage 2 the gradients too, stage 3 the weights too (section 5). To the 12 we add 4: DeepSpeed makes a float32 copy
    of its share of the gradients for the step, which its own estimators count as well. Only trained parameters have
    gradients and states.
    """
    weights = parameters * e / (ranks if stage >= 3 else 1)
    gradients = trained * e / (ranks if stage >= 2 else 1)
    return weights, gradients, trained * (12 + FLOAT32) / (ranks if stage >= 1 else 1)


def lora_parameters(shape: ModelShape, lora: LoraConfig) -> int:
    """T of adapters on all linear layers of a Llama: r (inputs + outputs) each. Fewer targets train fewer."""
    h, i = shape.hidden, shape.intermediate
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    return lora.r * shape.layers * (2 * (h + queries) + 2 * (h + keys) + 3 * (h + i))


def activation_bytes(shape: ModelShape, rows: int, length: int, e: int, checkpointing: bool, on_gpu: bool) -> float:
    """What a Llama keeps for its backward pass, for `rows` sequences of `length`, and as much again for the layer at work.

    A token and layer: e (4 h + 2 a + 2 k + 4 i) + 8 h, with a and k the widths of all query and of all key heads, i the
    MLP's; the 8 h are the two norms in float32. Counted from the tensors that transformers 5.19 saves; the account for GPT
    is in arXiv 2205.05198, section 4.1. Plain attention (up to 256 columns on a CPU) repeats keys and values for every query
    head, and adds to each column and head a softmax in float32 and its copy in e. With checkpointing a layer keeps e h.
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
    """Logits of the response columns and one more, and their gradient: 2 e V a column, so 4 V in bfloat16."""
    return 2 * e * shape.vocabulary * rows * (response + 1)


def _buffers(parameters: int, trained: int, learner: LearnerConfig, e: int) -> float:
    """DeepSpeed's reduce bucket (a GPU gives it whole, a CPU as far as it is used), and ZeRO-3's gathered parameters."""
    bucket = BUCKET if learner.gpus else min(trained, BUCKET)
    gathered = min(parameters, LIVE) if learner.zero_stage == 3 and learner.workers > 1 else 0
    return e * ((bucket if learner.zero_stage else 0) + gathered)
