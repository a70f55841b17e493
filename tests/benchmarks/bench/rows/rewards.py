"""How fast the rewards score, by backend, cold and with what they remember."""

import sys
import time
from functools import partial

from tests.benchmarks.bench.channel import Channel, serve
from tests.benchmarks.bench.process import REPOSITORY
from tests.benchmarks.bench.samples import Measured, Row, Side, Turn
from tests.benchmarks.bench.work import KV_CACHE_GIB, MAX_LENGTH, MAX_SEQUENCES, SEED, Work

CHECKERS = ("lexical", "small", "llm")  # `nli` needs weights that no package has
JUDGES = ("preference", "backtranslation")
RESPONSES, SLOW, QUICK = 100, 5, 16  # those of `llm` take seconds each
WARM = 2  # responses that a judge scores before, and not again
FACTS, JUDGE = "facts", "judge"


def row(work: Work) -> Row:
    checkers = [Side(f"facts, {name}", __name__, (FACTS, name)) for name in CHECKERS]
    judges = [Side(f"judge, {name}", __name__, (JUDGE, name)) for name in JUDGES]
    return Row(
        "rewards",
        "rewards, responses scored by one worker",
        f"true and false Factbook statements as answers, {RESPONSES} of them ({SLOW} with `llm`), by "
        "`tests/benchmarks/throughput.py`. Cold: the models are loaded and the corpus is indexed, but nothing was asked "
        "before: each turn has a process of its own. Cached: the same responses again, with evidence in memory and a model's "
        "verdicts on disk. A judge remembers nothing from one call to the next.",
        (*checkers, *judges),
        apart=True,
        fresh=True,
    )


def main() -> None:
    kind, name = sys.argv[2:]
    channel, work = Channel(), Work.given()
    sys.path.insert(0, str(REPOSITORY / "tests" / "benchmarks"))  # throughput.py is a script, as is what it imports
    (_facts if kind == FACTS else _judge)(channel, work, name)


def _facts(channel: Channel, work: Work, name: str) -> None:
    from throughput import made, measure, verifying

    from flame_ray.config.load import load_config

    words = ("cluster.address=local", "cluster.dashboard=false", f"model.dtype={work.dtype}", f"factuality.checker={name}")
    config = load_config(None, words)
    most, least = (SLOW, 1) if name == "llm" else (RESPONSES, QUICK)
    tasks = made(least if work.quick else most)
    with verifying(config) as verifier:

        def turn(number: int) -> Turn:
            _, (cold, cached) = measure(name, config, tasks, verifier)
            return {
                "cold": Measured(cold.responses, "responses/s"),
                "cold, facts": Measured(cold.facts, "facts/s"),
                "cached": Measured(cached.responses, "responses/s"),
            }

        serve(channel, turn)


def _judge(channel: Channel, work: Work, name: str) -> None:
    from throughput import made

    from flame_ray.config import JudgeConfig
    from flame_ray.engines.models import SMOLLM2, reference
    from flame_ray.engines.vllm_engine import VllmEngine, VllmOptions
    from flame_ray.rewards.judge.actor import make_judge

    count = QUICK if work.quick else RESPONSES
    items = [(task.prompt, task.response) for task in made(count + WARM)]
    options = VllmOptions(reference(SMOLLM2), work.dtype, MAX_LENGTH, MAX_SEQUENCES, KV_CACHE_GIB, 0.8, SEED)
    engine = partial(VllmEngine, options)  # `preference` reads by a model of its own
    judge = make_judge(engine, JudgeConfig(backend=name), SEED)
    judge.score(items[count:])

    def turn(number: int) -> Turn:
        start = time.perf_counter()
        judge.score(items[:count])
        return {"cold": Measured(count / (time.perf_counter() - start), "responses/s")}

    serve(channel, turn)


if __name__ == "__main__":
    main()
