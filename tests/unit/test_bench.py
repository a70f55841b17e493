"""The runner of `make bench`: its statistics, its turns, what becomes of a failure, and how the table is written."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.benchmarks.bench import render
from tests.benchmarks.bench.__main__ import measured, write
from tests.benchmarks.bench.machine import IDLE, Machine, describe, warning
from tests.benchmarks.bench.peers.trainer_turns import Turns
from tests.benchmarks.bench.process import REPOSITORY, Starter
from tests.benchmarks.bench.rows import growth_rounds
from tests.benchmarks.bench.rows.loop import of_round
from tests.benchmarks.bench.samples import Goal, Measured, Result, Row, Samples, Side
from tests.benchmarks.bench.table import ROWS
from tests.benchmarks.bench.turns import SideFailed, measure
from tests.benchmarks.bench.work import Work, write_rows

HERE, THERE = Side("here", "ours"), Side("there", "theirs", is_peer=True)
PAIR = Row("row", "a row", "the same on both sides", (HERE, THERE), (Goal("there: a pair", per="here: a pair", limit=3.0),))
MACHINE = Machine("EPYC", ("avx2",), 2, 24.0, "Linux", "3.11", {"torch": "2.13"}, {"trl": "1.16"}, "abc", (0.0, 0.0, 0.0))


class FakeSide:
    """Measures the given seconds, one a turn; None is a failure."""

    def __init__(self, name: str, values: list[float | None], calls: list[str]):
        self.command, self._name, self._values, self._calls = f"python -m {name}", name, values, calls

    def turn(self, number):
        self._calls.append(f"{self._name} {number}")
        if (value := self._values[number]) is None:
            raise SideFailed("out of memory")
        return {"a pair": Measured(value, "s")}

    def close(self) -> None:
        self._calls.append(f"{self._name} closed")


def starting(calls: list[str], **values: list[float | None]):
    """Starts sides that measure these values. One that has none does not start."""

    def start(side: Side) -> FakeSide:
        if side.name not in values:
            raise SideFailed("not installed")
        return FakeSide(side.name, values[side.name], calls)

    return start


def samples(name: str, *values: float, unit: str = "s") -> Samples:
    return Samples(name, unit, values, f"python -m {name}")


def result(*found: Samples, row: Row = PAIR, **others) -> Result:
    return Result(row, found, **others)


def test_samples_show_their_median_with_the_lowest_and_the_highest():
    assert samples("x", 0.9, 0.5, 0.6123).shown == "0.612 s [0.5, 0.9]"
    assert samples("x", 12345.6, 2.0, 30000.0, unit="us").shown == "12,346 us [2, 30,000]"
    assert samples("x", 1.5, unit="").shown == "1.5 [1.5, 1.5]"


def test_a_ratio_is_taken_turn_by_turn():
    found = result(samples("there: a pair", 2.0, 8.0, 3.0), samples("here: a pair", 1.0, 2.0, 3.0)).figure(PAIR.goals[0])
    assert found.values == (2.0, 4.0, 1.0) and found.median == 2.0
    # The ratio of the medians would be 1.5: it compares turns with other turns.


def test_a_ratio_to_a_side_without_samples_is_not_there():
    assert result(samples("here: a pair", 1.0)).figure(PAIR.goals[0]) is None
    assert result(samples("there: a pair", 1.0)).figure(PAIR.goals[0]) is None
    assert result(samples("there: a pair", 1.0), samples("here: a pair", 0.0)).figure(PAIR.goals[0]) is None


@pytest.mark.parametrize(
    ("goal", "value", "judged"),
    [
        (Goal("x", limit=3.0), 3.0, "at least 3: met"),
        (Goal("x", limit=3.0), 2.9, "at least 3: missed"),
        (Goal("x", limit=0.7, at_most=True), 0.7, "at most 0.7: met"),
        (Goal("x", limit=0.7, at_most=True), 0.8, "at most 0.7: missed"),
        (Goal("x"), 1.0, ""),
    ],
)
def test_a_goal_says_whether_it_is_met(goal, value, judged):
    assert goal.judged(value) == judged


def test_sides_take_turns_each_time_in_the_other_direction():
    calls: list[str] = []
    found = measure(PAIR, 3, starting(calls, here=[1.0, 2.0, 3.0], there=[4.0, 5.0, 6.0]))
    assert calls[:6] == ["here 0", "there 0", "there 1", "here 1", "here 2", "there 2"]
    assert [(each.name, each.values) for each in found.samples] == [
        ("here: a pair", (1.0, 2.0, 3.0)),
        ("there: a pair", (4.0, 5.0, 6.0)),
    ]
    assert sorted(calls[6:]) == ["here closed", "there closed"]


def test_sides_that_are_not_compared_have_the_machine_to_themselves():
    calls: list[str] = []
    measure(replace(PAIR, apart=True), 2, starting(calls, here=[1.0, 2.0], there=[4.0, 5.0]))
    assert calls == ["here 0", "here 1", "here closed", "there 0", "there 1", "there closed"]


def test_a_row_that_forgets_starts_its_sides_anew_for_each_turn():
    calls: list[str] = []
    found = measure(replace(PAIR, apart=True, fresh=True), 2, starting(calls, here=[1.0, 2.0], there=[4.0, 5.0]))
    assert calls == ["here 0", "here closed", "here 1", "here closed", "there 0", "there closed", "there 1", "there closed"]
    assert [each.values for each in found.samples] == [(1.0, 2.0), (4.0, 5.0)]


def test_a_side_that_failed_is_not_started_anew():
    calls: list[str] = []
    found = measure(replace(PAIR, fresh=True), 3, starting(calls, there=[4.0, None, 6.0]))
    assert found.failures == ("here: not installed", "there, turn 2 of 3: out of memory")
    assert calls == ["there 0", "there closed", "there 1", "there closed"]


def test_a_side_that_does_not_start_is_a_reason_and_not_the_end():
    found = measure(PAIR, 2, starting([], here=[1.0, 2.0]))
    assert found.failures == ("there: not installed",)
    assert [each.values for each in found.samples] == [(1.0, 2.0)]


def test_a_side_that_fails_later_keeps_its_samples_and_the_others_go_on():
    calls: list[str] = []
    found = measure(PAIR, 3, starting(calls, here=[1.0, None], there=[4.0, 5.0, 6.0]))
    assert found.failures == ("here, turn 2 of 3: out of memory",)
    assert [each.values for each in found.samples] == [(1.0,), (4.0, 5.0, 6.0)]
    assert calls.count("here closed") == calls.count("there closed") == 1


def test_rows_are_measured_as_often_as_they_say_and_remember_what_others_did():
    busy = iter([0.0, 0.9, 0.5, 0.0])
    rows = [PAIR, replace(PAIR, name="other", turns=1)]
    found = list(measured(rows, 2, starting([], here=[1.0, 2.0], there=[3.0, 4.0]), lambda: next(busy)))
    assert [each.samples[0].n for each in found] == [2, 1]
    assert [(each.busy_before, each.busy_after) for each in found] == [(0.0, 0.9), (0.5, 0.0)]
    assert all(each.took_s > 0 for each in found)
    assert all("**doubtful**" in render.markdown(each) for each in found)


def test_what_is_written_is_there_after_each_row(tmp_path):
    found = [result(samples("here: a pair", 1.0), row=replace(PAIR, name=name)) for name in ("one", "two")]
    for done in (1, 2):
        write(tmp_path, found[:done], MACHINE, is_quick=False)
        rows = json.loads((tmp_path / "bench.json").read_text())["rows"]
        assert [row["name"] for row in rows] == ["one", "two"][:done]
        assert (tmp_path / "bench.md").read_text().count("| here: a pair | 1 s") == done


def test_only_a_machine_with_other_work_gives_a_warning():
    assert warning(IDLE, IDLE) == ""
    assert warning(0.0, 0.5) == "the machine was not idle: others used 0% of its cores before, 50% after"
    assert warning(0.5, 0.0)


def test_a_row_of_the_table_has_its_samples_its_ratio_and_its_failures():
    found = result(
        samples("here: a pair", 1.0, 2.0, 3.0), samples("there: a pair", 4.0, 4.0, 3.0), failures=("there: a | b\nc",)
    )
    assert render.markdown(found).splitlines() == [
        "| **a row** | here: a pair | 2 s [1, 3] | 3 |  |",
        "| | there: a pair | 4 s [3, 4] | 3 |  |",
        "| | there: a pair / here: a pair | 2 [1, 4] | 3 | at least 3: missed |",
        "| | **failed** | there: a \\| b c | | |",
    ]


def test_a_goal_for_a_measure_stands_beside_it():
    row = replace(PAIR, goals=(Goal("here: a pair", limit=2.0, at_most=True),))
    assert render.markdown(result(samples("here: a pair", 1.0), row=row)).endswith("| 1 | at most 2: met |")


def test_a_row_without_any_samples_still_has_a_line():
    assert render.markdown(result(row=replace(PAIR, goals=()))) == "| **a row** | no samples | | | |"


def test_a_goal_without_a_figure_says_so():
    goals = (Goal("here: a pare", limit=2.0), Goal("here: a pare", per="here: a pair"), Goal("here: a pair"))
    found = result(samples("here: a pair", 1.0), row=replace(PAIR, goals=goals))
    assert render.markdown(found).splitlines()[1:] == [
        "| | **not measured** | here: a pare | | |",
        "| | **not measured** | here: a pare / here: a pair | | |",
    ]
    told = json.loads(render.as_json([found], MACHINE, (0.0, 0.0, 0.0), is_quick=False))["rows"][0]["goals"]
    assert [goal["judged"] for goal in told] == ["not measured", "not measured", ""]


def test_the_json_holds_the_machine_every_value_and_the_command_that_made_it():
    found = result(
        samples("here: a pair", 1.0, 3.0, 2.0),
        samples("there: a pair", 6.0, 3.0, 2.0),
        failures=("why",),
        busy_before=0.5,
        took_s=12.34,
    )
    whole = json.loads(render.as_json([found], MACHINE, (1.0, 2.0, 3.0), is_quick=True))
    assert whole["machine"]["flags"] == ["avx2"] and whole["load_after"] == [1.0, 2.0, 3.0] and whole["quick"]
    (row,) = whole["rows"]
    assert row["samples"][0] == {
        "name": "here: a pair",
        "unit": "s",
        "values": [1.0, 3.0, 2.0],
        "command": "python -m here: a pair",
        "n": 3,
        "median": 2.0,
    }
    assert (row["goals"][0]["values"], row["goals"][0]["judged"]) == ([6.0, 1.0, 1.0], "at least 3: missed")
    assert (row["failures"], row["busy_before"], row["work"]) == (["why"], 0.5, "the same on both sides")
    assert row["took_s"] == 12.3


def test_the_notes_say_what_a_row_does_and_how_long_it_took():
    assert render.notes([result(took_s=12.34)]) == "- **a row** (`row`, 12 s): the same on both sides"


def starter(folder: Path, **others) -> Starter:
    return Starter("{}", folder / "logs", peers=folder / "absent" / "python", **others)


def counting(*words: str) -> Side:
    return Side("here", "tests.unit.counting_side", words)


def test_a_side_answers_each_turn_whatever_else_it_prints(tmp_path):
    side = starter(tmp_path)(counting())
    try:
        assert [side.turn(number)["turn"] for number in (0, 7)] == [Measured(0.0, "s"), Measured(7.0, "s")]
    finally:
        side.close()
    assert "a library says: turn 7" in (tmp_path / "logs" / "counting_side.log").read_text()


def test_the_command_of_a_side_can_be_run_by_hand(tmp_path):
    words = starter(tmp_path).command(counting("works", "two words")).replace("$(python -m tests.benchmarks.bench.work)", "{}")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        words, shell=True, cwd=REPOSITORY, env=os.environ | {"PATH": path}, check=True, stdout=subprocess.PIPE, text=True
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == [{"ready": True}, {"turn": [0.0, "s"]}]


def test_the_command_of_a_peer_and_of_a_quick_turn_make_what_these_were_given(tmp_path):
    command = Starter('{"quick": true}', tmp_path).command(THERE)
    assert command == 'echo 0 | .venv-bench/bin/python -m theirs "$(python -m tests.benchmarks.bench.work --quick)"'


@pytest.mark.parametrize(("kind", "said"), [("raises", "ValueError: nothing | to count"), ("dies", "a library says: turn 1")])
def test_the_reason_of_a_side_that_ends_is_the_last_line_of_its_log(tmp_path, kind, said):
    row = replace(PAIR, sides=(counting(kind, "1"), replace(counting(), name="there")), goals=())
    found = measure(row, 2, starter(tmp_path))
    (reason,) = found.failures
    assert reason.startswith(f"here, turn 2 of 2: {said}") and f"counting_side-{kind}-1.log" in reason
    assert {each.name: each.values for each in found.samples} == {"here: turn": (0.0,), "there: turn": (0.0, 1.0)}


def test_a_side_that_hangs_is_given_up_and_ended(tmp_path):
    side = starter(tmp_path, turn_s=0.2)(counting("hangs", "0"))
    try:
        with pytest.raises(SideFailed, match="nothing after 0 s"):
            side.turn(0)
    finally:
        side.close(end_s=0.2)
    assert side.ended


def test_a_side_that_never_starts_says_why(tmp_path):
    with pytest.raises(SideFailed, match="ImportError: No module named 'peer'"):
        starter(tmp_path)(counting("never-starts"))


def test_a_peer_without_its_environment_is_told_how_to_make_it(tmp_path):
    with pytest.raises(SideFailed, match="make peers"):
        starter(tmp_path)(replace(counting(), is_peer=True))


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("name", ROWS)
def test_every_row_names_itself_modules_that_are_there_and_goals_of_its_sides(name, quick):
    row = ROWS[name](Work("folder", "model", "bfloat16", 16, 2, quick))
    sides = [side.name for side in row.sides]
    assert row.name == name and len(set(sides)) == len(sides)
    for side in row.sides:
        assert importlib.util.find_spec(side.module), side.module
    for goal in row.goals:
        for named in filter(None, (goal.of, goal.per)):
            assert named.partition(": ")[0] in sides, named


@pytest.mark.parametrize("name", ["rewards", "growth-rounds"])
def test_what_a_side_remembers_of_a_turn_is_not_measured_in_the_next(name):
    assert ROWS[name](Work("folder", "model", "bfloat16", 16, 2, False)).fresh


def test_quick_leaves_out_no_side_of_the_rewards():
    quick, whole = (ROWS["rewards"](Work("folder", "model", "bfloat16", 16, 2, quick)) for quick in (True, False))
    assert quick.sides == whole.sides


def test_logs_outlive_the_folder_of_the_work():
    assert Work("out/work-1", "model", "bfloat16", 16, 2, False).logs == Path("out/logs")


def test_a_turn_has_prompts_that_no_turn_before_had_until_there_are_no_more(tmp_path):
    write_rows(tmp_path / "prompts.jsonl", ({"prompt": text} for text in "abcde"))
    work = Work(str(tmp_path), "model", "bfloat16", 2, 2, False)
    assert [work.turn_texts(number) for number in (-1, 0, 1, 2)] == [["a", "b"], ["c", "d"], ["e", "a"], ["b", "c"]]


def test_the_memory_of_a_round_that_pairs_all_prompts_is_told_beside_that_of_few_and_not_judged():
    row = ROWS["growth-prompts"](Work("folder", "model", "bfloat16", 16, 2, False))
    shares = {side.name: side.words[1] for side in row.sides if side.words[0] == "controller"}
    assert row.apart and shares == {"controller": "0.02", "controller, all paired": "1"}
    limits = {goal.of.partition(": ")[0]: goal.limit for goal in row.goals if "memory" in goal.of}
    assert limits == {"controller": 1.2, "controller, all paired": None}


def test_rounds_that_are_collected_are_reported_too(tmp_path, monkeypatch):
    monkeypatch.setattr(growth_rounds, "PROMPTS", 2)
    found = growth_rounds.collected(tmp_path, read_after=(1, 3))
    assert list(found) == ["memory, round 1", "memory, round 3", "CPU of a round"]
    rounds = json.loads((tmp_path / "run" / "summary.json").read_text())["rounds"]
    assert [each["round"] for each in rounds] == [1, 2, 3]


class FakeChannel:
    """Asks for a few turns, and notes in `events` when it asked and was answered."""

    def __init__(self, asked: int, events: list[str]):
        self._asked, self._events = asked, events

    def turns(self):
        for number in range(self._asked):
            self._events.append(f"turn {number}")
            yield number

    def answer(self, measured):
        self._events.append("answered " + ", ".join(measured))


def test_a_turn_of_a_trainer_is_an_epoch_after_one_to_warm_up():
    events: list[str] = []
    turns = Turns(FakeChannel(2, events), steps=3)
    with pytest.raises(SystemExit):
        for step in range(12):
            turns.on_step_begin(None, SimpleNamespace(global_step=step), None)
            events.append(f"step {step}")
            turns.on_step_end(None, SimpleNamespace(global_step=step + 1), None)
    answered = "answered a pair, peak memory"
    assert events == [
        *("step 0", "step 1", "step 2"),
        *("turn 0", "step 3", "step 4", "step 5", answered),
        *("turn 1", "step 6", "step 7", "step 8", answered),
    ]


def test_a_round_costs_what_its_prompts_take_until_training_and_what_its_pairs_take_from_there():
    spans = [
        {"stage": stage, "round": round, "start": start, "end": end}
        for stage, round, start, end in [
            ("evaluate", 0, 0.0, 50.0),
            ("sample", 1, 50.0, 60.0),
            ("score", 1, 60.0, 68.0),
            ("pair", 1, 68.0, 70.0),
            ("train", 1, 71.0, 79.0),
            ("sync", 1, 79.0, 81.0),
            ("evaluate", 1, 81.0, 99.0),
        ]
    ]
    found = {name: each.value for name, each in of_round(spans, prompts=20, pairs=10).items()}
    assert found["a pair"] == pytest.approx(21 / 20 + 10 / 10)  # with the second between pairs and training
    assert found["a trained pair"] == pytest.approx(31 / 10)
    assert found["round over its stages"] == pytest.approx(31 / 30)


def test_the_machine_is_described_with_its_cores_and_the_commit():
    found = describe(Path("absent"), REPOSITORY)
    assert found.cores >= 1 and found.memory_gib > 0 and "torch" in found.versions and found.peer_versions == {}


def test_peers_have_the_libraries_below_them_in_our_own_versions():
    pins = [
        dict(line.split("==") for line in (REPOSITORY / lock).read_text().splitlines() if "==" in line and line[0] != "#")
        for lock in ("clusters/cpu.lock", "tests/benchmarks/bench/peers.lock")
    ]
    for name in ("transformers", "peft", "accelerate", "datasets", "numpy", "tokenizers", "safetensors"):
        assert pins[0][name] == pins[1][name], name
    assert "trl" in pins[1]
