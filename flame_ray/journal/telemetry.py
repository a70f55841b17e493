"""Shows a run's round, stage and evaluation at Ray's Prometheus endpoint, tagged with the run id."""

from ray.util.metrics import Gauge

from flame_ray.report.summary import EVALUATION_METRICS
from flame_ray.types import Evaluation


class Metrics:
    """Gauges of one run; Prometheus shows them as `ray_flame_<name>`."""

    def __init__(self, run_id: str):
        tags = {"run": run_id}
        self._round = Gauge("flame_round", "The round that is running; 0 is before training", ("run",))
        self._stage = Gauge("flame_stage", "1 while the stage is running, else 0", ("run", "stage"))
        self._evaluation = {
            name: Gauge(f"flame_{name}", f"Held-out {name.replace('_', ' ')}", ("run",)) for name in EVALUATION_METRICS
        }
        for gauge in (self._round, self._stage, *self._evaluation.values()):
            gauge.set_default_tags(tags)

    def stage(self, name: str, round: int, running: bool) -> None:
        self._round.set(round)
        self._stage.set(float(running), {"stage": name})

    def evaluation(self, evaluation: Evaluation) -> None:
        for name, gauge in self._evaluation.items():
            mean = getattr(evaluation, name).mean
            if mean is not None:
                gauge.set(mean)
