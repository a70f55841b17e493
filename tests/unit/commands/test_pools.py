"""A pool without a run: the command's name, room for its own roles alone, and an end with the block."""

import io
from contextlib import contextmanager

from rich.console import Console

from flame_ray.commands import pools
from flame_ray.config import Config
from flame_ray.report.progress import Screen


def test_workers_start_where_there_is_room_and_end_with_the_block(monkeypatch):
    done, written = [], io.StringIO()

    @contextmanager
    def block(name):
        done.append(f"enter {name}")
        yield name
        done.append(f"leave {name}")

    monkeypatch.setattr(pools, "connected", lambda _, name: block(name.rpartition("-")[0]))
    monkeypatch.setattr(pools, "check_capacity", lambda _, only: done.append(only))
    monkeypatch.setattr(pools, "Scope", lambda _: block("scope"))
    screen = Screen(Console(file=written, width=200))
    with pools.started(Config(), ("judge",), lambda scope: f"workers of {scope}", "judge-all", "again", screen) as workers:
        done.append(workers)
        assert "start actors" in written.getvalue()
    assert done == ["enter judge-all", ("judge",), "enter scope", "workers of scope", "leave scope", "leave judge-all"]
