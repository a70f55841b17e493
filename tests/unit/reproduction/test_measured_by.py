"""A table says which model, checker and judge gave its figures, at each scale."""

from functools import cache
from pathlib import Path

import pytest

from flame_ray.config.load import load_config
from flame_ray.reproduction.measured_by import measured_by
from flame_ray.reproduction.plan import Plan, PlannedTable
from flame_ray.reproduction.systems import SCALES
from flame_ray.reproduction.tables import TABLES

JOBS = Path(__file__).parents[3] / "jobs"
load = cache(load_config)
CPU, PAPER = "`smollm2-135m`", "`allenai/OLMo-2-1124-7B`"


def note(table: str, scale: str, *settings: str) -> str:
    plan = Plan(SCALES[scale], 1, lambda job, more: load(JOBS / scale / job, (*settings, *more)))
    (found,) = measured_by(plan.add(TABLES[table]), plan)
    return found


@pytest.mark.parametrize(("scale", "model"), [("cpu", CPU), ("paper", PAPER)])
@pytest.mark.parametrize("table", TABLES)
def test_each_table_names_the_model_that_its_rows_were_made_of(table, scale, model):
    assert note(table, scale).startswith(f"Measured by: the model before any tuning is {model}")


def test_win_rates_and_facts_have_their_judge_and_checker_at_both_scales():
    assert note("3", "cpu").endswith(
        "; facts are split by `rule` and checked by `small` on `factbook`; "
        "win rates are by scores of the judge `preference` (the one that ships)."
    )
    assert note("3", "paper").endswith(
        "; facts are split by `rule` and checked by `lexical` on `wikimedia/wikipedia:20231101.en`; "
        "win rates are by `allenai/OLMo-2-1124-7B-Instruct`, which compares two answers in both orders."
    )
    assert "win rates" not in note("1", "cpu") and "facts" not in note("9", "cpu")


def test_rewards_that_are_rows_are_named_each():
    found = note("10", "paper")
    assert found.count("checked by") == 3 and "70B" in found and "split by `sentence`" in found


def test_a_judge_that_no_setting_names_is_the_one_that_a_row_starts_from():
    settings = ("suites.compare=score", "judge.backend=rubric", "judge.model=null")
    assert "scores of the judge `rubric` (the model that the row's last step starts from)" in note("3", "cpu", *settings)


def test_there_is_nothing_to_say_of_a_table_without_jobs():
    plan = Plan(SCALES["cpu"], 1, lambda job, more: load(JOBS / "cpu" / job, more))
    assert not list(measured_by(PlannedTable(TABLES["3"], ()), plan))
