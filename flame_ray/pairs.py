"""Turns scored responses into preference pairs (FLAME, section 4.3).

A kind of pair has the name of the reward that orders it: `instruction` by RM_IF, `factuality` by RM_fact, `weighted` by
RM_IF + w RM_fact where a prompt needs facts. For each kind, a prompt gives the response with the highest score as chosen and
the one with the lowest as rejected, or a reason why not; factuality may give several pairs, up to every two responses over a
gap (table 7). A response that the token limit cut off is never chosen.
"""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from flame_ray.config import PairsConfig
from flame_ray.rewards.factuality.scores import f_at, length_penalty
from flame_ray.types import (
    FACTUALITY,
    INSTRUCTION,
    WEIGHTED,
    FactScore,
    Graded,
    Missing,
    Pair,
    PairSet,
    Response,
    Score,
    ScoredGroup,
    ScoredResponse,
    SideFacts,
)

Rank = tuple[float, float]  # the score, and what decides between equal scores
Ranked = tuple[Rank, ScoredResponse]
Filter = Callable[[ScoredResponse, ScoredResponse, PairsConfig], str | None]  # chosen and rejected -> why they are no pair
NO_FACTS = "prompt needs no facts"
ROUNDING = 1e-9  # 10/10 - 9/10 must count as a gap of 0.1


@dataclass(frozen=True, slots=True)
class _Rule:
    """How a kind of pair is made: its smallest gap, the most pairs a prompt gives (None: no limit), and a filter by another
    reward.
    """

    min_gap: float = 0.0
    per_prompt: int | None = 1
    filter: Filter = lambda chosen, rejected, config: None


def build_pairs(groups_P: Iterable[ScoredGroup], config: PairsConfig) -> PairSet:
    """The pairs of each kind in the settings; factuality may give several a prompt, the widest gaps first.

    Groups may come in any order; pairs are sorted by prompt id. Everything that is left out is counted by reason: a response
    as `response: <reason>`, a failed reward as `reward: <reason>`, a prompt without a pair as `<kind>: <reason>`.
    """
    dropped, counts = Counter[str](), Counter[bool]()  # by reason; responses, by whether they are truncated

    def counted() -> Iterator[ScoredGroup]:
        for group in groups_P:
            counts.update(scored.response.truncated for scored in group.scored_G)
            yield group

    pairs_D = sorted(compact(_all_pairs(counted(), config, dropped)), key=lambda pair: pair.prompt_id)
    return PairSet(tuple(pairs_D), dict(sorted(dropped.items())), counts.total(), counts[True])


def factual_first(pairs: PairSet) -> PairSet:
    """The same pairs, of which none prefers the less factual side: such a pair is turned round (F-DPO, arXiv 2601.03027).

    A pair with a side of unknown factuality stays as it is. As a truncated response is never chosen, a pair that would choose
    one is left out, and counted as `<kind>: more factual side truncated`.
    """
    dropped = Counter(pairs.dropped)
    pairs_D = []
    for pair in pairs.pairs_D:
        if (pair.fact_gap or 0.0) >= 0:
            pairs_D.append(pair)
        elif pair.rejected.truncated:
            dropped[f"{pair.kind}: more factual side truncated"] += 1
        else:
            pairs_D.append(_turned_round(pair))
    return replace(pairs, pairs_D=tuple(pairs_D), dropped=dict(sorted(dropped.items())))


def _turned_round(pair: Pair) -> Pair:
    return Pair(
        pair.kind,
        chosen=pair.rejected,
        rejected=pair.chosen,
        chosen_score=pair.rejected_score,
        rejected_score=pair.chosen_score,
        chosen_facts=pair.rejected_facts,
        rejected_facts=pair.chosen_facts,
        flipped=not pair.flipped,
    )


def _all_pairs(groups_P: Iterable[ScoredGroup], config: PairsConfig, dropped: Counter[str]) -> Iterator[Pair]:
    """The pairs, prompt by prompt."""
    rules = _rules(config)
    for group in groups_P:
        usable_G = _usable(group.scored_G, config, dropped)
        applying = {kind: rule for kind, rule in rules.items() if _applies(kind, group)}
        is_alone = set(rules) == {FACTUALITY}  # beside another kind, no such pair is expected of a prompt that needs no facts
        if is_alone and not group.prompt.fact_based:
            dropped[f"{FACTUALITY}: {NO_FACTS}"] += 1
        for kind, rule in applying.items():
            orders = _orders(kind, group)
            made, reason = _pairs(orders, rule, usable_G, config)
            yield from made
            if reason:
                dropped[f"{orders}: {reason}"] += 1


