"""The charts of the page: named axes with units, intervals, numbers, and the same as a table."""

import re
from xml.etree.ElementTree import Element

import pytest

from flame_ray.report.axes import Axis
from flame_ray.report.page.curves import SIZE as SMALL
from flame_ray.report.page.curves import chart, metric_charts, training_charts
from flame_ray.report.page.gantt import timeline
from flame_ray.report.page.markup import html
from flame_ray.report.page.pair_yield import yields
from flame_ray.report.page.paths import SIZE as FIGURE
from flame_ray.report.page.paths import Box, path_figure
from flame_ray.report.page.plots import frame
from flame_ray.report.page.records import RunRecord, StageTime
from flame_ray.report.page.sections import _tables
from flame_ray.report.page.step_curves import step_charts
from tests.builders import make_interval
from tests.unit.report.page.runs import make_round, make_run


def having(node: Element, name: str) -> list[Element]:
    return [each for each in node.iter() if name in each.get("class", "").split()]


def words(node: Element) -> list[str]:
    return [each.text for each in node.iter("text")]


# Helpfulness against factuality


def test_the_figure_has_a_path_for_each_run_with_a_dot_a_round_and_an_interval_either_way():
    figure = path_figure([(0, make_run()), (1, make_run(id="theirs"))])
    dots, intervals = having(figure, "dot"), having(figure, "interval")
    assert [dot.get("class") for dot in dots] == ["dot s0", "dot s0", "dot s1", "dot s1"]
    assert len(intervals) == 8 and len(having(figure, "path")) == 2
    assert [text for text in words(figure) if text[0] in "AB"] == ["A0", "A1", "B0", "B1"]


def test_the_axes_are_named_with_what_they_count():
    figure = path_figure([(0, make_run(judge="log-odds to be preferred"))])
    assert "factual precision (share of facts supported)" in words(figure)
    assert "helpfulness (log-odds to be preferred)" in words(figure)


def boxes(figure: Element) -> list[tuple[float, float]]:
    """The middles of the names of the dots."""
    return [(float(each.get("x")), float(each.get("y"))) for each in having(figure, "label")]


@pytest.mark.parametrize("apart", [0.0, 0.02, 0.1])
def test_names_of_dots_that_crowd_do_not_cover_each_other(apart):
    runs = [make_run(*(make_round(each, 0.3 + apart * (each + run)) for each in range(3)), id=str(run)) for run in range(2)]
    found = boxes(path_figure(list(enumerate(runs))))
    assert len(found) == 6
    assert all(abs(a[0] - b[0]) >= 18 or abs(a[1] - b[1]) >= 12 for at, a in enumerate(found) for b in found[:at]), found


def test_the_name_of_an_axis_stands_clear_of_the_highest_value_on_it():
    for size in (FIGURE, SMALL):
        y = Axis(0.0, 1.0, size.height - size.bottom, size.top)
        parts = list(frame(size, Axis(0.0, 1.0, size.left, size.width - size.right), y, [0.0], ("round", "share")))
        highest, name = (next(each for each in parts if each.text == words) for words in ("1", "share"))
        assert float(name.get("y")) >= 14 and float(highest.get("y")) - float(name.get("y")) >= 20


def test_a_dot_has_more_area_for_longer_answers():
    long, short = (make_interval(tokens, n=9) for tokens in (400.0, 100.0))
    first, second = make_round(0), make_round(1)
    first.heldout["response_tokens"], second.heldout["response_tokens"] = long, short
    sizes = [float(dot.get("r")) for dot in having(path_figure([(0, make_run(first, second))]), "dot")]
    assert sizes == [12.0, 6.0]


def test_a_line_comes_from_the_round_whose_weights_a_round_started_from():
    """Round 2 was rolled back: round 3 starts from round 1."""
    rounds = [make_round(place, 0.3 + place / 10) for place in range(3)] + [make_round(3, 0.9, start=1)]
    figure = path_figure([(0, make_run(*rounds, best=3))])
    dots = [(each.get("cx"), each.get("cy")) for each in having(figure, "dot")]
    lines = [tuple(re.findall(r"[\d.]+ [\d.]+", each.get("d"))) for each in having(figure, "path")]
    expected = [(dots[0], dots[1]), (dots[1], dots[2]), (dots[1], dots[3])]
    assert [[tuple(map(float, end.split())) for end in line] for line in lines] == [
        [tuple(map(float, end)) for end in pair] for pair in expected
    ]
    assert len(having(figure, "best")) == 1


def test_the_figure_is_there_as_a_table_with_intervals_and_numbers():
    text = html(path_figure([(0, make_run())]))
    assert "95 % bootstrap interval over prompts] (n prompts)" in text
    assert '<th scope="row">mine</th><td>1</td><td>0.40 [0.30, 0.50] (n 40)</td>' in text


