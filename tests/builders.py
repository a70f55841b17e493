"""Builds each record that travels between stages, with a default for every field that a test does not care about.

A test names the fields that it is about. When a record changes, its builder changes, and most tests do not.
"""

from collections.abc import Iterable, Mapping, Sequence

from flame_ray.engines.base import Sample
from flame_ray.evaluation.audit.draw import HeldOutFact
from flame_ray.types import (
    FACTUALITY,
    INSTRUCTION,
    TERNARY,
    Claim,
    Demonstration,
    Evaluation,
    Fact,
    FactScore,
    Graded,
    Group,
    HeldOut,
    Interval,
    MetricIntervals,
    Missing,
    Pair,
    PairCounts,
    PairSet,
    Passage,
    Prompt,
    Response,
    ResponseId,
    RewardResult,
    RoundReport,
    Score,
    ScoredGroup,
    ScoredResponse,
    Sentence,
    SideFacts,
    Split,
    StepReport,
    TrainingReport,
    Verdict,
    VerdictLabel,
)

Facts = Iterable[VerdictLabel | Verdict]


def make_weights(data: bytes = b"") -> bytes:
    """A file of weights that is whole: the header names no tensor, and `data` tells it from others."""
    return (2).to_bytes(8, "little") + b"{}" + data


def make_prompt(
    id: str = "peru",
    text: str = "Which countries border Peru?",
    *,
    split: Split = Split.TRAIN,
    label: bool | None = None,
    fact_based: bool | None = None,
) -> Prompt:
    return Prompt(id, text, split, label, fact_based)


def make_demonstration(
    prompt: Prompt | str = "Where is Lima?",
    answer: str = "In Peru.",
    *,
    source: str = "seeds",
    weight: float = 1.0,
    is_seed: bool = True,
) -> Demonstration:
    """`prompt`: a prompt, or the text of one, which is its id too."""
    return Demonstration(prompt if isinstance(prompt, Prompt) else Prompt(prompt, prompt), answer, source, weight, is_seed)


def make_id(index: int = 0, *, round: int = 1, prompt: str = "peru") -> ResponseId:
    return ResponseId(round, prompt, index)


def make_response(
    text: str = "It borders Chile.",
    *,
    round: int = 1,
    prompt: str = "peru",
    index: int = 0,
    prompt_tokens: Sequence[int] = (1,),
    tokens: Sequence[int] = (2, 3),
    finish_reason: str = "stop",
    version: int = 0,
) -> Response:
    """`prompt` is the prompt's id."""
    id = ResponseId(round, prompt, index)
    return Response(id, text, tuple(prompt_tokens), tuple(tokens), finish_reason, version)


def make_group(*responses: Response, prompt: Prompt | None = None) -> Group:
    """The prompt has the responses' prompt id unless it is given."""
    return Group(prompt or _prompt_of(responses), responses)


def make_sample(text: str = "It borders Chile.", *, tokens: Sequence[int] = (1,), finish_reason: str = "stop") -> Sample:
    """What an engine answers."""
    return Sample(text, tuple(tokens), finish_reason)


def make_passage(text: str = "Lima is the capital of Peru.", *, id: str = "pe", title: str = "Peru") -> Passage:
    return Passage(id, title, text)


def make_fact(text: str = "Peru borders Chile", *, sentence: int = 0) -> Fact:
    return Fact(text, sentence)


def make_claim(fact: str = "Peru borders Chile", *passages: Passage, sentence: int = 0) -> Claim:
    return Claim(Fact(fact, sentence), passages)


def make_held_out_fact(
    text: str = "Peru borders Chile",
    verdict: VerdictLabel = VerdictLabel.SUPPORTED,
    *,
    round: int = 0,
    prompt: str = "peru",
    place: int = 0,
) -> HeldOutFact:
    """The fact at this place of the greedy answer to the prompt; `prompt` is the prompt's id."""
    return HeldOutFact(round, prompt, str(ResponseId(round, prompt, 0)), place, text, 0, verdict)


def make_verdict(
    label: VerdictLabel = VerdictLabel.SUPPORTED,
    *,
    fact: str = "Peru borders Chile",
    sentence: int = 0,
    score: float = 1.0,
    passage: str | None = None,
    relevant: bool = True,
) -> Verdict:
    """`passage` is the id of the passage that decided."""
    return Verdict(Fact(fact, sentence), label, score, passage, relevant)


def make_fact_score(
    *facts: VerdictLabel | Verdict,
    id: ResponseId | None = None,
    not_found_counts: bool = True,
    passages: Sequence[Passage] = (),
    sentences: Sequence[Sentence] = (),
) -> FactScore:
    """One fact a label; a whole verdict may stand in place of a label."""
    verdicts = [
        each if isinstance(each, Verdict) else make_verdict(each, fact=f"fact {place}", sentence=place)
        for place, each in enumerate(facts)
    ]
    return FactScore(id or make_id(), tuple(verdicts), not_found_counts, tuple(passages), tuple(sentences))


