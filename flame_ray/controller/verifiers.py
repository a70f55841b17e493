"""The verifier actors of a run: started before the factuality workers that ask them, and looked after by Ray.

In: settings. Out: their handles, once all of them serve. Knows nothing of what they are asked.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import ray
from ray.exceptions import RayActorError

from flame_ray.cluster.interrupt import POLL_S, check
from flame_ray.errors import EngineError, PlacementError
from flame_ray.rewards.verifier.client import About

FOR_EVER = -1


def start_verifiers(actor: type, options: Any, workers: int, options_of: Callable[[str], dict[str, Any]]) -> tuple[Any, ...]:
    """`workers` actors of it, whom Ray starts again and asks again for as long as the run lasts."""
    remote: Any = ray.remote(actor)
    settings = [options_of(f"verifier-{index}") for index in range(workers)]
    return tuple(remote.options(**each, max_restarts=FOR_EVER, max_task_retries=FOR_EVER).remote(options) for each in settings)


def wait_for(verifiers: Sequence[Any], timeout_s: float) -> list[About]:
    """Until all serve. Raises PlacementError naming those that do not, and EngineError where one cannot start."""
    answers = {verifier.about.remote(): index for index, verifier in enumerate(verifiers)}
    end, left = time.monotonic() + timeout_s, list(answers)
    while left and time.monotonic() < end:
        check()
        _, left = ray.wait(left, num_returns=len(left), timeout=POLL_S)
    if left:
        raise PlacementError(
            f"{len(verifiers)} verifiers that serve within {timeout_s:g} s",
            f"not yet: {', '.join(f'verifier-{answers[reference]}' for reference in left)}",
            "lower verifier.workers or what one asks for, raise cluster.start_timeout_s, or add nodes",
        )
    return [_started(index, reference) for reference, index in answers.items()]


def _started(index: int, reference: Any) -> About:
    try:
        return ray.get(reference)
    except RayActorError as error:
        fix = "see its log in the Ray dashboard; a model that is too long or too large for it is the usual cause"
        raise EngineError("a verifier that starts", f"verifier-{index}: {error}", fix) from error
