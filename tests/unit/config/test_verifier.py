"""When a run starts verifiers, with which model, and which settings are refused."""

import pytest

from flame_ray.cluster.capacity import demands, roles
from flame_ray.config import Config
from flame_ray.config.load import changed_settings, parse_config
from flame_ray.errors import ConfigError


def parse(**sections):
    return parse_config(sections, "job.yaml")


@pytest.mark.parametrize(
    ("factuality", "asks", "model"),
    [
        ({}, False, None),
        ({"decompose": "sentence"}, False, None),
        ({"checker": "nli", "checker_model": "a/b"}, False, None),
        ({"checker": "llm"}, True, None),
        ({"checker": "llm", "checker_model": "a/b"}, True, "a/b"),
        ({"checker": "whole", "checker_model": "a/b"}, True, "a/b"),
        ({"decompose": "llm"}, True, None),
        ({"decompose": "llm", "checker": "nli", "checker_model": "a/b"}, True, None),
    ],
)
def test_a_verifier_is_placed_when_a_stage_asks_one(factuality, asks, model):
    config = parse(factuality=factuality)
    assert (config.factuality.asks_verifier, config.factuality.verifier_model) == (asks, model)
    assert ("verifier" in roles(config)) is asks


def test_the_demands_of_verifiers_count():
    config = parse(factuality={"checker": "llm"}, verifier={"workers": 3, "gpus": 1, "cpus": 2})
    cpus, gpus = demands(config, {"CPU": 100.0, "GPU": 2.0})
    assert (cpus.least["verifier"], gpus.least["verifier"], gpus.least_fit) == (6, 3, False)


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"factuality": {"checker": "nli"}}, "factuality.checker_model"),
        ({"verifier": {"workers": 3, "min_workers": 1}}, "verifier.min_workers"),
        ({"verifier": {"max_length": 512}}, "verifier.max_length"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(sections, named):
    with pytest.raises(ConfigError, match=named.replace(".", r"\.")):
        parse(**sections)


def test_a_resumed_run_may_move_its_verifiers_but_not_change_what_they_judge_by():
    where = {"workers": 2, "cpus": 3, "gpus": 1, "threads": 2, "max_sequences": 8, "kv_cache_gib": 9, "gpu_memory": 0.3}
    assert changed_settings(Config(), parse(verifier=where, factuality={"cache": False})) == []
    (told,) = changed_settings(Config(), parse(verifier={"max_length": 2048}))
    assert told == "verifier.max_length: 4096 -> 2048"
    assert len(changed_settings(Config(), parse(factuality={"checker": "nli", "checker_model": "a/b"}))) == 2


def test_the_decomposer_that_went_is_refused_with_the_one_to_use():
    with pytest.raises(ConfigError, match=r"factuality\.decompose.*no decomposer `parse` any more.*use `rule`"):
        parse(factuality={"decompose": "parse"})


def test_a_cross_encoder_is_refused_without_its_folder():
    with pytest.raises(ConfigError, match=r"checker nli needs factuality\.checker_model"):
        parse_config({"factuality": {"checker": "nli"}}, "here")


def test_no_more_passages_can_be_kept_than_are_retrieved():
    with pytest.raises(ConfigError, match=r"factuality\.keep is 30, more than the 20"):
        parse_config({"factuality": {"retrieve": 20, "keep": 30}}, "here")
