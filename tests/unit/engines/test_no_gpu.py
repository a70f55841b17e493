"""An engine that needs a GPU and was given none is refused by its settings."""

import pytest

from flame_ray.engines.vllm_engine import check_gpu
from flame_ray.errors import EngineError


def test_a_vllm_for_gpus_in_an_actor_without_one_is_refused_with_the_settings_that_give_it_one():
    with pytest.raises(EngineError, match=r"gpus 0.* set rollout\.gpus, judge\.gpus"):
        check_gpu(True, "")


@pytest.mark.parametrize(("is_for_gpus", "visible"), [(True, "3"), (True, None), (False, "")])
def test_any_other_engine_starts(is_for_gpus, visible):
    check_gpu(is_for_gpus, visible)
