"""Our figures beside the paper's: in its unit, over seeds, and with a reason where there is none."""

from dataclasses import replace

from flame_ray.evaluation.suites.base import SuiteResult
from flame_ray.reproduction.figures import PAPER
from flame_ray.reproduction.plan import PlannedCell, PlannedContrast, PlannedTable
from flame_ray.reproduction.plot import dots, svg
from flame_ray.reproduction.render import cell_text, csv_text, difference_text, markdown
from flame_ray.reproduction.results import Cell, FilledTable, Pooled, fill
from flame_ray.reproduction.systems import DPO, DPO_FACT
from flame_ray.reproduction.tables import TABLES, Measure, Table
from tests.builders import make_interval

FS = Measure("biography.fs", "biography", "precision", 100)
WIN = Measure("win over SFT + DPO", "alpaca-eval", "win_rate", 100, against_baseline=True)
PAIRS = Measure("fact pairs", "run", "rounds.-1.pairs.factuality+weighted", digits=0)
TABLE = Table("t", "A table", (DPO, DPO_FACT), (FS,), DPO)


def result(mean: float | None, low: float | None = None, high: float | None = None, n: int = 4) -> SuiteResult:
    return SuiteResult("biography", n, {"precision": make_interval(mean, low=low, high=high, n=n)})


def filled(found: dict, measure: Measure = FS) -> Cell:
    planned = PlannedTable(TABLE, (PlannedCell("SFT + DPO^fact", measure, tuple(found)),))
    (cell,) = fill(planned, found.__getitem__, lambda key, figure: None).cells
    return cell


def test_a_figure_is_brought_into_the_papers_unit():
    cell = filled({"a": result(0.5, 0.25, 0.75)})
    assert cell.ours == Pooled(make_interval(50.0, low=25.0, high=75.0, n=4), 1, 50.0, 50.0)
    assert cell.paper == 47.1 and cell.missing is None
    assert cell_text(cell) == "50.0 [25.0, 75.0] n 4; paper 47.1"


def test_seeds_are_averaged_and_their_range_is_shown():
    cell = filled({"a": result(0.5, 0.25, 0.75), "b": result(0.25, 0.0, 0.5)})
    assert cell.ours == Pooled(make_interval(37.5, low=12.5, high=62.5, n=4), 2, 25.0, 50.0)
    assert cell_text(cell) == "37.5 [12.5, 62.5] n 4, 2 seeds 25.0 to 50.0; paper 47.1"


def test_a_seed_that_failed_is_left_out_with_its_reason_and_is_no_zero():
    cell = filled({"a": result(0.5, 0.25, 0.75), "b": "no room"})
    assert cell.ours is not None and cell.ours.interval.mean == 50.0 and cell.ours.seeds == 1
    assert cell.missing == "no room"


def test_a_figure_that_no_seed_has_is_missing():
    for found, why in (("not done yet", "not done yet"), (result(None), "the result of biography has no precision")):
        cell = filled({"a": found})
        assert cell.ours is None and cell.missing == why
        assert cell_text(cell) == "missing; paper 47.1"


def test_table_1_counts_what_had_no_room_in_the_prompts_of_a_fine_tuning():
    shown = {"prompts": 48, "examples": 240, "passages": 470, "examples_left_out": 0, "passages_left_out": 10}
    (measure,) = (each for each in TABLES["1"].measures if each.source == "sft")
    assert cell_text(filled({"a": {"elicited": {"shown": shown}}}, measure)) == "10"


def test_a_count_comes_from_the_summary_of_the_step():
    summary = {"rounds": [{"round": 0}, {"pairs": {"factuality": 0, "weighted": 1234}}]}
    assert cell_text(filled({"a": summary}, PAIRS)) == "1,234"
    assert filled({"a": {"rounds": []}}, PAIRS).missing == "the summary has no rounds.-1.pairs.factuality+weighted"


def difference(*sides: tuple[dict, dict], measure: Measure = FS, first: str = "SFT + DPO^fact", second: str = "SFT + DPO"):
    """The difference of two systems with these values by prompt, seed by seed."""
    known = {f"{seed}{nth}": values for seed, pair in enumerate(sides) for nth, values in enumerate(pair)}
    keys = tuple((f"{seed}0", f"{seed}1") for seed in range(len(sides)))
    planned = PlannedTable(TABLE, (), (PlannedContrast(first, second, measure, keys),))
    return fill(planned, {}.__getitem__, lambda key, figure: known[key] if figure == measure.figure else None).differences


