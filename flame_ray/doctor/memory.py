"""How a job's memory is written down, and what a number and a process take.

In: bytes. Out: the `Memory` of an actor in one place, the `Need` of a role, the `Plan` of a job. Does not know how they are
worked out.
"""

from dataclasses import astuple, dataclass

from flame_ray.doctor.checks import GIB

BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
FLOAT32 = 4
DRIVER = 0.8 * GIB  # measured
RAY = 0.7 * GIB  # Ray's own processes on a node, measured
GPU_PROCESS_HOST = 3.0 * GIB  # assumed: what a process with CUDA holds of the machine's memory
GPU_PROCESS_DEVICE = 1.5 * GIB  # assumed: CUDA context, workspaces, NCCL's buffers


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one actor in one place, by what holds them."""

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
    """One role: what each of its actors takes of its GPU (nothing, if `gpus` is 0) and of the machine.

    `split`: over how many GPUs an actor is divided; `device` is what it takes of each.
    """

    role: str
    workers: int
    gpus: float
    device: Memory
    host: Memory
    split: int = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole job. `transfer`: one copy of the weights, in the object store of each node that sends or receives them."""

    needs: tuple[Need, ...]
    transfer: float
    disk: float

    @property
    def host(self) -> float:
        """All of it on one machine: actors, driver, Ray and a copy of the weights on their way."""
        return sum(need.workers * need.host.total for need in self.needs) + self.transfer + DRIVER + RAY

    def need(self, role: str) -> Need:
        return next(need for need in self.needs if need.role == role)
