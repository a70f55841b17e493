"""Two parts of labelled claims: nothing in common, and always the same ones."""

import random
from itertools import combinations

import pytest

from flame_ray.reward_training.grouped_split import SHORT, grouped_split
from flame_ray.types import Claim, Fact, LabelledClaim, Passage


def labelled(text, *evidence, supported=True):
    return LabelledClaim(Claim(Fact(text, 0), tuple(Passage("given/0", "", each) for each in evidence)), supported, None)


MANY = [labelled(f"claim {number}", f"text {number}") for number in range(1000)]


def test_about_the_share_is_kept_aside_and_every_claim_is_in_one_part():
    learned, aside = grouped_split(MANY, 0.3)
    assert 250 <= len(aside) <= 350
    assert sorted(each.claim.fact.text for each in [*learned, *aside]) == sorted(each.claim.fact.text for each in MANY)


@pytest.mark.parametrize(("share", "aside"), [(0.0, 0), (1.0, 1000)])
def test_none_or_all_may_be_kept_aside(share, aside):
    assert len(grouped_split(MANY, share)[1]) == aside


def test_no_claims_have_no_parts_and_a_claim_needs_no_evidence():
    assert grouped_split([], 0.5) == ([], [])
    assert sum(map(len, grouped_split([labelled("alone")], 0.5))) == 1


def test_the_parts_do_not_depend_on_the_order_which_they_keep():
    tied = [*MANY, *(labelled(f"another claim {number}", f"text {number}") for number in range(100))]
    shuffled = random.Random(1).sample(tied, len(tied))
    for one, other in zip(grouped_split(tied, 0.5), grouped_split(shuffled, 0.5), strict=True):
        assert set(one) == set(other)
        assert one == [each for each in tied if each in set(one)]


def together(*claims):
    """Whether the claims are always in one part, under a hundred names."""
    for number in range(100):
        renamed = [
            labelled(
                each.claim.fact.text.replace("#", str(number)),
                *(p.text.replace("#", str(number)) for p in each.claim.passages_K),
            )
            for each in claims
        ]
        if all(grouped_split(renamed, 0.5)):
            return False
    return True


def test_claims_of_one_passage_or_of_one_text_are_never_parted_and_others_are():
    assert together(labelled("a #", "text #"), labelled("b #", "text #"))
    assert together(labelled("a #", "one #"), labelled("a #", "two #", supported=False))
    assert not together(labelled("a #", "one #"), labelled("b #", "two #"))


def test_what_is_tied_by_a_third_is_never_parted():
    chain = [labelled("a #", "one #"), labelled("b #", "one #", "two #"), labelled("c #", "two #")]
    assert together(*chain)
    assert not together(chain[0], chain[2])


def test_a_sentence_in_common_ties_and_a_heading_in_common_does_not():
    line = "Lima # is the capital of Peru."
    assert together(labelled("a #", f"{line}\nIt rains."), labelled("b #", f"Elsewhere.\n {line}"))
    heading = " ".join(["word"] * SHORT)
    assert not together(labelled("a #", f"{heading}\nOne #"), labelled("b #", f"{heading}\nTwo #"))


def test_a_claim_is_not_tied_to_a_passage_that_reads_the_same():
    assert not together(labelled("the same words of a line #", "one #"), labelled("b #", "the same words of a line #"))


def test_the_parts_of_a_random_web_have_nothing_in_common():
    draw = random.Random(0)
    web = [labelled(f"c{draw.randrange(300)}", *(f"p{draw.randrange(600)}" for _ in range(2))) for _ in range(200)]
    parts = [
        {each.claim.fact.text for each in part} | {p.text for each in part for p in each.claim.passages_K}
        for part in grouped_split(web, 0.5)
    ]
    assert all(parts) and not any(one & other for one, other in combinations(parts, 2))
