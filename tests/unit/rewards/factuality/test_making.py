"""Which backends the settings compose."""

import pytest

from flame_ray.config.load import parse_config
from flame_ray.errors import ConfigError
from flame_ray.rewards.factuality.check import LexicalChecker, make_checker
from flame_ray.rewards.factuality.check.cached import CachedChecker, default_path
from flame_ray.rewards.factuality.check.llm import LlmChecker
from flame_ray.rewards.factuality.decompose import RuleDecomposer, make_decomposer
from flame_ray.rewards.factuality.decompose.llm import LlmDecomposer
from flame_ray.rewards.factuality.decompose.rule import ResponseLevelDecomposer
from tests.doubles import FakeVerifier


def settings(**factuality):
    return parse_config({"factuality": factuality}, "here").factuality


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FLAME_RAY_CACHE", str(tmp_path))
    return tmp_path


def test_the_default_is_rules_and_words_with_no_model_and_no_file(cache):
    assert isinstance(make_checker(settings(threshold=0.3)), LexicalChecker)
    assert make_checker(settings(threshold=0.3)).threshold == 0.3
    assert isinstance(make_decomposer(settings(decompose="sentence")), RuleDecomposer)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(("checker", "decomposer"), [("llm", RuleDecomposer), ("whole", ResponseLevelDecomposer)])
def test_a_checker_that_asks_a_model_is_cached_under_its_own_name(checker, decomposer):
    config = settings(checker=checker, threshold=0.7)
    made = make_checker(config, FakeVerifier(model="llama"))
    assert isinstance(made, CachedChecker) and made.threshold == 0.7
    assert made.identity == f"{checker}/1/llama/10000/0.7"
    assert isinstance(make_decomposer(config, FakeVerifier()), decomposer)


@pytest.mark.parametrize("checker", ["llm", "whole"])
def test_a_checker_that_asks_a_verifier_is_refused_without_one(checker):
    with pytest.raises(ConfigError, match=f"a verifier for factuality.checker={checker}"):
        make_checker(settings(checker=checker))


def test_the_cache_is_a_file_of_the_node_in_the_cache_folder_and_can_be_turned_off(cache):
    assert cache / "verdicts" in default_path().parents and default_path().suffix == ".sqlite"
    assert isinstance(make_checker(settings(checker="llm", cache=False), FakeVerifier()), LlmChecker)


def test_a_model_may_decompose_for_any_checker():
    config = settings(decompose="llm")
    assert isinstance(make_checker(config, FakeVerifier()), LexicalChecker)
    assert isinstance(make_decomposer(config, FakeVerifier()), LlmDecomposer)
