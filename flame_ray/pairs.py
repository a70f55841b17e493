"""Scores -> preference pairs (FLAME, section 4.3). Pure; every prompt that gives no pair is counted under a reason.

In: groups, each a prompt with its scored responses. Out: a `PairSet`. Each prompt may give an instruction pair (highest
against lowest RM_IF) and, when it is fact-based, a factuality pair (highest against lowest RM_fact).
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence

from flame_ray.config import PairsConfig
from flame_ray.rewards.factuality.scores import f_at, length_penalty
from flame_ray.types import FactScore, JudgeScore, Missing, Pair, PairKind, PairSet, Prompt, ScoredGroup, ScoredResponse

Rank = tuple[float, float]
Ranked = tuple[Rank, ScoredResponse]
ROUNDING = 1e-9  # 10/10 less 9/10 is a gap of 0.1


def build_pairs(groups_P: Iterable[ScoredGroup], config: PairsConfig) -> PairSet:
    """Highest against lowest for each kind and prompt; for factuality also the next widest gaps, if the settings ask.

    Groups may come in any order; pairs are in the order of their prompts' ids. A dropped response is counted as
    `response: <reason>`, a failed reward as `reward: <reason>`, a pair that was not formed as `<kind>: <reason>`.
    """
    dropped: Counter[str] = Counter()
    pairs_D: list[Pair] = []
    for group in groups_P:
        usable_G = _usable(group.scored_G, config, dropped)
        for kind in _kinds(group.prompt, config):
            made, reason = _pairs(kind, usable_G, config)
            pairs_D.extend(made)
            if reason:
                dropped[f"{kind}: {reason}"] += 1
    pairs_D.sort(key=lambda pair: pair.prompt_id)
    return PairSet(tuple(pairs_D), dict(sorted(dropped.items())))


def _kinds(prompt: Prompt, config: PairsConfig) -> Iterable[PairKind]:
    if "instruction" in config.kinds:
        yield PairKind.INSTRUCTION
    if "factuality" in config.kinds and prompt.fact_based:
        yield PairKind.FACTUALITY


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


def _pairs(kind: PairKind, scored_G: Sequence[ScoredResponse], config: PairsConfig) -> tuple[list[Pair], str | None]:
    """The pairs of one prompt, widest gap first; the reason is why there are none, or None."""
    is_fact = kind is PairKind.FACTUALITY
    ranks = [_fact_rank(scored, config) if is_fact else _judge_rank(scored) for scored in scored_G]
    ranked = sorted(((rank, scored) for rank, scored in zip(ranks, scored_G, strict=True) if rank), key=lambda item: item[0])
    if len(ranked) < 2:
        return [], "fewer than two scored responses" if len(scored_G) >= 2 else "fewer than two usable responses"
    candidates = sorted(itertools.combinations(ranked, 2), key=_width, reverse=True)
    outcomes = [
        _pair(kind, best, worst, config) for worst, best in candidates[: config.factuality_per_prompt if is_fact else 1]
    ]
    made = [outcome for outcome in outcomes if isinstance(outcome, Pair)]
    return made, None if made else str(outcomes[0])


def _width(candidate: tuple[Ranked, Ranked]) -> tuple[float, float]:
    """How far apart two responses are; among equals, what the ranks say beside the score."""
    (low, detail), (high, more) = candidate[0][0], candidate[1][0]
    return high - low, more - detail


def _pair(kind: PairKind, best: Ranked, worst: Ranked, config: PairsConfig) -> Pair | str:
    """A pair, or the reason why there is none."""
    (high, _), chosen = best
    (low, _), rejected = worst
    if high == low:
        return "tie"
    smallest = config.min_fact_gap if kind is PairKind.FACTUALITY else config.min_judge_gap
    if high - low < smallest - ROUNDING:
        return "gap too small"
    conflict = _judge_filter if kind is PairKind.FACTUALITY else _fact_filter
    if reason := conflict(chosen, rejected, config):
        return reason
    return Pair(kind, chosen.response, rejected.response, high, low)


def _judge_filter(chosen: ScoredResponse, rejected: ScoredResponse, config: PairsConfig) -> str | None:
    """The paper's filter: a factuality pair must not teach a large loss, or gain, in instruction following."""
    if config.max_judge_gap is None:
        return None
    first, second = _judge_score(chosen), _judge_score(rejected)
    if first is None or second is None:
        return "judge missing"
    return "judge gap too large" if abs(first - second) > config.max_judge_gap else None


def _fact_filter(chosen: ScoredResponse, rejected: ScoredResponse, config: PairsConfig) -> str | None:
    """The mirror of it, ours: an instruction pair must not teach a loss of factuality. Without two scores there is none."""
    first, second = _fact_rank(chosen, config), _fact_rank(rejected, config)
    if config.max_fact_loss is None or first is None or second is None:
        return None
    return "less factual" if second[0] - first[0] > config.max_fact_loss else None


def _judge_score(scored: ScoredResponse) -> float | None:
    """None when the reward failed, or is no number."""
    value = scored.judge.value if isinstance(scored.judge, JudgeScore) else math.nan
    return value if math.isfinite(value) else None


def _judge_rank(scored: ScoredResponse) -> Rank | None:
    value = _judge_score(scored)
    return None if value is None else (value, 0.0)


def _fact_rank(scored: ScoredResponse, config: PairsConfig) -> Rank | None:
    """By factuality; among equals the one that states more, so that the chosen side is not the one that says least.

    None when the reward failed (missing) and when the response states no fact (it abstains: nothing to rank).
    """
    score = scored.fact
    if not isinstance(score, FactScore) or score.precision is None:
        return None
    value = score.precision * length_penalty(score.counted, config.gamma)
    if config.recall_at is not None:
        value = f_at(config.recall_at, config.recall_weight, score.supported, score.counted)
    return value, float(score.supported if value > 0 else -score.unsupported)