def test_a_round_that_one_score_is_missing_of_has_no_dot():
    first, second = make_round(0), make_round(1)
    first.heldout["instruction_score"] = make_interval(None, n=0)
    assert len(having(path_figure([(0, make_run(first, second))]), "dot")) == 1
    assert "No round has both scores yet" in html(path_figure([(0, make_run(first))]))


# Round by round


def test_every_metric_has_a_chart_with_its_unit_and_an_interval_a_round():
    charts = list(metric_charts([make_run(judge="points")]))
    assert [each.find("figcaption").text for each in charts][:2] == ["Factual precision", "Correct facts"]
    assert all(len(having(each, "interval")) == 2 and "round" in words(each) for each in charts)
    assert "points" in words(charts[6]) and "tokens a response" in words(charts[7])


def test_a_chart_tells_a_screen_reader_all_values():
    (first, *_) = metric_charts([make_run()])
    label = first.find("svg").get("aria-label")
    assert label == (
        "Factual precision, share of facts, by round. mine: round 0 0.30 [0.20, 0.40] (n 40), round 1 0.40 [0.30, 0.50] (n 40)"
    )


def test_a_skipped_round_has_no_value_of_its_own():
    run = make_run(make_round(0), make_round(1, is_skipped=True), make_round(2))
    (first, *_) = metric_charts([run])
    assert len(having(first, "dot")) == 2


def test_marks_of_two_runs_in_one_round_do_not_cover_each_other():
    (first, *_) = metric_charts([make_run(), make_run(id="theirs")])
    assert len({dot.get("cx") for dot in having(first, "dot")}) == 4
    assert [text for text in words(first) if text in "AB"] == ["A", "B"]


def test_the_letters_of_two_runs_do_not_cover_each_other():
    (first, *_) = metric_charts([make_run(), make_run(id="theirs")])
    places = sorted(float(each.get("x")) for each in having(first, "label"))
    assert len(places) == 2 and places[1] - places[0] >= 15


def test_scores_of_two_judges_have_charts_of_their_own():
    charts = list(metric_charts([make_run(judge="points"), make_run(id="theirs", judge="log-odds")]))
    helpful = [each for each in charts if each.find("figcaption").text == "Helpfulness"]
    assert [("points" in words(each), "log-odds" in words(each)) for each in helpful] == [(True, False), (False, True)]
    assert [having(each, "dot")[0].get("class") for each in helpful] == ["dot s0", "dot s1"]


def test_development_prompts_have_charts_only_where_there_are_some():
    assert list(metric_charts([make_run()], development=True)) == []
    chosen = make_run(make_round(0, development={"f_at_k": make_interval(0.2, low=0.1, high=0.3, n=8)}))
    assert [each.find("figcaption").text for each in metric_charts([chosen], development=True)] == ["F@K"]


def test_a_training_has_values_without_intervals():
    run = make_run(make_round(0), make_round(1, training={"loss": 0.6}), make_round(2, training={"loss": 0.5, "margin": 1.0}))
    charts = list(training_charts([run]))
    assert [each.find("figcaption").text for each in charts] == ["Loss", "Margin"]
    assert len(having(charts[0], "dot")) == 2 and having(charts[0], "interval") == []


def test_many_rounds_have_ten_numbers_at_most():
    curve = {round: make_interval(0.5) for round in range(64)}
    figure = chart("Title", "unit", [make_run()], [curve])
    numbers = {text for text in words(figure) if text.isdigit()}
    assert {"0", "7", "14", "63"} <= numbers and len(numbers) <= 11  # beside those of the other axis, 0 and 1


def many_rounds(rounds: int) -> RunRecord:
    return make_run(*(make_round(number, 0.3 + number / 10_000) for number in range(rounds)))


def test_of_a_thousand_rounds_few_dots_have_a_name_and_the_last_has_one(monkeypatch):
    looked, shared = [], Box.shared
    monkeypatch.setattr(Box, "shared", lambda box, other: looked.append(1) or shared(box, other))
    figure = path_figure([(0, many_rounds(1001))])
    names = [each.text for each in having(figure, "label")]
    assert len(having(figure, "dot")) == 1001 and 30 <= len(names) <= 60 and names[-1] == "1000"
    assert len(looked) < 100_000


# Pairs


def test_the_bars_of_a_thousand_rounds_are_as_many_as_fit_on_a_screen_or_two_and_the_table_has_all_rounds():
    found = yields(many_rounds(1001))
    (drawing,) = found.iter("svg")
    assert float(drawing.get("viewBox").split()[3]) < 2000
    assert "round 1000" in words(found) and any("one round in 17" in each for each in words(found))
    assert len(next(found.iter("thead")).findall(".//th")) == 1001
    assert not any("one round in" in each for each in words(yields(many_rounds(61))))


def test_bars_of_pairs_are_as_long_as_there_are_pairs_of_a_kind():
    found = yields(make_run(make_round(0), make_round(1), make_round(2, pairs={"instruction": 6, "factuality": 4})))
    widths = [float(bar.get("width")) for bar in having(found, "bar")]
    assert widths[2] == pytest.approx(2 * widths[0], abs=0.2) and widths[3] == pytest.approx(2 * widths[1], abs=0.2)
    assert {"5", "10"} <= set(words(found))


