"""Room: what is asked of disks, and of a store in memory."""

from flame_ray.runtime.doctor.disks import check_room
from flame_ray.runtime.doctor.findings import Level


def test_room_is_asked_of_disks_and_not_of_object_stores():
    assert check_room("run.root", "x", 10.0, 10.0, "free some").level is Level.OK
    assert check_room("run.root", "x", 10.0, 9.0, "free some").level is Level.PROBLEM
    assert check_room("run.root", "x", 10.0, None, "free some").level is Level.OK
    assert check_room("store", "x", 10.0, 9.0, "free some", Level.WARNING).level is Level.WARNING
