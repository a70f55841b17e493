"""The learner's half of vLLM's weight transfer, without a GPU: what is sent, by whom, and to whom channels stay open.

vLLM's own trainer side for ranks that do not send runs as it is; that of the sender needs a GPU, and has a double.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from vllm.distributed.weight_transfer.factory import WeightTransferTrainerFactory
from vllm.distributed.weight_transfer.ipc_engine import IPCTrainerInitInfo
from vllm.distributed.weight_transfer.nccl_engine import NCCLTrainerInitInfo

from flame_ray.engines import device_transfer
from flame_ray.engines.base import Rendezvous
from flame_ray.engines.device_transfer import DeviceSender, MergedSource, WorkersClient
from flame_ray.engines.weight_chunks import to_arrays
from flame_ray.engines.weight_receiver import RECEIVERS, IpcReceiver, NcclReceiver, ObjectStoreReceiver, fetch, receiver
from tests.unit.engines.samples import EMBEDDINGS, LIMIT, build

MEETING = Rendezvous("10.0.0.7", 4567, worker_ranks=(2,))


class FakeTrainer:
    """A trainer side that remembers how it was opened, what went through it, and that it was closed."""

    def __init__(self, init_info: Any, client: Any, source: MergedSource):
        self.init_info, self.client, self.source = init_info, client, source
        self.sent: list[list[tuple[str, torch.Tensor]]] = []
        self.is_closed = False

    def send_weights(self) -> None:
        self.sent.append(list(self.source))

    def shutdown(self) -> None:
        self.is_closed = True


def sender(backend: str = "nccl", limit: int = LIMIT) -> tuple[DeviceSender, list[FakeTrainer]]:
    opened: list[FakeTrainer] = []

    def open(init_info, client, source):
        opened.append(FakeTrainer(init_info, client, source))
        return opened[-1]

    return DeviceSender(backend, 0, build()[1], limit, open), opened


def test_names_dtypes_and_shapes_are_known_before_anything_is_gathered():
    _, merged, gathering, _ = build()
    source = MergedSource(merged, LIMIT)
    told = [(meta.name, meta.dtype, meta.shape) for meta in source.metadata()]
    assert gathering.gathered == []
    assert told == [(name, value.dtype, tuple(value.shape)) for name, value in source]
    assert [name for name, _ in source] == [name for name, _, _ in told]  # again, for the next worker


def test_a_rank_that_does_not_send_gathers_everything_all_the_same():
    """With vLLM's own NCCL trainer side (its IPC one looks at its GPU): it calls nothing of the workers, None here."""
    _, merged, gathering, _ = build()
    rank_1 = DeviceSender("nccl", 1, merged, LIMIT, WeightTransferTrainerFactory.trainer_init)
    rank_1.send([None], MEETING)
    assert len(gathering.gathered) == len(merged.chunk_ranges(LIMIT))
    rank_1.send([None], MEETING)
    assert len(gathering.gathered) == 2 * len(merged.chunk_ranges(LIMIT))


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_the_weights_are_gathered_once_however_many_workers_there_are(workers):
    _, merged, gathering, _ = build()
    made = DeviceSender("nccl", 0, merged, LIMIT, FakeTrainer)
    made.send(range(workers), Rendezvous("10.0.0.7", 4567, (2,) * workers))
    assert len(gathering.gathered) == len(merged.chunk_ranges(LIMIT))


def test_nccl_meets_at_the_address_with_the_ranks_of_all_engines_and_one():
    made, opened = sender()
    made.send(["a", "b"], Rendezvous("10.0.0.7", 4567, (2, 4)))
    info = opened[0].init_info
    assert isinstance(info, NCCLTrainerInitInfo) and info.packed and info.is_sender
    assert (info.master_address, info.master_port, info.world_size) == ("10.0.0.7", 4567, 7)


@pytest.mark.parametrize(("limit", "size"), [(LIMIT, EMBEDDINGS), (10_000, 10_000)])
@pytest.mark.parametrize(("backend", "kind"), [("nccl", NCCLTrainerInitInfo), ("ipc", IPCTrainerInitInfo)])
def test_buffers_are_of_a_chunks_size_or_of_the_largest_tensors(backend, kind, limit, size):
    """vLLM's IPC refuses a tensor that is larger than its buffer."""
    made, opened = sender(backend, limit)
    made.send(["worker"], MEETING)
    assert isinstance(opened[0].init_info, kind) and opened[0].init_info.packed
    assert opened[0].init_info.packed_buffer_size_bytes == size


