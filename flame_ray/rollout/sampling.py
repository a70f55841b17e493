"""Turns prompts into sample requests, each with its own random stream, and samples into responses. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from flame_ray.engines.base import Sample, SampleRequest
from flame_ray.seeds import derived_seed
from flame_ray.types import Group, Prompt, Response, ResponseId


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """How a round samples: `samples` responses for each prompt, each seeded by (run seed, round, prompt, index)."""

    round: int
    seed: int
    samples: int
    max_tokens: int
    temperature: float
    top_p: float = 1.0
    top_k: int = 0


def greedy_plan(round: int, max_tokens: int) -> SamplingPlan:
    """One greedy response for each prompt, as in evaluations."""
    return SamplingPlan(round=round, seed=0, samples=1, max_tokens=max_tokens, temperature=0.0)


def sample_seed(seed: int, id: ResponseId) -> int:
    """The seed of one sample. It does not depend on which worker draws the sample, or when."""
    return derived_seed(seed, "rollout", id.round, id.prompt_id, id.index)


def response_ids(prompts_P: Sequence[Prompt], plan: SamplingPlan) -> list[ResponseId]:
    """The ids of a plan's samples, [P * G], prompt by prompt."""
    return [ResponseId(plan.round, prompt.id, index) for prompt in prompts_P for index in range(plan.samples)]


def requests(ids: Sequence[ResponseId], rendered: dict[str, tuple[int, ...]], plan: SamplingPlan) -> list[SampleRequest]:
    """One request for each sample. `rendered` holds each prompt's token ids."""
    return [
        SampleRequest(
            prompt_token_ids=rendered[id.prompt_id],
            max_tokens=plan.max_tokens,
            temperature=plan.temperature,
            top_p=plan.top_p,
            top_k=plan.top_k,
            seed=sample_seed(plan.seed, id) if plan.temperature > 0 else None,
        )
        for id in ids
    ]


def to_response(id: ResponseId, request: SampleRequest, sample: Sample, weight_version: int) -> Response:
    return Response(
        id=id,
        text=sample.text,
        prompt_token_ids=request.prompt_token_ids,
        token_ids=sample.token_ids,
        finish_reason=sample.finish_reason,
        weight_version=weight_version,
    )


def groups(prompts_P: Sequence[Prompt], responses: Iterable[tuple[int, Response]], samples: int) -> Iterator[tuple[int, Group]]:
    """Yield `(p, group)` as soon as a prompt has all its samples. Responses come in any order, with their place in [P * G]."""
    open_groups: dict[int, dict[int, Response]] = {}
    for index, response in responses:
        position, sample = divmod(index, samples)
        group = open_groups.setdefault(position, {})
        group[sample] = response
        if len(group) == samples:
            del open_groups[position]
            yield position, Group(prompts_P[position], tuple(group[k] for k in range(samples)))
