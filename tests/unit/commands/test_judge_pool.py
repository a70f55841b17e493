"""The judge's results come in the order of the pairs, and a pair that was lost is missing, never 0."""

from concurrent.futures import Future

from flame_ray.commands.judge_pool import results_of
from flame_ray.config import Config
from flame_ray.errors import WorkLost
from flame_ray.types import Missing
from tests.builders import make_group, make_id, make_response, make_score


class Pool:
    """Scores the two responses of a group, except of the prompt `lost`; the first group is ready only after the second."""

    def __init__(self):
        self.asked = []

    def submit(self, method, group):
        assert method == "score"
        self.asked.append((Future(), group))
        if len(self.asked) > 1:
            answer(*self.asked[-1])
        if len(self.asked) > 2:
            answer(*self.asked[0])
        return self.asked[-1][0]


def answer(future, group):
    if group.prompt.id == "lost":
        future.set_exception(WorkLost("a", "b", "c"))
    else:
        future.set_result(tuple(make_score(float(response.id.index), id=response.id) for response in group.responses_G))


def test_results_keep_the_order_of_the_groups_and_a_group_that_was_lost_is_missing():
    groups = [make_group(*(make_response(prompt=name, index=i) for i in (0, 1))) for name in ("one", "lost", "two")]
    found = list(results_of(Pool(), groups, Config()))
    assert [[each.response_id.prompt_id for each in results] for results in found] == [["one"] * 2, ["lost"] * 2, ["two"] * 2]
    assert found[1] == tuple(Missing(make_id(i, prompt="lost"), "worker lost") for i in (0, 1))
    assert [each.value for each in found[2]] == [0.0, 1.0]