def compact(pairs_D: Iterable[Pair]) -> Iterator[Pair]:
    """The same pairs in less memory. Those of one prompt follow each other.

    Token ids that travelled are an object each, of 28 bytes beside its 8 in the tuple: here equal ones are one object. A
    prompt's tokens, and a response in several pairs, are one object too.
    """
    numbers: dict[int, int] = {}
    for _, of_prompt in itertools.groupby(pairs_D, key=lambda pair: pair.prompt_id):
        known = _Known(numbers)
        for pair in of_prompt:
            yield replace(pair, chosen=known.response(pair.chosen), rejected=known.response(pair.rejected))


def compact_graded(graded_D: Iterable[Graded]) -> Iterator[Graded]:
    """The same of single responses."""
    numbers: dict[int, int] = {}
    for _, of_prompt in itertools.groupby(graded_D, key=lambda each: each.prompt_id):
        known = _Known(numbers)
        for each in of_prompt:
            yield replace(each, response=known.response(each.response))


class _Known:
    """The responses to a prompt, each as one object, with token ids that are one object for each number."""

    def __init__(self, numbers: dict[int, int]):
        self._numbers = numbers
        self._responses: dict[Response, Response] = {}
        self._prompts: dict[tuple[int, ...], tuple[int, ...]] = {}

    def response(self, response: Response) -> Response:
        if response not in self._responses:
            asked = self._ids(response.prompt_token_ids)
            prompt = self._prompts.setdefault(asked, asked)
            self._responses[response] = replace(response, token_ids=self._ids(response.token_ids), prompt_token_ids=prompt)
        return self._responses[response]

    def _ids(self, ids: Sequence[int]) -> tuple[int, ...]:
        return tuple(self._numbers.setdefault(each, each) for each in ids)


def _rules(config: PairsConfig) -> dict[str, _Rule]:
    """The rule of each kind in the settings, always in the same order."""
    rules = {
        INSTRUCTION: _Rule(config.min_judge_gap, filter=_fact_filter),
        FACTUALITY: _Rule(config.min_fact_gap, config.factuality_per_prompt, _judge_filter),
        WEIGHTED: _Rule(config.min_judge_gap),
    }
    rules |= {kind: _Rule() for kind in config.kinds if kind not in rules}
    return {kind: rule for kind, rule in rules.items() if kind in config.kinds}


def _applies(kind: str, group: ScoredGroup) -> bool:
    """Whether a prompt is expected to give pairs of this kind: its reward scored every response."""
    if kind == FACTUALITY and not group.prompt.fact_based:
        return False
    reward = INSTRUCTION if kind == WEIGHTED else kind
    return all(reward in scored.rewards for scored in group.scored_G)


def _orders(kind: str, group: ScoredGroup) -> str:
    """What orders the pairs of a prompt: a weighted sum is the judge's score alone where no facts are checked."""
    is_checked = any(FACTUALITY in scored.rewards for scored in group.scored_G)
    return INSTRUCTION if kind == WEIGHTED and not is_checked else kind


def _usable(scored_G: Sequence[ScoredResponse], config: PairsConfig, dropped: Counter[str]) -> list[ScoredResponse]:
    """The responses that may enter a pair: not empty, no repeat of another one in the group; of two repeats the whole one."""
    seen: set[str] = set()
    usable: list[ScoredResponse] = []
    for scored in sorted(scored_G, key=lambda scored: scored.response.truncated):
        response = scored.response
        if not response.text.strip():
            dropped["response: empty"] += 1
        elif config.drop_truncated and response.truncated:
            dropped["response: truncated"] += 1
        elif response.text in seen:
            dropped["response: duplicate"] += 1
        else:
            usable.append(scored)
            seen.add(response.text)
            dropped.update(f"reward: {each.reason}" for each in scored.rewards.values() if isinstance(each, Missing))
    return usable