def test_what_was_dropped_and_cut_off_is_in_the_table():
    text = html(yields(make_run(make_round(0), make_round(1, responses=100, truncated=15))))
    assert '<th scope="row">dropped: factuality: tie</th><td>4</td>' in text
    assert "15 (15.0% [9.3%, 23.3%])" in text


def test_a_skipped_round_says_so():
    skipped = make_round(1, pairs={"instruction": 0}, is_skipped=True)
    assert "skipped" in words(yields(make_run(make_round(0), skipped)))


# Timeline


def test_a_bar_is_as_long_as_its_stage_took():
    first, second = having(timeline(make_run()), "bar")
    assert float(second.get("width")) == pytest.approx(float(first.get("width")) * 110 / 57, rel=0.01)


def test_overlapping_stages_lie_in_rows_of_their_own():
    stages = (StageTime("sample", 2, 0.0, 9.0, "ok"), StageTime("train", 1, 1.0, 8.0, "ok"))
    rows = [bar.get("y") for bar in having(timeline(make_run(stages=stages)), "bar")]
    assert rows[0] != rows[1]


@pytest.mark.parametrize("ended", ["failed", "interrupted", "running"])
def test_how_a_stage_ended_is_told_by_more_than_a_colour(ended):
    found = timeline(make_run(stages=(StageTime("train", 1, 0.0, 9.0, ended),)))
    assert having(found, ended) and any("✗" in text or "…" in text for text in words(found))
    assert f"9.0 ({ended})" in html(found)


def test_the_words_below_the_timeline_do_not_scroll_away_with_it():
    found = timeline(make_run())
    (region,) = having(found, "scroll")[:1]
    assert "rounds" in html(found).partition("<svg")[0] and not any("round" in text for text in words(region))


def test_the_newest_round_stands_first_in_every_table():
    rounds = [make_round(0), make_round(1, pairs={"instruction": 6}), make_round(2, pairs={"instruction": 4})]
    run = make_run(*rounds, stages=[StageTime("train", each, each, each + 1.0, "ok") for each in (1, 2)])
    for text in (html(yields(run)), html(timeline(run)), html(_tables(run))):
        assert 0 < text.index('scope="col">round 2</th>') < text.index('scope="col">round 1</th>')
    assert "<td>4</td><td>6</td>" in html(yields(run))


def test_a_change_is_named_shortly_below_what_changes_and_whole_for_a_screen_reader():
    changed = make_round(1, change={"f_at_k": make_interval(0.1, low=0.0, high=0.2, n=9)})
    text = html(_tables(make_run(make_round(0), changed)))
    assert '<span class="unseen">F@K: </span>change from round 0</span></th><td>+0.10 [0.00, 0.20] (n 9)</td>' in text


def test_seconds_of_a_stage_that_ran_twice_are_added():
    stages = (StageTime("train", 1, 0.0, 9.0, "interrupted"), StageTime("train", 1, 20.0, 41.0, "ok"))
    assert "<td>30.0</td>" in html(timeline(make_run(stages=stages)))


def test_a_run_that_has_only_begun_has_no_empty_axes():
    empty = make_run(make_round(0), stages=())
    assert "No stage has started yet." in html(timeline(empty)) and "No round has made pairs yet." in html(yields(empty))


# The learner, step by step


def test_each_figure_of_the_steps_has_a_line_for_each_run_that_knows_it():
    mine = make_run(steps={"loss": (0.7, 0.6, 0.5), "gradient_norm": (2.0, None, 1.0)})
    loss, norm = step_charts(list(enumerate([mine, make_run(id="theirs", steps={"loss": (0.9, 0.8)})])))
    assert [each.get("class") for each in having(loss, "path")] == ["path s0", "path s1"]
    assert [each.get("class") for each in having(norm, "path")] == ["path s0"]
    assert having(norm, "path")[0].get("d").count("L") == 1  # the step without a norm is left out
    (drawing,) = loss.iter("svg")
    assert drawing.get("aria-label") == "Loss, by step. mine: 0.7 at first, 0.5 at last. theirs: 0.9 at first, 0.8 at last"
    assert "step" in words(loss)


def test_of_many_steps_a_line_has_as_many_points_as_can_be_seen_and_ends_at_the_last():
    (figure,) = step_charts(list(enumerate([make_run(steps={"loss": tuple(float(step) for step in range(10_000))})])))
    (line,) = having(figure, "path")
    assert 100 < line.get("d").count("L") < 300
    (drawing,) = figure.iter("svg")
    assert drawing.get("aria-label").endswith("9999 at last")


def test_a_run_without_steps_has_no_such_chart():
    assert list(step_charts(list(enumerate([make_run(), make_run(steps={"gradient_norm": (None, None)})])))) == []