def test_two_systems_are_compared_prompt_by_prompt_in_the_papers_unit():
    (found,) = difference(({"a": 0.5, "b": 1.0}, {"a": 0.25, "b": 0.5}))
    assert (found.ours, found.seeds) == (make_interval(37.5, low=25.0, high=50.0, n=2), 1)
    assert difference_text(found) == "+37.5 [+25.0, +50.0] n 2; paper +4.8: holds"


def test_two_prompts_that_differ_alike_decide_nothing():
    (found,) = difference(({"a": 0.5, "b": 1.0}, {"a": 0.25, "b": 0.75}))
    assert found.ours.low < 0 < found.ours.high and found.is_as_in_the_paper is None


def test_a_direction_against_the_papers_and_one_that_is_open_are_told():
    (against,) = difference(({"a": 0.25, "b": 0.5}, {"a": 0.5, "b": 1.0}))
    assert difference_text(against).endswith("paper +4.8: does not hold")
    (unclear,) = difference(({"a": 0.0, "b": 1.0}, {"a": 1.0, "b": 0.0}))
    assert difference_text(unclear).endswith("paper +4.8: not decided")
    (alone,) = difference(({"a": 1.0, "b": 0.5}, {"a": 0.0, "b": 0.0}), first="mine")
    assert difference_text(alone) == "+75.0 [+50.0, +100.0] n 2"


def test_a_seed_without_both_evaluations_has_no_part_in_a_difference():
    (found,) = difference(({"a": 0.5, "b": 0.5}, {"a": 0.0, "b": 0.0}), ({"a": 1.0}, None))
    assert (found.ours.mean, found.seeds) == (50.0, 1)
    assert difference(({"a": 1.0}, None)) == ()


def table_of(*cells: Cell) -> FilledTable:
    return FilledTable(Table("t", "A table", (DPO, DPO_FACT), (FS, WIN), DPO, ("A note.",)), cells)


SOME = Pooled(make_interval(42.0, low=40.0, high=44.0, n=9), 1, 42.0, 42.0)
CELLS = (
    Cell("SFT + DPO", FS, 42.3, SOME),
    Cell("SFT + DPO", WIN, 50.0, None, is_baseline=True),
    Cell("SFT + DPO^fact", FS, 47.1, None, "no | data"),
    Cell("SFT + DPO^fact", WIN, 40.8, None, "no | data"),
)


def test_markdown_has_a_row_a_system_and_says_once_why_figures_are_missing():
    text = markdown(table_of(*CELLS), ["A stand-in."])
    assert text.splitlines()[2:6] == [
        "| system | biography.fs | win over SFT + DPO |",
        "| --- | --- | --- |",
        "| SFT + DPO | 42.0 [40.0, 44.0] n 9; paper 42.3 | baseline; paper 50.0 |",
        "| SFT + DPO^fact | missing; paper 47.1 | missing; paper 40.8 |",
    ]
    assert "A note." in text and "A stand-in." in text
    assert text.endswith("- SFT + DPO^fact (biography.fs, win over SFT + DPO): no | data\n")


def test_a_table_of_too_many_columns_has_a_block_for_each_suite():
    table = TABLES["2"]
    cells = tuple(Cell(row.name, each, None, None) for row in table.rows for each in table.measures)
    lines = markdown(FilledTable(table, cells)).splitlines()
    heads = [line.count("|") - 2 for line in lines if line.startswith("| system ")]
    assert heads == [2, 5, 5, 5]
    assert [lines[at - 1] for at, line in enumerate(lines) if line.startswith("| system ")] == [""] * 4
    assert lines.count("| SFT^fact | - | - | - | - | - |") == 3