def make_score(value: float = 1.0, *, samples: Sequence[float] | None = None, id: ResponseId | None = None) -> Score:
    return Score(id or make_id(), value, (value,) if samples is None else tuple(samples))


def make_missing(reason: str = "judge failed", *, id: ResponseId | None = None, passages: Sequence[Passage] = ()) -> Missing:
    return Missing(id or make_id(), reason, tuple(passages))


def make_scored(
    response: Response | None = None,
    *,
    judge: float | str | RewardResult = 1.0,
    facts: Facts | str | RewardResult | None = None,
    **others: float,
) -> ScoredResponse:
    """A response with its rewards; `others` are scores by name. A reward given as text is missing for that reason.

    `facts` None: the prompt needs no facts. An empty sequence: the response states none, and abstains.
    """
    response = response or make_response()
    rewards: dict[str, RewardResult] = {}
    for name, value in {INSTRUCTION: judge, FACTUALITY: facts, **others}.items():
        if isinstance(value, str):
            rewards[name] = make_missing(value, id=response.id)
        elif isinstance(value, RewardResult):
            rewards[name] = value
        elif isinstance(value, int | float):
            rewards[name] = make_score(value, id=response.id)
        elif value is not None:
            rewards[name] = make_fact_score(*value, id=response.id)
    return ScoredResponse(response, rewards)


def make_scored_group(*scored: ScoredResponse, prompt: Prompt | None = None) -> ScoredGroup:
    return ScoredGroup(prompt or _prompt_of([each.response for each in scored]), scored)


def make_pair(
    chosen: Response | None = None,
    rejected: Response | None = None,
    *,
    kind: str = FACTUALITY,
    scores: tuple[float, float] = (1.0, 0.0),
    factuality: tuple[float | None, float | None] | None = None,
    flipped: bool = False,
    prompt: str = "peru",
    round: int = 1,
) -> Pair:
    """Response 0 is chosen over response 1, unless other responses are given; `scores` are of chosen and rejected.

    So is `factuality`, with None for a side that states nothing; without it, neither side was checked.
    """
    chosen = chosen or make_response("chosen", prompt=prompt, round=round, index=0)
    rejected = rejected or make_response("rejected", prompt=prompt, round=round, index=1)
    facts = [SideFacts(each) for each in factuality] if factuality else [None, None]
    return Pair(kind, chosen, rejected, *scores, *facts, flipped)


def make_graded(
    response: Response | None = None, *, reward: float = 1.0, advantage: float | None = 1.0, kind: str = TERNARY
) -> Graded:
    return Graded(response or make_response(), reward, advantage, kind)


def make_pair_set(
    *pairs: Pair,
    dropped: Mapping[str, int] | None = None,
    responses: int = 2,
    truncated: int = 0,
    graded: Sequence[Graded] = (),
) -> PairSet:
    """By default none of the round's two responses is cut off."""
    return PairSet(pairs, dict(dropped or {}), responses, truncated, tuple(graded))


def make_training_report(
    *, steps: int = 4, loss: float = 0.5, accuracy: float = 0.75, margin: float = 0.125, pairs: int = 1, tokens: int = 9
) -> TrainingReport:
    return TrainingReport(steps, pairs, tokens, loss, {"accuracy": accuracy, "margin": margin})


def make_step_report(step: int = 1, *, loss: float = 0.5, gradient_norm: float | None = 2.0, **metrics: float) -> StepReport:
    """Of ten tokens, in two seconds."""
    return StepReport(step, loss, metrics or {"margin": 0.125}, 1e-3, 10, 2.0, gradient_norm)


def make_interval(mean: float | None = 0.5, *, low: float | None = None, high: float | None = None, n: int = 1) -> Interval:
    return Interval(mean, low, high, n)


def make_evaluation(mean: float = 0.5, *, prompts: int = 1, missing: int = 0, **intervals: Interval) -> Evaluation:
    """Every metric is `mean`, except those given by name."""
    metrics = {name: make_interval(mean) for name in MetricIntervals.__slots__} | intervals
    return Evaluation(**metrics, prompts=prompts, missing=missing)


def make_change(mean: float = 0.25, **intervals: Interval) -> MetricIntervals:
    """Every metric rose by `mean`, except those given by name."""
    return MetricIntervals(**{name: make_interval(mean) for name in MetricIntervals.__slots__} | intervals)


def make_held_out(*scored: ScoredResponse, evaluation: Evaluation | None = None) -> HeldOut:
    return HeldOut(scored, evaluation or make_evaluation(prompts=len(scored)))


def make_round_report(
    round: int = 1,
    *,
    evaluation: Evaluation | None = None,
    pairs: PairCounts | None = None,
    training: TrainingReport | None = None,
    weight_version: int = 0,
    change: MetricIntervals | None = None,
) -> RoundReport:
    return RoundReport(round, evaluation or make_evaluation(), pairs, training, weight_version, change)


def _prompt_of(responses: Sequence[Response]) -> Prompt:
    return make_prompt(responses[0].id.prompt_id) if responses else make_prompt()
