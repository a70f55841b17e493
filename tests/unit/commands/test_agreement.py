"""Labels and verdicts side by side: a failure is no score, and a bad file is refused before anything starts."""

import pytest

from flame_ray.commands.agreement import _compare_instructions, _compared_response, by_embedding
from flame_ray.config.load import parse_config
from flame_ray.errors import ConfigError, DataError
from flame_ray.evaluation.agreement import ComparedClaim
from flame_ray.evaluation.labels import LabelledFact, LabelledResponse, LabelledText
from flame_ray.prompts.embedding_classifier import EmbeddingClassifier
from flame_ray.rewards.factuality.reward import FactTask, Task
from flame_ray.types import Fact, FactScore, Missing, Prompt, Response, ResponseId, Verdict, VerdictLabel
from tests.builders import make_fact_score
from tests.doubles import FakeEmbedder

FACT, ID = Fact("Peru borders Chile", 0), ResponseId(0, "line-1", 0)
LABELLED = LabelledResponse(Task(Prompt("line-1", "Peru?"), Response(ID, "It borders Chile.", (), (), "stop", 0)), "a", 3, 2)


def verdict(label, score=0.7):
    return Verdict(FACT, label, score, None)


@pytest.mark.parametrize(
    ("label", "said", "score"),
    [
        (VerdictLabel.SUPPORTED, True, 0.7),
        (VerdictLabel.CONTRADICTED, False, 0.7),
        (VerdictLabel.NOT_FOUND, False, 0.7),
        (VerdictLabel.ERROR, False, None),
    ],
)
def test_a_claim_has_the_checkers_own_decision_and_a_failure_has_no_score(label, said, score):
    labelled = LabelledFact(FactTask(FACT, given=()), True, "mine")
    assert ComparedClaim.of(labelled, verdict(label)) == ComparedClaim(True, said, score, "mine")


def test_a_response_has_its_words_and_both_counts():
    score = FactScore(ID, (verdict(VerdictLabel.SUPPORTED), verdict(VerdictLabel.NOT_FOUND)))
    found = _compared_response(LABELLED, score)
    assert (found.prompt, found.system, found.words) == ("Peru?", "a", 3)
    assert (found.human_supported, found.human_unsupported, found.precision, found.unsupported) == (3, 2, 0.5, 1)
    assert not found.missing


def test_a_response_that_abstains_has_no_precision_and_one_that_failed_is_missing():
    abstained = _compared_response(LABELLED, FactScore(ID, ()))
    assert abstained.precision is None and not abstained.missing
    assert _compared_response(LABELLED, Missing(ID, "why")).missing


def test_a_response_whose_count_of_errors_is_not_known_is_missing():
    assert _compared_response(LABELLED, make_fact_score(VerdictLabel.SUPPORTED, VerdictLabel.ERROR)).missing


def by_angle(*rows):
    """The figures of a classifier that was trained on `facts 0` and `poem 180`."""
    trained = [Prompt("1", "facts 0", label=True), Prompt("2", "poem 180", label=False)]
    labelled = [LabelledText(text, label, None) for text, label in rows]
    return by_embedding(EmbeddingClassifier(FakeEmbedder(), trained), labelled, 0.5)


def test_a_classifier_is_not_measured_on_what_it_was_trained_on():
    found = by_angle(("Facts 0", True), ("which 10", True), ("sing 170", False), ("draw 160", True))
    assert (found["n"], found["left_out"]) == (3, 1)
    assert found["accuracy"]["share"] == pytest.approx(2 / 3) and found["recall"]["share"] == 0.5


def test_a_file_of_nothing_but_what_it_was_trained_on_is_refused():
    with pytest.raises(DataError, match=r"not trained on; found all 1 among its labels"):
        by_angle(("facts 0", True))


def test_labels_that_are_trusted_cannot_be_measured(tmp_path):
    path = tmp_path / "labels.jsonl"
    path.write_text('{"prompt": "Which?", "label": true}\n')
    with pytest.raises(ConfigError, match=r"classify\.by label, which trusts every label"):
        _compare_instructions(parse_config({"classify": {"by": "label"}}, "here"), path, None)
