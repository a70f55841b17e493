"""The weights that ship, on whole records: true statements that the checker of words refused, each beside a false one."""

import pytest

from flame_ray.engines.finetuned import FinetunedModel
from flame_ray.engines.record_reader import RecordReader
from flame_ray.rewards.factuality.check.finetuned import SHIPPED, FinetunedChecker
from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.types import Claim, Fact, VerdictLabel


@pytest.fixture(scope="module")
def judged():
    model, passages = FinetunedModel(SHIPPED), load_corpus("factbook")
    checker = FinetunedChecker(model, model.name, reader=RecordReader(SHIPPED))

    def judged(title, *facts):
        record = tuple(passage for passage in passages if passage.title == title)
        return checker.check([Claim(Fact(fact, 0), record) for fact in facts])

    return judged


@pytest.mark.parametrize(
    ("title", "true", "false"),
    [
        ("Guinea", "Guinea is located in West Africa", "Guinea is located in East Africa"),
        ("Zimbabwe", "The capital city of Zimbabwe is Harare", "The capital city of Zimbabwe is Lusaka"),
        ("Haiti", "Haiti touches a sea or an ocean", "Haiti is landlocked"),
        ("Lebanon", "Lebanon touches a sea or an ocean", "Lebanon is a landlocked country"),
        ("Azerbaijan", "Azerbaijan is bordered by Georgia", "Azerbaijan is bordered by Azerbaijan"),
        ("Barbados", "The most common languages in Barbados include English", "The main languages of Barbados include Dutch"),
        ("Bolivia", "Bolivia is landlocked", "Bolivia has a coast on the Pacific Ocean"),
        ("Mozambique", "Mozambique is a member of the African Union", "Mozambique is a member of the European Union"),
    ],
)
def test_a_fact_in_other_words_than_the_record_is_supported_and_a_false_one_is_not(judged, title, true, false):
    labels = [verdict.label for verdict in judged(title, true, false)]
    assert labels[0] is VerdictLabel.SUPPORTED is not labels[1]


def test_the_most_common_language_has_a_higher_score_than_the_next_one(judged):
    """Its score is that near the threshold that another machine's arithmetic may put it below."""
    finnish, swedish = judged(
        "Finland", *(f"{each} is the most common language spoken in Finland" for each in ("Finnish", "Swedish"))
    )
    assert finnish.score > swedish.score + 0.05
