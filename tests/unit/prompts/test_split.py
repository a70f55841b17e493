"""The stable hash behind every split and draw."""

from flame_ray.prompts.split import split_of, stable_fraction
from flame_ray.types import Split


def test_a_fraction_is_the_same_for_ever():
    assert stable_fraction("peru") == 0xFDC224C5D688 / 2**48  # the first six bytes of SHA-256
    assert stable_fraction("peru") == stable_fraction("peru") != stable_fraction("chile")


def test_the_share_held_out_is_near_the_one_asked_for():
    held = sum(split_of(f"key {number}", 0.2) == Split.HELDOUT for number in range(5000))
    assert 900 < held < 1100


def test_nothing_or_everything_can_be_held_out():
    assert split_of("peru", 0.0) == Split.TRAIN
    assert split_of("peru", 1.0) == Split.HELDOUT
