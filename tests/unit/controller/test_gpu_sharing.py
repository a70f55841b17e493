"""Taking turns on shared GPUs, with doubles that say what they hold: nobody has a KV cache while the learner is there."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from flame_ray.config.load import parse_config
from flame_ray.controller.gpu_sharing import DROP_WEIGHTS, KEEP_WEIGHTS, Actors, Colocated, Dedicated, share_gpus
from flame_ray.controller.stages import ClusterStages
from flame_ray.controller.workers import RunPools
from flame_ray.engines.base import Chunks, Continuation, ModelFolder, Received, Weights
from flame_ray.errors import EngineDied, LearnerDied, WeightSyncError
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.storage.cache import Cache
from flame_ray.types import PairSet, Response, TrainingReport
from flame_ray.weights import Agreement, Canary, Push
from tests.builders import make_pair, make_pair_set, make_response, make_training_report
from tests.doubles import Remote

SEQUENCES = (Continuation((1, 2), (3, 4)),)


def canary(expected: float) -> Canary:
    return Canary(SEQUENCES, [(expected, expected)], {}, 0.1)


class Gpu:
    """Who holds what; each event is checked."""

    def __init__(self):
        self.events: list[str] = []
        self.holders: set[str] = {"s0 weights", "s0 kv_cache", "s1 weights", "s1 kv_cache", "judge weights", "judge kv_cache"}

    def log(self, event: str) -> None:
        self.events.append(event)
        caches = {holder for holder in self.holders if "kv_cache" in holder}
        assert not ("learner" in self.holders and caches), f"{caches} beside the learner at {event}"

    def take(self, holder: str) -> None:
        self.holders.add(holder)

    def leave(self, *holders: str) -> None:
        self.holders -= set(holders)


class FakeWorker:
    """A sampler or a judge. Its answer to the canary is the version that it holds, and needs all of its memory."""

    def __init__(self, gpu: Gpu, name: str):
        self.gpu, self.name = gpu, name
        self.held: float | None = 0.0  # None: forgotten
        self.loaded: list[Weights] = []

    def __getattr__(self, method: str) -> Remote:
        return Remote(getattr(self, f"do_{method}"))

    def do_ready(self) -> int:
        return 0

    def do_canary(self, sequences: tuple[Continuation, ...]) -> list[tuple[float, float]]:
        self.gpu.log(f"{self.name} canary")
        assert {f"{self.name} weights", f"{self.name} kv_cache"} <= self.gpu.holders
        return [(99.0 if self.held is None else -self.held,) * 2 for _ in sequences]

    def do_sleep(self, level: int) -> None:
        self.gpu.leave(f"{self.name} weights", f"{self.name} kv_cache")
        self.held = None if level == DROP_WEIGHTS else self.held
        self.gpu.log(f"{self.name} sleep {level}")

    def do_wake(self, part: str) -> None:
        assert part == "weights" or f"{self.name} weights" in self.gpu.holders, "the KV cache before the weights"
        self.gpu.take(f"{self.name} {part}")
        self.gpu.log(f"{self.name} wake {part}")

    def do_load_weights(self, weights: Weights, version: int) -> int:
        self.gpu.log(f"{self.name} load")
        assert f"{self.name} weights" in self.gpu.holders and f"{self.name} kv_cache" not in self.gpu.holders
        self.loaded.append(weights)
        self.held = float(version)
        return version


class FakeActors(Actors):
    def __init__(self):
        self.killed: list[Any] = []

    def call(self, actors, method, *args):
        return {actor: asyncio.run(getattr(actor, method).remote(*args)) for actor in actors}

    def kill(self, actor):
        self.killed.append(actor)


class FakePool:
    def __init__(self, *actors: FakeWorker):
        self.actors = list(actors)


class FakeRollouts:
    def __init__(self, *actors: FakeWorker):
        self.pool = FakePool(*actors)

    def push(self, push: Push) -> Agreement | None:
        for actor in self.pool.actors:
            asyncio.run(push.update_worker(actor))
        return push.agreement


class FakeLearner:
    """A learner and its group in one; its answer to the canary is how often it was trained."""

    def __init__(self, gpu: Gpu):
        self.gpu, self.trained = gpu, 0
        self.dies: str | None = None

    @property
    def group(self) -> "FakeLearner":
        return self

    def reload(self) -> None:
        self._die("reload")
        self.gpu.take("learner")
        self.gpu.log("learner reload")

    def offload(self) -> None:
        self._die("offload")
        self.gpu.leave("learner")
        self.gpu.log("learner offload")

    def canary(self, sequences, added, initial) -> list[list[float]]:
        self._work("canary")
        return [[0.0 if initial else -float(self.trained)] * 2 for _ in sequences]

    def train(self, examples_D, round, on_step) -> TrainingReport:
        self._work("train")
        self.trained += 1
        return make_training_report(steps=2, pairs=len(examples_D))

    def save(self, folder: Path, merged: bool) -> None:
        self._work("save")

    def export(self) -> tuple[str, ...]:
        self._work("export")
        return ("weights",)

    def send(self, ranks, backend) -> None:
        self._work("send")
        assert all(f"{worker.name} weights" in self.gpu.holders for worker in ranks)
        self._die("send")

    def stop(self) -> None:
        self.gpu.leave("learner")

    def _work(self, what: str) -> None:
        self.gpu.log(f"learner {what}")
        assert "learner" in self.gpu.holders, f"{what} without its GPU"

    def _die(self, what: str) -> None:
        if self.dies == what:
            self.gpu.leave("learner")
            raise LearnerDied(what, "a dead rank", "look")


class Bound:
    """Colocated stages around the doubles."""

    def __init__(self, folder: Path, **settings):
        self.gpu = Gpu()
        self.samplers = FakeWorker(self.gpu, "s0"), FakeWorker(self.gpu, "s1")
        self.judge, self.learner, self.actors = FakeWorker(self.gpu, "judge"), FakeLearner(self.gpu), FakeActors()
        rollouts, judges = FakeRollouts(*self.samplers), FakePool(self.judge)
        config = parse_config({"pipeline": {"colocated": True}} | settings, "here")
        workers: Any = RunPools(rollouts, judges, {}, self.learner)  # type: ignore[arg-type]
        checkpoints, cache = Checkpoints(folder / "checkpoints"), Cache(folder / "classified.jsonl")
        self.stages = ClusterStages(workers, config, cache, checkpoints, lambda *told: None)
        level = config.weights.backend == "lora"
        self.stages._gpus = Colocated(rollouts, judges, self.learner, level, self.actors)  # type: ignore[arg-type]


def pairs() -> PairSet:
    def response(index: int) -> Response:
        return make_response("text", index=index)

    return make_pair_set(make_pair(response(1), response(0)))


def improve(stages: ClusterStages, round: int) -> None:
    stages.train(pairs(), round)
    stages.save(round)
    stages.sync(round)


def test_the_order_of_a_round_is_asleep_train_weights_then_kv_cache(tmp_path):
    made = Bound(tmp_path)
    improve(made.stages, 1)
    brought = [[f"{name} wake weights", f"{name} load", f"{name} wake kv_cache", f"{name} canary"] for name in ("s0", "s1")]
    assert made.gpu.events == [
        *("s0 canary", "s1 canary"),
        *(f"s0 sleep {DROP_WEIGHTS}", f"s1 sleep {DROP_WEIGHTS}", f"judge sleep {KEEP_WEIGHTS}"),
        *("learner reload", "learner canary", "learner train", "learner save", "learner canary", "learner export"),
        "learner offload",
        *brought[0],
        *brought[1],
        *("judge wake weights", "judge wake kv_cache"),
    ]


def test_after_its_turn_the_learner_is_gone_and_all_others_are_back_round_after_round(tmp_path):
    made = Bound(tmp_path)
    everything = set(made.gpu.holders)
    for round in (1, 2, 3):
        improve(made.stages, round)
        assert made.gpu.holders == everything
        assert [sampler.held for sampler in made.samplers] == [float(round)] * 2


def test_a_resumed_run_takes_the_learners_turn_to_save_before_anything_is_sampled(tmp_path):
    made = Bound(tmp_path)
    made.learner.trained = 4
    made.stages.choose_canary(pairs())
    made.stages.save(4)
    assert made.stages.sync(4).version == 4
    assert made.gpu.events.index("learner reload") < made.gpu.events.index("learner save")


def test_samplers_that_are_sent_adapters_keep_their_weights_in_their_sleep(tmp_path):
    made = Bound(tmp_path, weights={"backend": "lora"})
    improve(made.stages, 1)
    assert f"s0 sleep {KEEP_WEIGHTS}" in made.gpu.events and f"s0 sleep {DROP_WEIGHTS}" not in made.gpu.events


def test_a_sampler_that_wakes_with_its_old_weights_is_caught(tmp_path):
    """It is asked before it sleeps: afterwards there is nothing to compare with (trl#5312)."""
    made = Bound(tmp_path, weights={"backend": "lora"}, learner={"canary_tolerance": 1.5})
    made.samplers[1].do_load_weights = lambda weights, version: version
    with pytest.raises(WeightSyncError, match="a gap of 1"):
        improve(made.stages, 1)


def test_a_sampler_that_wakes_with_nothing_is_caught(tmp_path):
    made = Bound(tmp_path)
    made.samplers[0].do_load_weights = lambda weights, version: version
    with pytest.raises(WeightSyncError, match="a gap of 100"):
        improve(made.stages, 1)


@pytest.mark.parametrize("when", ["reload", "offload"])
def test_a_learner_that_dies_as_it_comes_or_goes_holds_no_gpu_and_stops_no_turn(tmp_path, when):
    made = Bound(tmp_path)
    gpus = made.stages._gpus
    gpus.give_to_learner(SEQUENCES)
    made.learner.dies = when
    push = Push(Chunks(("weights",)), 1, canary(-1.0), gpus.asleep)
    gpus.push(push)
    gpus.give_to_learner(SEQUENCES)
    made.learner.dies = None
    gpus.push(Push(Chunks(("weights",)), 2, canary(-2.0), gpus.asleep))
    assert "learner" not in made.gpu.holders


class FakeP2PWeights:
    """Sends by the fake learner; for workers that were not sent to it names the folder."""

    def __init__(self, learner: FakeLearner):
        self.learner, self.reached = learner, set()

    def send(self, workers) -> None:
        try:
            self.learner.send({worker: 1 for worker in workers}, "ipc")
        except LearnerDied as error:
            raise EngineDied("a transfer", "a broken one", "look") from error
        self.reached = set(workers)

    async def __call__(self, worker: Any) -> Weights:
        return Received() if worker in self.reached else ModelFolder("merged")


def pushed_directly(made: Bound) -> None:
    gpus = made.stages._gpus
    gpus.give_to_learner(SEQUENCES)
    made.gpu.events.clear()
    gpus.push(Push(FakeP2PWeights(made.learner), 1, canary(-1.0), gpus.asleep))


def test_what_goes_from_gpu_to_gpu_goes_while_the_learner_is_there_and_the_kv_caches_are_not(tmp_path):
    made = Bound(tmp_path)
    pushed_directly(made)
    assert made.gpu.events[:4] == ["s0 wake weights", "s1 wake weights", "learner send", "learner offload"]
    assert [sampler.loaded for sampler in made.samplers] == [[Received()]] * 2


def test_where_such_a_transfer_breaks_the_samplers_are_given_up_and_their_successors_load_the_folder(tmp_path):
    made = Bound(tmp_path)
    made.learner.dies = "send"
    pushed_directly(made)
    assert made.actors.killed == list(made.samplers)
    assert [sampler.loaded for sampler in made.samplers] == [[ModelFolder("merged")]] * 2  # in place of their successors


def test_where_nobody_shares_nobody_sleeps(tmp_path):
    gpu = Gpu()
    samplers = FakeRollouts(FakeWorker(gpu, "s0"))
    gpus = share_gpus(parse_config({}, "here"), samplers, FakePool(), FakeLearner(gpu))  # type: ignore[arg-type]
    assert isinstance(gpus, Dedicated) and gpus.asleep is None
    gpus.give_to_learner(SEQUENCES)
    assert gpu.events == []


@pytest.mark.parametrize(("backend", "keeps"), [("object_store", DROP_WEIGHTS), ("lora", KEEP_WEIGHTS)])
def test_the_settings_say_who_shares_and_what_samplers_keep(backend, keeps):
    config = parse_config({"pipeline": {"colocated": True}, "weights": {"backend": backend}}, "here")
    gpus = share_gpus(config, FakeRollouts(), FakePool(), FakeLearner(Gpu()))  # type: ignore[arg-type]
    assert isinstance(gpus, Colocated) and gpus._sleep_level == keeps