def _pairs(kind: str, rule: _Rule, scored_G: Sequence[ScoredResponse], config: PairsConfig) -> tuple[list[Pair], str | None]:
    """The pairs of one prompt, widest gap first; if there are none, the reason why the widest is none.

    Of a kind that gives one pair, that is the widest or none, as in the paper. Of any other, the filter comes before the limit.
    """
    ranks = [_rank(kind, scored, config) for scored in scored_G]
    ranked = sorted(((rank, scored) for rank, scored in zip(ranks, scored_G, strict=True) if rank), key=_order)
    if len(ranked) < 2:
        return [], "fewer than two scored responses" if len(scored_G) >= 2 else "fewer than two usable responses"
    whole = [(worst, best) for worst, best in itertools.combinations(ranked, 2) if not best[1].response.truncated]
    if not whole:
        return [], "best responses truncated"
    candidates = sorted(whole, key=_width, reverse=True)[: 1 if rule.per_prompt == 1 else None]
    outcomes = [_pair(kind, rule, best, worst, config) for worst, best in candidates]
    made = [outcome for outcome in outcomes if isinstance(outcome, Pair)][: rule.per_prompt]
    return made, None if made else str(outcomes[0])


def _order(ranked: Ranked) -> tuple[Rank, bool]:
    """Ascending; among equals a whole response is the better one."""
    rank, scored = ranked
    return rank, not scored.response.truncated


def _width(candidate: tuple[Ranked, Ranked]) -> Rank:
    """The gap between the scores of two responses, then the gap between what decides among equal scores."""
    (low, low_detail), (high, high_detail) = candidate[0][0], candidate[1][0]
    return high - low, high_detail - low_detail


def _pair(kind: str, rule: _Rule, best: Ranked, worst: Ranked, config: PairsConfig) -> Pair | str:
    """A pair, or the reason why there is none."""
    (high, _), chosen = best
    (low, _), rejected = worst
    if high == low:
        return "tie"
    if high - low < rule.min_gap - ROUNDING:
        return "gap too small"
    facts = _facts(chosen, config), _facts(rejected, config)
    return rule.filter(chosen, rejected, config) or Pair(kind, chosen.response, rejected.response, high, low, *facts)


def _facts(side: ScoredResponse, config: PairsConfig) -> SideFacts | None:
    """What the factuality reward found, for losses that need more than an order."""
    score = side.rewards.get(FACTUALITY)
    if not isinstance(score, FactScore):
        return None
    rank = _fact_rank(score, config)
    return SideFacts(rank[0] if rank else None, score.checked_S)


def _judge_filter(chosen: ScoredResponse, rejected: ScoredResponse, config: PairsConfig) -> str | None:
    """The paper's filter: the sides of a factuality pair must be about equally good at following the instruction."""
    if config.max_judge_gap is None:
        return None
    first, second = _rank(INSTRUCTION, chosen, config), _rank(INSTRUCTION, rejected, config)
    if first is None or second is None:
        return "judge missing"
    return "judge gap too large" if abs(first[0] - second[0]) > config.max_judge_gap else None


def _fact_filter(chosen: ScoredResponse, rejected: ScoredResponse, config: PairsConfig) -> str | None:
    """Our counterpart: the chosen side of an instruction pair must not be much less factual. Needs both sides' scores."""
    first, second = _rank(FACTUALITY, chosen, config), _rank(FACTUALITY, rejected, config)
    if config.max_fact_loss is None or first is None or second is None:
        return None
    return "less factual" if second[0] - first[0] > config.max_fact_loss else None


def _rank(reward: str, scored: ScoredResponse, config: PairsConfig) -> Rank | None:
    """What a response is ordered by; None if the reward failed, is not finite, or found nothing to score."""
    if reward == WEIGHTED:
        return _weighted_rank(scored, config)
    score = scored.rewards.get(reward)
    if isinstance(score, FactScore):
        return _fact_rank(score, config)
    return (score.value, 0.0) if isinstance(score, Score) and math.isfinite(score.value) else None


def _weighted_rank(scored: ScoredResponse, config: PairsConfig) -> Rank | None:
    """RM_IF + w RM_fact (FLAME, table 7). None if one of them is."""
    judged, checked = _rank(INSTRUCTION, scored, config), _rank(FACTUALITY, scored, config)
    return None if judged is None or checked is None else (judged[0] + config.fact_weight * checked[0], checked[1])


def _fact_rank(score: FactScore, config: PairsConfig) -> Rank | None:
    """Among equally factual responses, the one that states more wins, so that saying less is not rewarded.

    None if the response abstains. With `count_relevant`, true facts that do not answer the instruction neither help nor harm.
    """
    if score.precision is None:
        return None
    supported = score.relevant_supported if config.count_relevant else score.supported
    if not supported:
        return 0.0, -float(score.unsupported)
    counted = supported + score.unsupported
    if config.recall_at is not None:
        return f_at(config.recall_at, config.recall_weight, supported, counted), float(supported)
    return supported / counted * length_penalty(counted, config.gamma), float(supported)
