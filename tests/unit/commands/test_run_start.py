"""What a run starts only if something asks for it."""

import pytest

from flame_ray.commands.run import _asks_judge
from flame_ray.config.load import parse_config
from flame_ray.storage.cache import Cache
from flame_ray.types import Prompt


@pytest.mark.parametrize(
    ("sections", "known", "asks"),
    [
        ({}, ("Which?",), True),
        ({}, ("Which?", "Write."), False),
        ({"classify": {"by": "label"}}, (), False),
        ({"pipeline": {"colocated": True}}, ("Which?", "Write."), True),
    ],
    ids=["one is not known", "all are known", "labels decide", "engines share GPUs"],
)
def test_the_judges_model_is_asked_only_about_prompts_that_it_has_not_classified(sections, known, asks, tmp_path):
    classified = Cache(tmp_path / "classified.sqlite")
    classified.add(dict.fromkeys(known, 0.9))
    prompts = [Prompt("a", "Which?"), Prompt("b", "Write."), Prompt("c", "Which?")]
    assert _asks_judge(parse_config(sections, "here"), classified, prompts) is asks
