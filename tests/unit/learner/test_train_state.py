"""How far a learner is: what names a round's pairs, and when a learner may go on."""

from dataclasses import replace

import pytest

from flame_ray.errors import EngineError
from flame_ray.learner.train_state import Progress, digest, goes_on, read_progress, write_progress
from flame_ray.types import Pair, Response, ResponseId, TrainingReport


def response(index, prompt="p"):
    return Response(ResponseId(1, prompt, index), "", (1,), (2,), (0.0,), "stop", 0)


PAIR = Pair("factuality", response(0), response(1), 0.75, 0.25)
INSIDE = Progress(2, 3, 8, digest([PAIR]), (1.0, 2.0, 3.0, 4.0), 50)
ASKED = Progress(2, 0, 8, digest([PAIR]))


@pytest.mark.parametrize(
    "other",
    [
        replace(PAIR, kind="instruction"),
        replace(PAIR, chosen=response(2)),
        replace(PAIR, rejected=response(2)),
        replace(PAIR, chosen=replace(PAIR.chosen, token_ids=(2, 3))),
        replace(PAIR, chosen_score=0.7500001),
        replace(PAIR, rejected_score=0.0),
    ],
)
def test_a_pair_of_another_kind_response_text_or_score_has_another_digest(other):
    assert digest([other]) != digest([PAIR]) == digest([replace(PAIR)])


def test_pairs_in_another_order_have_another_digest():
    other = replace(PAIR, chosen=response(2))
    assert digest([PAIR, other]) != digest([other, PAIR])


def test_sums_of_steps_become_the_means_of_the_report():
    progress = Progress(1, 0, 2).after_step([1.5, 2.0, 0.5, 4.0], tokens=30).after_step([0.5, 1.0, 0.25, 1.0], tokens=12)
    assert (progress.step, progress.finished) == (2, True)
    report = progress.reported(pairs=5).report
    assert report == TrainingReport(steps=2, loss=0.4, accuracy=0.6, margin=0.15, pairs=5, tokens=42)


@pytest.mark.parametrize("progress", [Progress(), INSIDE, replace(INSIDE, step=8).reported(pairs=1)])
def test_progress_is_read_as_it_was_written(tmp_path, progress):
    progress = replace(progress, sums=(0.1 + 0.2, *progress.sums[1:]))
    write_progress(tmp_path, progress)
    assert read_progress(tmp_path) == progress


def test_a_round_comes_after_the_start_and_after_a_finished_round():
    assert not goes_on(Progress(), ASKED, "here")
    assert not goes_on(replace(INSIDE, round=1, step=8), ASKED, "here")


@pytest.mark.parametrize("step", [1, 3, 8])
def test_a_round_goes_on_in_the_state_that_is_inside_it_or_at_its_end(step):
    assert goes_on(replace(INSIDE, step=step), ASKED, "here")


@pytest.mark.parametrize(
    ("state", "asked"),
    [
        (INSIDE, replace(ASKED, pairs=digest([PAIR, PAIR]))),
        (replace(INSIDE, step=8), replace(ASKED, pairs=digest([PAIR, PAIR]))),
        (INSIDE, replace(ASKED, steps=4)),
        (INSIDE, replace(ASKED, round=3)),
        (INSIDE, replace(ASKED, round=1)),
        (replace(INSIDE, step=8), replace(ASKED, round=1)),
    ],
    ids=["other pairs", "other pairs at the end", "other steps", "a later round", "an earlier round", "a round long ended"],
)
def test_a_round_that_a_state_cannot_serve_is_refused_by_the_state_s_folder(state, asked):
    with pytest.raises(EngineError, match="/runs/a/state"):
        goes_on(state, asked, "/runs/a/state")
