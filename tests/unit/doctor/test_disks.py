"""Room: what is asked of disks, and of a store in memory."""

from flame_ray.config.load import parse_config
from flame_ray.doctor.checks import Level
from flame_ray.doctor.disks import check_room, find_room


def test_room_is_asked_of_disks_and_not_of_object_stores():
    assert check_room("run.root", "x", 10.0, 10.0, "free some").level is Level.OK
    assert check_room("run.root", "x", 10.0, 9.0, "free some").level is Level.PROBLEM
    assert check_room("run.root", "x", 10.0, None, "free some").level is Level.OK
    assert check_room("store", "x", 10.0, 9.0, "free some", Level.WARNING).level is Level.WARNING


def test_a_root_on_an_object_store_is_as_good_as_a_disk():
    check = find_room(parse_config({"run": {"root": "memory://bucket/runs"}}, "here"), None)[0]
    assert (check.level, check.name, check.found) == (Level.OK, "run.root", "not asked")
    assert "memory://bucket/runs" in check.expected
