"""Scores -> preference pairs (FLAME, section 4.3). Pure; every prompt that gives no pair is counted under a reason.

In: the round's prompts and their scored responses. Out: a `PairSet`. Each prompt may give an instruction pair (highest
against lowest RM_IF) and, when it is fact-based, a factuality pair (highest against lowest RM_fact).
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

from flame_ray.config import PairsConfig
from flame_ray.types import FactScore, JudgeScore, Missing, Pair, PairKind, PairSet, Prompt, ScoredResponse

Rank = tuple[float, float]
ROUNDING = 1e-9  # 10/10 less 9/10 is a gap of 0.1


def build_pairs(prompts_P: Sequence[Prompt], scored_PG: Sequence[ScoredResponse], config: PairsConfig) -> PairSet:
    """At most one pair of each kind a prompt.

    A dropped response is counted as `response: <reason>`, a failed reward as `reward: <reason>`, a pair that was not
    formed as `<kind>: <reason>`.
    """
    dropped: Counter[str] = Counter()
    groups = _by_prompt(scored_PG)
    pairs_D: list[Pair] = []
    for prompt in prompts_P:
        usable_G = _usable(groups.get(prompt.id, []), config, dropped)
        for kind in _kinds(prompt, config):
            outcome = _pair(kind, usable_G, config)
            if isinstance(outcome, Pair):
                pairs_D.append(outcome)
            else:
                dropped[f"{kind}: {outcome}"] += 1
    return PairSet(tuple(pairs_D), dict(sorted(dropped.items())))


def _kinds(prompt: Prompt, config: PairsConfig) -> Iterable[PairKind]:
    if "instruction" in config.kinds:
        yield PairKind.INSTRUCTION
    if "factuality" in config.kinds and prompt.fact_based:
        yield PairKind.FACTUALITY


def _by_prompt(scored_PG: Sequence[ScoredResponse]) -> dict[str, list[ScoredResponse]]:
    groups: dict[str, list[ScoredResponse]] = defaultdict(list)
    for scored in scored_PG:
        groups[scored.response.id.prompt_id].append(scored)
    return groups


def _usable(scored_G: Sequence[ScoredResponse], config: PairsConfig, dropped: Counter[str]) -> list[ScoredResponse]:
    """The responses that may enter a pair: not empty, not cut short, not said before in this group."""
    seen: set[str] = set()
    usable: list[ScoredResponse] = []
    for scored in scored_G:
        response = scored.response
        if not response.text.strip():
            dropped["response: empty"] += 1
        elif config.drop_truncated and response.finish_reason != "stop":
            dropped["response: truncated"] += 1
        elif response.text in seen:
            dropped["response: duplicate"] += 1
        else:
            usable.append(scored)
            seen.add(response.text)
            dropped.update(f"reward: {part.reason}" for part in (scored.judge, scored.fact) if isinstance(part, Missing))
    return usable


def _pair(kind: PairKind, scored_G: Sequence[ScoredResponse], config: PairsConfig) -> Pair | str:
    """A pair, or the reason why there is none."""
    rank: Callable[[ScoredResponse], Rank | None] = _fact_rank if kind is PairKind.FACTUALITY else _judge_rank
    ranked = [(found, scored) for scored in scored_G if (found := rank(scored)) is not None]
    if len(ranked) < 2:
        return "fewer than two scored responses" if len(scored_G) >= 2 else "fewer than two usable responses"
    (low, _), rejected = min(ranked, key=lambda item: item[0])
    (high, _), chosen = max(ranked, key=lambda item: item[0])
    if high == low:
        return "tie"
    if kind is PairKind.FACTUALITY and (reason := _fact_filter(chosen, rejected, high - low, config)):
        return reason
    return Pair(kind, chosen.response, rejected.response, high, low)


def _fact_filter(chosen: ScoredResponse, rejected: ScoredResponse, fact_gap: float, config: PairsConfig) -> str | None:
    """The paper's filter: a factuality pair must not teach a large loss, or gain, in instruction following."""
    if fact_gap < config.min_fact_gap - ROUNDING:
        return "fact gap too small"
    if config.max_judge_gap is None:
        return None
    first, second = _judge_score(chosen), _judge_score(rejected)
    if first is None or second is None:
        return "judge missing"
    return "judge gap too large" if abs(first - second) > config.max_judge_gap else None


def _judge_score(scored: ScoredResponse) -> float | None:
    return scored.judge.value if isinstance(scored.judge, JudgeScore) else None


def _judge_rank(scored: ScoredResponse) -> Rank | None:
    value = _judge_score(scored)
    return None if value is None or not math.isfinite(value) else (value, 0.0)


def _fact_rank(scored: ScoredResponse) -> Rank | None:
    """By precision; among equals the one that states more, so that the chosen side is not the one that says least.

    None when the reward failed (missing) and when the response states no fact (it abstains: nothing to rank).
    """
    score = scored.fact
    if not isinstance(score, FactScore) or score.precision is None:
        return None
    return score.precision, float(score.supported if score.precision > 0 else -score.unsupported)
