"""The group as a driver sees it: ranks that die, folders that were damaged, and a group that takes over."""

import os
import signal
import time

import pytest
import ray

from flame_ray.config import LearnerConfig, LoraConfig
from flame_ray.engines.models import reference
from flame_ray.errors import ConfigError, EngineError, LearnerDied, PlacementError, StorageError
from flame_ray.learner import actor
from flame_ray.learner.group import LearnerGroup, Timeouts
from tests.integration.learner.ranks import name_of, process_of

SETTINGS = {"workers": 2, "zero_stage": 1, "micro_batch_pairs": 1, "checkpoint_steps": 1}


def test_a_rank_that_dies_is_told_apart_and_a_new_group_of_its_name_ends_the_round(learner, make_examples, weights, tmp_path):
    examples = make_examples(9)
    undisturbed = learner(**SETTINGS)
    report, expected = undisturbed.train(examples, round=1), weights(undisturbed)

    group = learner(**SETTINGS)
    victim, name = process_of(group.actors[1]), name_of(group.actors[1])
    states = []

    def remember(step):
        states.append(tmp_path / str(step))
        return states[-1]

    def kill(at):
        if at.done == at.total - 1:
            os.kill(victim, signal.SIGKILL)

    try:
        with pytest.raises(LearnerDied, match="learner rank died") as caught:
            group.train(examples, round=1, on_step=kill, on_checkpoint=remember)
        assert isinstance(caught.value, EngineError)
        with pytest.raises(LearnerDied):
            group.train(examples, round=1)
    finally:
        learner.stop(group)
    learner.stop(group)

    last = [state for state in states if state.exists()][-1]
    successor = learner(resume_from=last, **SETTINGS)
    assert (name_of(successor.actors[1]), process_of(successor.actors[1]) == victim) == (name, False)
    assert successor.train(examples, round=1) == report
    found = weights(successor)
    assert all(value.equal(expected[name]) for name, value in found.items())


@pytest.mark.parametrize(("dies", "expected"), [(True, LearnerDied), (False, RuntimeError)])
def test_a_lost_connection_is_a_death_if_another_rank_turns_out_to_be_dead(dies, expected):
    class Rank:
        def __init__(self, number):
            self.number = number

        def save_state(self, folder):
            if self.number == 0:
                raise RuntimeError("Connection closed by peer")
            time.sleep(1)  # the death shows a while after the error that it caused
            if dies:
                os._exit(1)

    actors = tuple(ray.remote(Rank).options(num_cpus=0.1).remote(number) for number in range(2))
    group = LearnerGroup(actors, timeouts=Timeouts(start=60))
    with pytest.raises(expected):
        group.save_state("anywhere")
    group.stop()


def test_a_damaged_state_is_refused_by_its_file_before_anything_is_placed(start, learner, make_examples, tmp_path):
    learner().save_state(tmp_path / "state")
    content = bytearray((tmp_path / "state" / "state.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "state" / "state.safetensors").write_bytes(content)
    with pytest.raises(StorageError, match=str(tmp_path / "state" / "state.safetensors")):
        start(resume_from=tmp_path / "state", name="never")
    with pytest.raises(ValueError, match="never-0"):
        ray.get_actor("never-0")


def test_an_adapter_of_layers_that_the_model_lacks_is_refused_by_their_name(learner):
    with pytest.raises(ConfigError, match="no_such_layer"):
        learner(lora=LoraConfig(target_modules="no_such_layer"))


def test_a_start_that_fails_leaves_no_actor_behind(cluster, model_path):
    class Refuses(actor.LearnerActor):
        def connect(self, *given):
            raise ConfigError("layers of the model", "no_such_layer", "name others")

    config = LearnerConfig(batch_pairs=2, micro_batch_pairs=1, cpus=0.1)
    with pytest.raises(ConfigError, match="no_such_layer"):
        LearnerGroup.start(reference(model_path), config, seed=0, options={"name": "absent"}, actor=Refuses)
    with pytest.raises(ValueError, match="absent-0"):
        ray.get_actor("absent-0")


def test_a_group_that_the_cluster_has_no_room_for_is_refused_with_what_it_asked_for(cluster, model_path):
    config = LearnerConfig(workers=2, cpus=100, placement="strict_pack", batch_pairs=2, micro_batch_pairs=1)
    with pytest.raises(PlacementError, match=r"2 learner workers of 100 CPU each, strict_pack, within 1 s"):
        LearnerGroup.start(reference(model_path), config, seed=0, timeouts=Timeouts(start=1))


def test_ranks_wait_for_a_node_with_their_labels(cluster, model_path):
    config = LearnerConfig(node_labels={"pool": "no-such-nodes"}, batch_pairs=2, micro_batch_pairs=1)
    with pytest.raises(PlacementError, match=r"on nodes labelled \{'pool': 'no-such-nodes'\}"):
        LearnerGroup.start(reference(model_path), config, seed=0, timeouts=Timeouts(start=1))