def test_what_weakens_a_figure_is_noted_below_the_table_over_all_seeds():
    cut, lost = {"contexts without their beginning": 3}, {"worker lost": 2}
    found = {
        "a": replace(result(0.5, n=4), noted=cut),
        "b": replace(result(0.5, n=4), noted=cut, missing=lost),
        "c": replace(result(0.5, n=4), missing={}, noted={}),
        "d": "not done yet",
    }
    cells = (
        PlannedCell("SFT + DPO^fact", FS, ("a", "b")),
        PlannedCell("SFT + DPO^fact", WIN, ("a", "b")),
        PlannedCell("SFT + DPO", FS, ("c", "d")),
    )
    lines = markdown(fill(PlannedTable(TABLE, cells[:1] + cells[2:]), found.__getitem__, lambda *_: None)).splitlines()
    start = lines.index("Noted, over all seeds:")
    counts = "not scored and left out: 2 worker lost; 6 contexts without their beginning"
    assert lines[start + 2 : start + 4] == [f"- SFT + DPO^fact (biography): {counts}", ""]
    (remark,) = fill(PlannedTable(TABLE, cells), found.__getitem__, lambda *_: None).remarks
    assert remark.noted == {"contexts without their beginning": 6}, "each evaluation counts once, whatever its columns"


def test_differences_stand_below_the_table_and_in_the_csv():
    two = replace(table_of(*CELLS), differences=difference(({"a": 0.5, "b": 1.0}, {"a": 0.25, "b": 0.5})))
    lines = markdown(two).splitlines()
    start = lines.index("### Differences")
    assert lines[start + 2 : start + 5] == [
        "| difference | biography.fs |",
        "| --- | --- |",
        "| (SFT + DPO^fact) - (SFT + DPO) | +37.5 [+25.0, +50.0] n 2; paper +4.8: holds |",
    ]
    *_, last = csv_text([two]).splitlines()
    assert last.startswith("t,(SFT + DPO^fact) - (SFT + DPO),biography.fs,4.8") and last.endswith(",37.5,25.0,50.0,2,1,,,")


def test_csv_has_a_line_a_figure_which_is_empty_where_it_is_missing():
    assert csv_text([table_of(*CELLS[:3])]).splitlines()[1:] == [
        "t,SFT + DPO,biography.fs,42.3,42.0,40.0,44.0,9,1,42.0,42.0,",
        "t,SFT + DPO,win over SFT + DPO,50.0,,,,,,,,",
        "t,SFT + DPO^fact,biography.fs,47.1,,,,,,,,no | data",
    ]


def figure(**ours: Pooled) -> FilledTable:
    """Figure 1 with our values of DPO^fact."""
    table = TABLES["figure-1"]
    rows = [(system.name, measure) for system in table.rows for measure in table.measures]
    mine = {("SFT + DPO^fact", name): value for name, value in ours.items()}
    return FilledTable(
        table,
        tuple(Cell(name, each, PAPER[name].get(each.name), mine.get((name, each.figure))) for name, each in rows),
    )


def test_the_figure_has_a_dot_for_each_model_of_the_paper_and_for_ours_that_have_both_values():
    length = Pooled(make_interval(1000.0, low=900.0, high=1100.0, n=9), 1, 1000.0, 1000.0)
    found = dots(figure(precision=SOME, win_rate=SOME, characters=length))
    assert [dot.name for dot in found if dot.is_ours] == ["SFT + DPO^fact"]
    assert len([dot for dot in found if not dot.is_ours]) == 8
    assert found[-1].length == 1000.0 and found[-1].x.mean == 42.0
    assert not [dot for dot in dots(figure(precision=SOME)) if dot.is_ours]


def test_the_drawing_has_a_circle_a_dot_and_a_cross_where_there_are_intervals():
    length = Pooled(make_interval(1000.0), 1, 1000.0, 1000.0)
    text = svg(dots(figure(precision=SOME, win_rate=SOME, characters=length)), "factuality", "helpful < wins")
    assert text.count("<circle") == 9 + 2  # two are the legend
    assert text.count("<path") == 2 + 1  # one is the frame
    assert "helpful &lt; wins" in text
    assert text.count("SFT + DPO^fact") == 1 and text.count(">4<") == 2  # its number stands at the paper's dot and at ours


def test_a_name_that_is_too_long_for_the_list_beside_the_figure_keeps_its_end():
    found = dots(figure(precision=SOME, win_rate=SOME))
    text = svg([replace(found[-1], name="Chat model /shared/models/one/Llama-2-13b-chat-hf")], "x", "y")
    assert ">1  \u2026ls/one/Llama-2-13b-chat-hf<" in text


def test_a_figure_without_dots_says_so():
    assert "nothing to draw yet" in svg([], "x", "y")
