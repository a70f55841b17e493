"""What Ray's Prometheus endpoint shows of a run: the round, the stage, and the evaluation. Tagged with the run id."""

from ray.util.metrics import Gauge

from flame_ray.types import Evaluation

EVALUATED = ("factual_precision", "correct_facts", "erroneous_facts", "abstention_rate", "instruction_score", "response_tokens")


class Metrics:
    """Gauges; they appear as `ray_flame_<name>`."""

    def __init__(self, run_id: str):
        tags = {"run": run_id}
        self._round = Gauge("flame_round", "Round that is running; 0 is before training", ("run",))
        self._stage = Gauge("flame_stage", "1 for the stage that is running", ("run", "stage"))
        self._evaluated = {name: Gauge(f"flame_{name}", f"Held-out {name.replace('_', ' ')}", ("run",)) for name in EVALUATED}
        for gauge in (self._round, self._stage, *self._evaluated.values()):
            gauge.set_default_tags(tags)

    def stage(self, name: str, round: int, running: bool) -> None:
        self._round.set(round)
        self._stage.set(float(running), {"stage": name})

    def evaluation(self, evaluation: Evaluation) -> None:
        for name, gauge in self._evaluated.items():
            mean = getattr(evaluation, name).mean
            if mean is not None:
                gauge.set(mean)
