"""CPU seconds of what a process of a run imports until it works, by library.

    python -m tests.benchmarks.imports controller|sampler|learner|checker

Each role takes a fresh interpreter. A library's seconds are those of its own modules, without what they import in turn.
"""

# ruff: noqa: T201
import importlib._bootstrap
import sys
import time
from collections import defaultdict
from typing import Any

LEAST_S = 0.1  # of a library that is named
LEAN = "from flame_ray.engines.models import lean_imports\nwith lean_imports():\n  "
ROLES = {
    "controller": f"import flame_ray.commands.run\n{LEAN}from transformers import AutoTokenizer",
    "sampler": "from flame_ray.engines.vllm_engine import prepare_environment; prepare_environment(); import vllm.platforms; "
    f"vllm.platforms.current_platform\n{LEAN}vllm.LLM\nimport flame_ray.engines.weight_receiver",
    "learner": f"import flame_ray.learner.actor\n{LEAN}import flame_ray.engines.deepspeed_engine\n"
    "import transformers.models.llama.modeling_llama",
    "checker": f"import flame_ray.rewards.factuality.actor, bm25s\n{LEAN}import flame_ray.engines.record_reader",
}


class Imports:
    """Stands in for the function by which Python imports a module that it has not imported yet."""

    def __init__(self, find_and_load: Any):
        self._find_and_load = find_and_load
        self._inner: list[float] = [0.0]  # of each import that is under way, the seconds of those within it
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def __call__(self, name: str, *others: Any) -> Any:
        began = time.thread_time()
        self._inner.append(0.0)
        try:
            return self._find_and_load(name, *others)
        finally:
            took = time.thread_time() - began
            self.seconds[name.partition(".")[0]] += took - self._inner.pop()
            self._inner[-1] += took


def main() -> None:
    bootstrap: Any = importlib._bootstrap
    imports = bootstrap._find_and_load = Imports(bootstrap._find_and_load)
    began = time.process_time()
    exec(ROLES[sys.argv[1]], {})
    print(f"{sys.argv[1]}: {time.process_time() - began:.1f} CPU seconds, {len(sys.modules):,} modules")
    for library, seconds in sorted(imports.seconds.items(), key=lambda each: -each[1]):
        if seconds >= LEAST_S:
            print(f"{seconds:7.2f}  {library}")


if __name__ == "__main__":
    main()
