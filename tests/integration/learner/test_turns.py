"""A learner that leaves its GPU and comes back learns on as if it had stayed, and sends itself into a worker from all ranks.

Without a GPU nothing moves, but DeepSpeed runs its own code for it, and splits and gathers as it would.
"""

import numpy as np
import pytest
import ray
import torch

from flame_ray.config import LoraConfig
from flame_ray.engines.weight_chunks import to_tensors
from flame_ray.errors import EngineError
from tests.integration.learner.fake_worker import FakeWorker

LORA = LoraConfig(r=3, alpha=6)


def equal(found, expected) -> bool:
    return found.keys() == expected.keys() and all(value.equal(expected[name]) for name, value in found.items())


@pytest.mark.parametrize(
    ("ranks", "stage", "offload", "settings"),
    [
        (1, 1, "none", {"lora": LORA}),
        (2, 2, "none", {"lora": None, "dtype": "bfloat16"}),
        pytest.param(1, 1, "none", {"lora": None, "reference": "initial"}, marks=pytest.mark.long),
        (1, 2, "optimizer", {"lora": None}),
        pytest.param(2, 3, "optimizer", {"lora": None}, marks=pytest.mark.long),
        (2, 3, "optimizer", {"lora": LORA}),
        (1, 3, "parameters", {"lora": None}),
    ],
)
def test_rounds_are_the_same_with_an_offload_between_them(
    learner, make_examples, weights, tmp_path, ranks, stage, offload, settings
):
    asked = {
        "workers": ranks,
        "zero_stage": stage,
        "offload": offload,
        "micro_batch_pairs": 1,
        "checkpoint_steps": 1,
    } | settings
    examples, later = make_examples(6), make_examples(6, seed=1)
    group = learner(**asked)
    group.train(examples, round=1)
    second, expected = group.train(later, round=2), weights(group)

    group = learner(**asked)
    for _ in range(2):
        group.offload()
        group.offload()
        group.reload()
    group.train(examples, round=1)
    first = weights(group)
    group.offload()
    group.reload()
    group.reload()
    assert equal(weights(group), first)
    group.save_state(tmp_path / "between")
    assert group.train(later, round=2, on_checkpoint=lambda step: tmp_path / str(step)) == second
    assert equal(weights(group), expected)

    resumed = learner(resume_from=tmp_path / "1", **asked)
    assert resumed.train(later, round=2) == second
    assert equal(weights(resumed), expected)


def test_what_deepspeed_cannot_move_is_refused(learner):
    with pytest.raises(EngineError, match=r"learner\.zero_stage 1 or more"):
        learner(zero_stage=0).offload()


class FakeTrainer:
    """vLLM's trainer side as it drives a worker, with arrays in place of GPU memory."""

    def __init__(self, init_info, client, source):
        self.rank, self.client, self.source = init_info.rank, client, source
        if self.rank == 0:
            client.init_weight_transfer_engine({"world_size": init_info.world_size, "master_port": init_info.master_port})

    def send_weights(self):
        if self.rank:
            for _ in self.source:
                pass
            return
        self.client.start_weight_update()
        names = [meta.name for meta in self.source.metadata()]
        self.client.update_weights({"names": names, "arrays": {name: value.numpy() for name, value in self.source}})
        self.client.finish_weight_update()


@pytest.mark.parametrize("stage", [2, 3])
def test_all_ranks_gather_and_the_first_one_leads_a_worker_through_the_update(learner, make_examples, weights, stage):
    """Under ZeRO-3 it would wait for ever for a rank that did not take part."""
    group = learner(workers=2, zero_stage=stage, micro_batch_pairs=1)
    group.train(make_examples(4), round=1)

    def prepare(rank):
        from flame_ray.engines.device_transfer import DeviceSender

        rank._sender = DeviceSender("nccl", rank._rank, rank.engine.merged, 50_000, FakeTrainer)

    ray.get([actor.__ray_call__.remote(prepare) for actor in group.actors], timeout=120)
    worker = ray.remote(FakeWorker).options(num_cpus=0.1).remote()
    for _ in range(2):
        group.send({worker: 2}, "nccl")
    steps = ray.get(worker.told.remote())
    update = ["start_weight_update", "update_weights", "finish_weight_update"]
    assert [step for step, _ in steps] == ["init_weight_transfer_engine", *update, *update]
    assert steps[0][1]["init_info"]["world_size"] == 3 and steps[0][1]["init_info"]["master_port"] > 0
    sent, expected = steps[-2][1]["update_info"], weights(group)
    assert sent["names"] == list(expected)
    assert all(np.array_equal(array, expected[name].numpy()) for name, array in sent["arrays"].items())


@pytest.mark.parametrize(("ranks", "stage"), [(1, 1), (2, 3)])
def test_the_weights_are_the_same_in_one_chunk_and_in_many(learner, make_examples, ranks, stage):
    from dataclasses import replace

    group = learner(workers=ranks, zero_stage=stage, micro_batch_pairs=1)
    group.train(make_examples(4), round=1)
    (whole,) = ray.get(list(replace(group, chunk_bytes=10**9).export()))
    parts = ray.get(list(replace(group, chunk_bytes=9000).export()))
    assert len(parts) > 5
    assert all(len(part.arrays) == 1 or sum(array.nbytes for array in part.arrays.values()) <= 9000 for part in parts)
    together: dict[str, torch.Tensor] = {}
    for part in parts:
        assert together.keys().isdisjoint(part.arrays)
        together |= dict(to_tensors(part))
    assert list(together) == list(whole.arrays) and equal(together, dict(to_tensors(whole)))
