"""What a person sees: bars on a terminal, lines elsewhere."""

import io
import re
import threading
import time
from contextlib import closing, contextmanager

import pytest
from rich.console import Console

from flame_ray.report.progress import Screen
from tests.doubles import SeenScreen

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
PATIENCE_S = 30.0


class Written(io.StringIO):
    """What a screen shows; `since` a mark, without the codes that colour it."""

    def mark(self) -> int:
        return len(self.getvalue())

    def since(self, mark: int) -> str:
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.getvalue()[mark:])

    def shows(self, *texts: str) -> bool:
        """Whether all of these come up, in what is drawn from now on."""
        mark, until = self.mark(), time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            if all(text in self.since(mark) for text in texts):
                return True
            time.sleep(0.01)
        return False


@pytest.fixture
def terminal():
    written = Written()
    return Screen(Console(file=written, force_terminal=True, width=120)), written


@pytest.fixture
def plain():
    written = Written()
    return Screen(Console(file=written, width=200)), written


def test_several_stages_have_a_bar_each_at_once(terminal):
    screen, written = terminal
    train = screen.begin("round 1 train")
    sample = screen.begin("round 2 sample")
    train.advance(3, 10)
    sample.advance(40, 96)
    assert written.shows("round 1 train", "3/10", "round 2 sample", "40/96")
    sample.close()
    train.close()


def test_the_beginning_of_a_block_has_a_bar_and_the_block_has_none_and_ends_as_it_would():
    screen, seen = SeenScreen(), []

    @contextmanager
    def block():
        seen.append(screen.labels)
        try:
            yield "a value"
        except KeyError:
            seen.append("its error")

    with screen.entering("connect", block()) as value:
        assert (value, screen.labels, seen) == ("a value", [], [["connect"]])
        raise KeyError
    assert seen[1:] == ["its error"]


def test_a_block_that_cannot_begin_leaves_no_bar():
    screen = SeenScreen()

    @contextmanager
    def block():
        raise OSError
        yield

    with pytest.raises(OSError), screen.entering("connect", block()):
        pass
    assert screen.labels == []


def test_a_stage_that_ends_leaves_its_line_and_the_others_bars_go_on(terminal):
    screen, written = terminal
    train, sample = screen.begin("round 1 train"), screen.begin("round 2 sample")
    sample.end("96 responses")
    mark = written.mark()
    train.advance(4, 10)
    assert written.shows("round 1 train", "4/10")
    assert "round 2 sample" not in written.since(mark)
    assert re.search(r"round 2 sample +\d+\.\d s  96 responses", written.since(0))
    train.close()


def test_the_terminal_is_given_back_with_the_last_bar_and_taken_again_by_the_next(terminal):
    screen, written = terminal
    first, second = screen.begin("a"), screen.begin("b")
    first.close()
    assert SHOW_CURSOR not in written.getvalue()
    second.close()
    assert -1 < written.getvalue().rfind(HIDE_CURSOR) < written.getvalue().rfind(SHOW_CURSOR)
    third = screen.begin("c")
    assert written.getvalue().rfind(SHOW_CURSOR) < written.getvalue().rfind(HIDE_CURSOR)
    third.close()


def test_what_is_told_of_a_bar_after_its_end_is_ignored(terminal):
    screen, _ = terminal
    bar = screen.begin("a")
    bar.close()
    bar.advance(1, 2)
    bar.close()
    other = screen.begin("b")
    bar.advance(1, 2)
    other.close()


def test_elsewhere_a_finished_stage_is_one_line_and_a_failed_one_none(plain):
    screen, written = plain
    ended, failed = screen.begin("round 1 train"), screen.begin("round 2 sample")
    ended.advance(1, 2)
    failed.close()
    ended.end("4 steps of [bold] text")
    assert re.fullmatch(r"round 1 train +\d+\.\d s  4 steps of \[bold\] text\n", written.getvalue())


@pytest.mark.parametrize("kind", ["terminal", "plain"])
def test_stages_on_many_threads_all_leave_their_lines(kind, request):
    screen, written = request.getfixturevalue(kind)

    def stages(thread: int) -> None:
        for number in range(10):
            bar = screen.begin(f"stage {thread}.{number}")
            bar.advance(number, 10)
            bar.end(f"done {thread}.{number}")

    threads = [threading.Thread(target=stages, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = re.findall(r"done (\d)\.(\d)\s", written.since(0))
    assert len(set(done)) == 80
    assert written.getvalue().count(HIDE_CURSOR) == written.getvalue().count(SHOW_CURSOR)


def test_elsewhere_each_running_stage_has_a_line_again_and_again_until_it_ends():
    written, others = Written(), threading.enumerate()
    screen = Screen(Console(file=written, width=200), remind_s=0.02)
    with closing(screen.begin("round 1 train")) as train, closing(screen.begin("round 2 sample")) as sample:
        train.advance(3, 10)
        assert written.shows("round 1 train", "s  goes on: 3 of 10 done", "round 2 sample", "s  goes on\n")
        sample.advance(40, None)
        assert written.shows("s  goes on: 40 done")
        train.advance(4, 10, "loss 0.561")
        assert written.shows("s  goes on: 4 of 10 done, loss 0.561\n")
    reminders = [each for each in threading.enumerate() if each.name == "reminder" and each not in others]
    for each in reminders:
        each.join(PATIENCE_S)
        assert not each.is_alive()
    with closing(screen.begin("round 3 train")):
        assert written.shows("round 3 train", "goes on")


def test_what_only_waits_for_a_later_bar_of_its_thread_is_not_named():
    screen = SeenScreen()
    pair, score, sample = screen.begin("pair"), screen.begin("score"), screen.begin("sample")
    assert screen.reminders == [("sample", 0, "")]
    sample.advance(1, 9)
    score.advance(0, None, "1 sampled")
    assert screen.reminders == [("score", 0, "1 sampled"), ("sample", 1, "")]
    sample.close()
    score.close()
    assert screen.reminders == [("pair", 0, "")]
    pair.close()


def test_a_bar_of_another_thread_is_named_beside_it():
    screen = SeenScreen()
    train = screen.begin("train")
    other = threading.Thread(target=screen.begin, args=("sample",))
    other.start()
    other.join()
    assert [label for label, *_ in screen.reminders] == ["train", "sample"]
    train.close()


def test_a_note_is_told_before_anything_is_done():
    written = Written()
    screen = Screen(Console(file=written, width=200), remind_s=0.02)
    with closing(screen.begin("round 0 evaluate")) as bar:
        bar.advance(0, 216, "120 answered")
        assert written.shows("s  goes on: 0 of 216 done, 120 answered\n")


def test_each_result_that_passes_is_a_step_of_the_bar():
    bar = SeenScreen().begin("check")
    seen = [(result, bar.done, bar.total) for result in bar.counted("abc", 3)]
    assert seen == [("a", 1, 3), ("b", 2, 3), ("c", 3, 3)]


def test_a_terminal_has_bars_and_no_such_lines():
    written = Written()
    screen = Screen(Console(file=written, force_terminal=True, width=120), remind_s=0.02)
    with closing(screen.begin("round 1 train")):
        assert written.shows("round 1 train")
    assert "goes on" not in written.getvalue()


def test_a_job_that_says_nothing_of_it_has_such_a_line_every_30_seconds_at_least():
    waits = []

    class Ended(threading.Event):
        def wait(self, timeout=None):
            waits.append(timeout)
            return True

    Screen(Console(file=Written()))._remind(Ended())
    assert waits and 0 < waits[0] <= 30
