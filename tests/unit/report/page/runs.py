"""Records of runs as the page takes them, with a default for every field that a test does not care about."""

from flame_ray.report.page.records import RoundRecord, RunRecord, StageTime
from flame_ray.report.summary import EVALUATION_METRICS
from tests.builders import make_interval


def make_round(round: int = 0, mean: float = 0.5, **fields) -> RoundRecord:
    """Every held-out metric is `mean`, with an interval of 0.1 to either side, over 40 prompts."""
    value = make_interval(mean, low=mean - 0.1, high=mean + 0.1, n=40)
    more = {"pairs": {"instruction": 3, "factuality": 2}, "dropped": {"factuality: tie": 4}} if round else {}
    start = {"start": round - 1} if round else {}
    return RoundRecord(round, dict.fromkeys(EVALUATION_METRICS, value), **(start | more | fields))


def make_run(*rounds: RoundRecord, id: str = "mine", **fields) -> RunRecord:
    rounds = rounds or (make_round(0, 0.3), make_round(1, 0.4))
    stages = (StageTime("evaluate", 0, 0.0, 57.0, "ok"), StageTime("train", 1, 60.0, 170.0, "ok"))
    given = {"status": "complete", "planned": 1, "seconds": 170.0, "stages": stages, "about": {"model": "small"}}
    return RunRecord(id, rounds=rounds, **(given | {"judge": "points", "measure": "one"} | fields))
