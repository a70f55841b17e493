"""Labels and verdicts side by side: a failure is no score, and a bad file is refused before anything starts."""

import pytest

from flame_ray.commands.agreement import _compared_response
from flame_ray.evaluation.agreement import ComparedClaim
from flame_ray.evaluation.labels import LabelledFact, LabelledResponse
from flame_ray.rewards.factuality.reward import FactTask, Task
from flame_ray.types import Fact, FactScore, Missing, Prompt, Response, ResponseId, Verdict, VerdictLabel

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
