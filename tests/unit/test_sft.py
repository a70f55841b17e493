"""Whose answers a fine-tuning learns, and in which order its stages run, without any actor."""

from dataclasses import replace

import pytest

from flame_ray.sft import Mixture, SftStages, own_answers, run_sft
from flame_ray.types import Demonstration, Elicited, SftTraining
from tests.builders import make_demonstration, make_group, make_prompt, make_response, make_training_report

FACT, OTHER = make_prompt("fact", "Where is Lima?"), make_prompt("other", "Write a poem.")
SEEDS = [make_demonstration(FACT, "In Peru."), make_demonstration(OTHER, "Roses."), make_demonstration(OTHER, "Violets.")]
JUDGING = make_demonstration("How good is it?", "Score: 4", source="judging", weight=0.5, is_seed=False)


class Recorded:
    """Stages that note what they were given; the model answers `own 0` and `own 1` to each instruction."""

    def __init__(self):
        self.calls, self.learned = [], []

    def stages(self):
        return SftStages(self.classify, self.elicit, self.train, self.save)

    def classify(self, prompts_P):
        self.calls.append(("classify", [prompt.id for prompt in prompts_P]))
        return [replace(prompt, fact_based=prompt.id == "fact") for prompt in prompts_P]

    def elicit(self, prompts_P, seeds_D):
        self.calls.append(("elicit", [prompt.id for prompt in prompts_P], len(seeds_D)))
        for prompt in reversed(prompts_P):
            yield make_group(*(make_response(f"own {n}", prompt=prompt.id, index=n) for n in range(2)), prompt=prompt)

    def train(self, demonstrations_D):
        self.calls.append(("train", len(demonstrations_D)))
        self.learned = [(each.prompt.id, each.answer, each.source, each.weight) for each in demonstrations_D]
        return SftTraining(make_training_report(), {}, {}, too_long=0)

    def save(self):
        self.calls.append(("save",))
        return "here"


def run(fact_based, others, demonstrations=(*SEEDS, JUDGING)):
    recorded = Recorded()
    report = run_sft(recorded.stages(), demonstrations, Mixture(fact_based, others, weight=2.0))
    return recorded, report


HUMAN_FACT = [("fact", "In Peru.", "seeds", 1.0)]
HUMAN_OTHER = [("other", "Roses.", "seeds", 1.0), ("other", "Violets.", "seeds", 1.0)]
AS_IT_IS = [("How good is it?", "Score: 4", "judging", 0.5)]


def own(id):
    return [(id, f"own {n}", "elicited", 2.0) for n in range(2)]


def test_with_human_answers_alone_no_model_is_asked_anything():
    recorded, report = run("human", "human")
    assert recorded.learned == HUMAN_FACT + HUMAN_OTHER + AS_IT_IS
    assert recorded.calls == [("train", 4), ("save",)]
    assert (report.seeds, report.fact_based, report.elicited, report.model) == (2, None, Elicited(0, 0, {}), "here")


def test_with_own_answers_to_facts_the_others_stay_human():
    recorded, report = run("elicited", "human")
    assert recorded.learned == HUMAN_OTHER + AS_IT_IS + own("fact")
    assert recorded.calls == [("classify", ["fact", "other"]), ("elicit", ["fact"], 3), ("train", 5), ("save",)]
    assert (report.fact_based, report.elicited) == (1, Elicited(1, 2, {}))


def test_with_own_answers_alone_nothing_is_classified_and_what_is_no_seed_stays():
    recorded, report = run("elicited", "elicited")
    assert recorded.learned == AS_IT_IS + own("fact") + own("other")
    assert recorded.calls[0] == ("elicit", ["fact", "other"], 3)
    assert (report.fact_based, report.elicited.answers) == (None, 4)


def test_own_answers_to_all_but_facts_can_be_learned_too():
    assert run("human", "elicited")[0].learned == HUMAN_FACT + AS_IT_IS + own("other")


def test_with_both_each_seed_keeps_its_human_answers_beside_the_models_own_and_nothing_is_classified():
    recorded, report = run("both", "both")
    assert recorded.learned == HUMAN_FACT + HUMAN_OTHER + AS_IT_IS + own("fact") + own("other")
    assert [call[0] for call in recorded.calls] == ["elicit", "train", "save"]
    assert (report.fact_based, report.elicited) == (None, Elicited(2, 4, {}))


def test_both_can_be_for_facts_alone():
    recorded, report = run("both", "human")
    assert recorded.learned == HUMAN_FACT + HUMAN_OTHER + AS_IT_IS + own("fact")
    assert (report.fact_based, report.elicited) == (1, Elicited(1, 2, {}))


def test_where_no_seed_needs_facts_the_model_is_not_asked_for_answers():
    recorded, report = run("elicited", "human", [SEEDS[1]])
    assert [call[0] for call in recorded.calls] == ["classify", "train", "save"]
    assert (report.fact_based, report.elicited) == (0, Elicited(0, 0, {}))


def test_own_answers_come_in_the_order_of_their_instructions_however_the_groups_come():
    groups = [make_group(make_response(name, prompt=name)) for name in "bca"]
    assert [each.answer for each in own_answers(groups, 1.0)[0]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("response", "reason"),
    [(make_response("cut", finish_reason="length"), "cut off"), (make_response(" \n"), "empty")],
)
def test_an_answer_that_was_cut_off_or_is_empty_is_counted_and_not_learned(response, reason):
    found, left_out = own_answers([make_group(make_response(" whole\n"), response)], 1.0)
    assert ([each.answer for each in found], left_out) == (["whole"], {reason: 1})


def test_an_instruction_that_was_too_long_to_ask_is_counted():
    assert own_answers([make_group(prompt=FACT)], 1.0) == ([], {"instruction too long": 1})


def test_a_demonstration_of_an_own_answer_names_where_it_comes_from():
    ((found,), _) = own_answers([make_group(make_response("In Chile."), prompt=FACT)], 0.5)
    assert found == Demonstration(FACT, "In Chile.", "elicited", 0.5)
