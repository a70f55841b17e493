"""Turns prompts into sample requests, each with its own random stream, and samples into responses. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flame_ray.engines.base import Sample, SampleRequest
from flame_ray.seeds import derived_seed
from flame_ray.types import Group, Prompt, Response, ResponseId


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """How a round samples: `samples` responses for each prompt, each seeded by (run seed, round, prompt, index).

    `chat`: the prompt is a user's turn. False: its text is continued as it is. A response ends before any of `stop`.
    """

    round: int
    seed: int
    samples: int
    max_tokens: int
    temperature: float
    top_p: float = 1.0
    top_k: int = 0
    chat: bool = True
    stop: tuple[str, ...] = ()


def greedy_plan(round: int, max_tokens: int) -> SamplingPlan:
    """One greedy response for each prompt, as in evaluations."""
    return SamplingPlan(round=round, seed=0, samples=1, max_tokens=max_tokens, temperature=0.0)


def sample_seed(seed: int, id: ResponseId) -> int:
    """The seed of one sample. It does not depend on which worker draws the sample, or when."""
    return derived_seed(seed, "rollout", id.round, id.prompt_id, id.index)


def requests(prompt: Prompt, prompt_token_ids: tuple[int, ...], plan: SamplingPlan) -> dict[ResponseId, SampleRequest]:
    """A prompt's requests [G], by the ids of their responses."""
    ids = [ResponseId(plan.round, prompt.id, index) for index in range(plan.samples)]
    return {
        id: SampleRequest(
            prompt_token_ids=prompt_token_ids,
            max_tokens=plan.max_tokens,
            temperature=plan.temperature,
            top_p=plan.top_p,
            top_k=plan.top_k,
            seed=sample_seed(plan.seed, id) if plan.temperature > 0 else None,
            stop=plan.stop,
        )
        for id in ids
    }


def to_response(id: ResponseId, request: SampleRequest, sample: Sample, weight_version: int) -> Response:
    return Response(
        id=id,
        text=sample.text,
        prompt_token_ids=request.prompt_token_ids,
        token_ids=sample.token_ids,
        finish_reason=sample.finish_reason,
        weight_version=weight_version,
    )


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """A prompt whose samples are being drawn, and those that are there already, by index."""

    prompt: Prompt
    requests_G: Mapping[ResponseId, SampleRequest]
    weight_version: int  # of all samples: new weights wait until the group is whole
    responses: dict[int, Response] = field(default_factory=dict)

    def put(self, id: ResponseId, sample: Sample) -> Group | None:
        """Take one sample. Returns the group [G] when it is whole."""
        self.responses[id.index] = to_response(id, self.requests_G[id], sample, self.weight_version)
        if len(self.responses) < len(self.requests_G):
            return None
        return Group(self.prompt, tuple(self.responses[id.index] for id in self.requests_G))