def test_the_same_workers_are_met_once_and_sent_the_weights_of_each_push():
    made, opened = sender()
    for workers in (["a", "b"], ["b", "a"], ["a", "b"]):
        made.send(workers, Rendezvous("10.0.0.7", 4567, (2, 2)))
    assert [len(trainer.sent) for trainer in opened] == [3] and not opened[0].is_closed


def test_other_workers_are_met_anew_and_the_channel_to_those_of_before_is_closed():
    made, opened = sender()
    for workers in (["a", "b"], ["b", "c"]):
        made.send(workers, Rendezvous("10.0.0.7", 4567, (2, 2)))
    assert [trainer.is_closed for trainer in opened] == [True, False]


@dataclass
class FakeWorker:
    """A worker's handle that notes what it is told; `ray.get` is given its answers."""

    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def transfer(self) -> "FakeWorker":
        return self

    def remote(self, step: str, arguments: dict[str, Any]) -> None:
        self.told.append((step, arguments))


@pytest.fixture
def workers(monkeypatch) -> list[FakeWorker]:
    monkeypatch.setattr(device_transfer.ray, "get", lambda calls, timeout: None)
    return [FakeWorker(), FakeWorker(), FakeWorker()]


def test_every_worker_is_led_through_the_update_and_has_ranks_of_its_own(workers):
    client = WorkersClient(workers, Rendezvous("10.0.0.7", 4567, (2, 1, 4)))
    client.init_weight_transfer_engine({"rank_offset": 1, "world_size": 8})
    client.start_weight_update()
    client.update_weights({"names": ["norm"]})
    client.finish_weight_update()
    offsets = [worker.told[0][1]["init_info"]["rank_offset"] for worker in workers]
    assert offsets == [1, 3, 4] and all(worker.told[0][1]["init_info"]["world_size"] == 8 for worker in workers)
    rest = [
        ("start_weight_update", {}),
        ("update_weights", {"update_info": {"names": ["norm"]}}),
        ("finish_weight_update", {}),
    ]
    assert [worker.told[1:] for worker in workers] == [rest] * 3


def test_ipc_has_no_ranks(workers):
    WorkersClient(workers, Rendezvous("10.0.0.7", 4567, (1, 1, 1))).init_weight_transfer_engine({"packed": True})
    assert [worker.told for worker in workers] == [[("init_weight_transfer_engine", {"init_info": {"packed": True}})]] * 3


class FakeModel:
    def __init__(self):
        self.loaded: dict[str, torch.Tensor] = {}

    def load_weights(self, named) -> None:
        self.loaded.update(named)


@pytest.mark.parametrize(("backend", "kind"), [("nccl", NcclReceiver), ("ipc", IpcReceiver)])
def test_an_engine_that_is_sent_to_loads_chunks_as_well(backend, kind):
    assert RECEIVERS[receiver(backend)] is kind
    made = object.__new__(kind)
    made.model = FakeModel()
    made.update_weights({"chunk": to_arrays([("norm", torch.ones(2))], "float32")})
    assert made.model.loaded["norm"].tolist() == [1, 1]


def test_what_is_no_chunk_goes_to_vllms_own_receiver():
    made = object.__new__(NcclReceiver)
    made.model_update_group = None
    with pytest.raises(RuntimeError, match="not initialized"):
        made.update_weights({"names": [], "dtype_names": [], "shapes": []})


@pytest.mark.parametrize("backend", ["object_store", "checkpoint", "lora"])
def test_every_other_way_needs_no_gpu(backend):
    assert RECEIVERS[receiver(backend)] is ObjectStoreReceiver


def test_an_engine_with_processes_of_its_own_is_given_the_weights_and_no_reference():
    """Ray does not know those processes; see also the chaos test of a split engine."""
    chunk = to_arrays([("norm", torch.ones(2))], "float32")
    assert fetch(chunk) is chunk and fetch("a folder") == "a folder"
