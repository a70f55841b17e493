"""What a person is shown, and what decides."""

import re
from io import StringIO

import pytest
from rich.console import Console

from flame_ray.config import Config
from flame_ray.doctor.checks import Check, Level
from flame_ray.doctor.render import render
from tests.unit.doctor.samples import HERE, job, plans


def shown(checks: list[Check], width: int = 100) -> tuple[bool, str]:
    screen = StringIO()
    plan = plans()(Config())
    return render(Console(file=screen, width=width), checks, plan, HERE), screen.getvalue()


def test_a_problem_decides_and_a_warning_does_not():
    warning, problem = (Check(level, "x", "this", "that", "do [gpu]") for level in (Level.WARNING, Level.PROBLEM))
    ready, text = shown([warning])
    assert ready and "ready on this machine: 0 problems, 1 warning\n" in text
    ready, text = shown([warning, problem])
    assert not ready and "not ready on this machine: 1 problem, 1 warning\n" in text
    assert "-> do [gpu]" in text  # brackets are no markup


def test_advice_is_shown_only_where_something_is_wrong():
    assert "advice" not in shown([Check(Level.OK, "x", "this", "that", "advice")])[1]


@pytest.mark.parametrize("width", [100, 150])
def test_no_word_of_the_memory_table_is_cut(width):
    _, text = shown([], width)
    words = "weights", "gradients", "optimizer", "cache", "activations", "logits", "total"
    assert [word for word in words if word not in text] == []


@pytest.mark.parametrize("width", [80, 100, 150])
def test_no_line_is_wider_than_the_screen(width):
    assert max(map(len, shown([], width)[1].splitlines())) <= width


def test_memory_of_a_split_engine_is_that_of_each_gpu():
    for split, place in ((1, "GPU"), (2, "each GPU")):
        screen = StringIO()
        plan = plans()(job(rollout={"gpus": split, "tensor_parallel": split}))
        render(Console(file=screen, width=100), [], plan, HERE)
        assert re.search(rf"rollout x1 +{place} +\d", screen.getvalue())
