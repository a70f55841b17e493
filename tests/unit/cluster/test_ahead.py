"""Work that is begun before it is asked for."""

import threading
import time

import pytest

from flame_ray.cluster.ahead import in_order

PATIENCE_S = 30.0
MOMENT_S = 0.05  # long enough for a thread that was started to say so


class Work:
    """key -> 10 * key; notes which keys were begun, and keeps those in `held` until they are let go."""

    def __init__(self, held: tuple[int, ...] = (), fails_at: int | None = None):
        self.begun: list[int] = []
        self.held = {key: threading.Event() for key in held}
        self.fails_at = fails_at

    def __call__(self, key: int) -> int:
        self.begun.append(key)
        if key in self.held:
            assert self.held[key].wait(PATIENCE_S)
        if key == self.fails_at:
            raise KeyError(f"work {key}")
        return 10 * key

    def has_begun(self, *keys: int) -> bool:
        """Whether these were begun and no others; looks again for a while before it says no."""
        until = time.monotonic() + PATIENCE_S
        while set(keys) - set(self.begun) and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(MOMENT_S)
        return sorted(self.begun) == sorted(keys)


@pytest.mark.parametrize("ahead", [0, 1, 2, 9])
def test_values_come_with_their_keys_in_the_order_of_the_keys(ahead):
    assert list(in_order(Work(), range(1, 6), ahead)) == [(key, 10 * key) for key in range(1, 6)]
    assert list(in_order(Work(), [], ahead)) == []


def test_values_come_in_order_though_a_later_one_is_done_first():
    work = Work(held=(2,))
    found = in_order(work, [1, 2, 3], ahead=2)
    assert next(found) == (1, 10)
    assert work.has_begun(1, 2, 3)
    work.held[2].set()
    assert list(found) == [(2, 20), (3, 30)]


@pytest.mark.parametrize("ahead", [0, 1, 2, 9])
def test_while_a_value_is_used_so_many_further_ones_are_worked_on_and_no_more(ahead):
    work = Work()
    found = in_order(work, range(1, 6), ahead)
    assert work.begun == []
    for key, _ in found:
        assert work.has_begun(*range(1, min(key + ahead, 5) + 1))


def test_the_next_one_is_begun_only_when_the_first_is_done():
    """It samples with what the first one's use has not changed yet, but after its prompts are all sampled."""
    work = Work(held=(1,))
    found = in_order(work, [1, 2], ahead=1)
    asking = threading.Thread(target=next, args=(found,), daemon=True)
    asking.start()
    assert work.has_begun(1)
    work.held[1].set()
    assert work.has_begun(1, 2)
    asking.join(PATIENCE_S)


@pytest.mark.parametrize("ahead", [0, 1, 2])
def test_an_error_arrives_where_its_value_would_have(ahead):
    found = in_order(Work(fails_at=2), [1, 2, 3], ahead)
    assert next(found) == (1, 10)
    with pytest.raises(KeyError, match="work 2"):
        next(found)


def test_who_stops_early_does_not_wait_for_what_was_begun():
    work = Work(held=(2,))
    found = in_order(work, [1, 2], ahead=1)
    next(found)
    assert work.has_begun(1, 2)
    found.close()  # returns, though work 2 does not
    assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("ahead"))
    work.held[2].set()
