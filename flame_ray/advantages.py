"""Turns scored responses into single responses, for losses that compare no pairs: graded ones, or the best of each group.

Graded ones (`grade`, for GRPO) have TruthRL's ternary reward (arXiv 2509.25760): +1 for what is true, -1 for what is not, and 0
for abstaining. The advantage is GRPO's (arXiv 2402.03300, section 4.1.2): how many standard deviations a response's reward is
above the mean of its group. Prompts that need no facts give none. A response that the token limit cut off is never reinforced.

The best of each group (`choose_best`, for `nll`) is what rejection-sampling fine-tuning learns from (RAFT, arXiv 2304.06767;
Llama 2, arXiv 2307.09288, section 3.2.3).
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from statistics import fmean, pstdev

from flame_ray.config import PairsConfig
from flame_ray.pairs import NO_FACTS, build_pairs, compact_graded
from flame_ray.types import FACTUALITY, TERNARY, FactScore, Graded, Missing, PairSet, Response, ScoredGroup, ScoredResponse


def ternary_reward(score: FactScore) -> float | None:
    """The mean over a response's facts of +1 for each supported and -1 for each other one; 0 if the response abstains.

    TruthRL rewards answers that state one thing; a response of one fact has just these rewards, and one of several facts
    has 2 x precision - 1. None: the response states something, and none of it counts.
    """
    if score.precision is not None:
        return 2 * score.precision - 1
    return 0.0 if score.abstained else None


def grade(groups_P: Iterable[ScoredGroup], config: PairsConfig) -> PairSet:
    """The responses of each group whose rewards differ, with their advantages; they are sorted by prompt id.

    What is left out is counted by reason as in `build_pairs`: a response as `response: <reason>`, a failed reward as
    `reward: <reason>`, a prompt or a response without an advantage as `ternary: <reason>`. Equal responses stay: they are
    samples of the policy.
    """
    dropped, counts = Counter[str](), Counter[bool]()  # by reason; responses, by whether they are truncated

    def graded() -> Iterator[Graded]:
        for group in groups_P:
            counts.update(scored.response.truncated for scored in group.scored_G)
            if group.prompt.fact_based:
                yield from _graded(list(_rewarded(group, config, dropped)), dropped)
            else:
                dropped[f"{TERNARY}: {NO_FACTS}"] += 1

    graded_D = sorted(compact_graded(graded()), key=lambda each: each.prompt_id)
    return PairSet((), dict(sorted(dropped.items())), counts.total(), counts[True], tuple(graded_D))


def choose_best(groups_P: Iterable[ScoredGroup], config: PairsConfig) -> PairSet:
    """The best response of each group by each of `pairs.kinds`; they are sorted by prompt id.

    It is the chosen side of the group's widest pair of that kind, so that the same rules, settings and reasons hold as in
    `build_pairs`: a group without spread gives none. A response that is the best by two kinds is there twice.
    """
    pairs = build_pairs(groups_P, config.model_copy(update={"factuality_per_prompt": 1}))
    best_D = tuple(Graded(pair.chosen, pair.chosen_score, kind=pair.kind) for pair in pairs.pairs_D)
    return replace(pairs, pairs_D=(), graded_D=best_D)


def _rewarded(group: ScoredGroup, config: PairsConfig, dropped: Counter[str]) -> Iterator[tuple[Response, float]]:
    """The usable responses that have a reward."""
    for scored in group.scored_G:
        if not scored.response.text.strip():
            dropped["response: empty"] += 1
        elif config.drop_truncated and scored.response.truncated:
            dropped["response: truncated"] += 1
        elif (reward := _reward(scored, dropped)) is not None:
            yield scored.response, reward


def _reward(scored: ScoredResponse, dropped: Counter[str]) -> float | None:
    score = scored.rewards.get(FACTUALITY)
    if isinstance(score, Missing):
        dropped[f"reward: {score.reason}"] += 1
    return ternary_reward(score) if isinstance(score, FactScore) else None


def _graded(rewarded_G: list[tuple[Response, float]], dropped: Counter[str]) -> Iterator[Graded]:
    rewards_G = [reward for _, reward in rewarded_G]
    if len(rewards_G) < 2:
        dropped[f"{TERNARY}: fewer than two scored responses"] += 1
    elif not (deviation := pstdev(rewards_G)):
        dropped[f"{TERNARY}: no spread"] += 1
    else:
        for response, reward in rewarded_G:
            advantage = (reward - fmean(rewards_G)) / deviation
            if response.truncated and advantage > 0:
                dropped[f"{TERNARY}: truncated response above the mean"] += 1
            else:
                yield Graded(response, reward, advantage)
