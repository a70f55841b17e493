"""The stages of a round, done by actors: what `round.py` names, carried out on pools.

In: `Workers` and settings. Out: `Stages`, plain calls. Knows nothing of files or screens; a caller that wants to watch
gives `advance`, which hears of finished items.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flame_ray.config import Config
from flame_ray.engines.base import Continuation
from flame_ray.errors import DataError, EngineError
from flame_ray.evaluation.metrics import evaluate_responses
from flame_ray.pairs import build_pairs
from flame_ray.prompts.classify import decide, decide_by_label
from flame_ray.prompts.load import draw
from flame_ray.rollout.sampling import SamplingPlan, greedy_plan
from flame_ray.round import Stages
from flame_ray.runtime.cache import Cache
from flame_ray.runtime.pool import ActorPool, batched
from flame_ray.runtime.workers import Workers
from flame_ray.types import (
    FactScore,
    HeldOut,
    JudgeScore,
    Missing,
    PairSet,
    Prompt,
    Response,
    ResponseId,
    ScoredResponse,
    TrainingReport,
)
from flame_ray.weights import Canary, sync_weights, take_canary

log = logging.getLogger(__name__)
BATCH = 16
Advance = Callable[[int, int], None]


class ClusterStages:
    """Binds the stages to one run's workers. `advance(done, total)` is called as items of the running stage finish."""

    def __init__(
        self, workers: Workers, config: Config, classified: Cache, checkpoint: Callable[[int], Path], advance: Advance
    ):
        self._workers, self._config = workers, config
        self._classified, self._checkpoint, self._advance = classified, checkpoint, advance
        self._canary: Canary | None = None

    def stages(self) -> Stages:
        return Stages(
            draw=lambda prompts_P, round: draw(tuple(prompts_P), self._config.prompts.per_round, self._config.run.seed, round),
            classify=self.classify,
            sample=self.sample,
            score=self.score,
            pair=lambda prompts_P, scored_PG: build_pairs(prompts_P, scored_PG, self._config.pairs),
            train=self.train,
            sync=self.sync,
            save=self.save,
            evaluate=self.evaluate,
        )

    def classify(self, prompts_P: Sequence[Prompt]) -> Sequence[Prompt]:
        """Decide which prompts need facts; the model's answers are kept between runs."""
        if self._config.classify.by == "label":
            return decide_by_label(prompts_P)
        unknown = [prompt for prompt in prompts_P if prompt.text not in self._classified]
        batches = batched(unknown, self._config.judge.max_sequences)
        answers = self._map(self._workers.judge, "classify", batches)
        self._classified.add({prompt.text: value for prompt, value in zip(unknown, answers, strict=True)})
        return decide(prompts_P, [self._classified[prompt.text] for prompt in prompts_P], self._config.classify.threshold)

    def sample(self, prompts_P: Sequence[Prompt], round: int) -> list[Response]:
        config = self._config.rollout
        plan = SamplingPlan(
            round, self._config.run.seed, config.samples, config.max_tokens, config.temperature, config.top_p, config.top_k
        )
        return self._generate(prompts_P, plan)

    def score(self, prompts_P: Sequence[Prompt], responses_PG: Sequence[Response]) -> list[ScoredResponse]:
        """Both rewards of every response, the factuality reward for fact-based prompts only."""
        groups = _groups(prompts_P, responses_PG)
        needing = [group for group in groups if group[0].fact_based]
        facts: dict[ResponseId, FactScore | Missing]
        judged: dict[ResponseId, JudgeScore | Missing]
        facts = {score.response_id: score for score in self._rewards(self._workers.factuality, needing)}
        judged = {score.response_id: score for score in self._rewards(self._workers.judge, groups)}
        return [
            ScoredResponse(response, judged[response.id], facts.get(response.id))
            for _, responses_G in groups
            for response in responses_G
        ]

    def train(self, pairs: PairSet, round: int) -> TrainingReport:
        if not pairs.pairs_D:
            raise DataError(
                "at least one preference pair to train on",
                f"none in round {round}; dropped: {pairs.dropped}",
                "sample more or longer responses, or loosen the filters in `pairs`",
            )
        self._canary = take_canary(self._workers.learner, self._workers.rollouts, _sequence(pairs))
        return self._workers.learner.train(pairs.pairs_D, round, on_step=self._advance)

    def sync(self, pairs: PairSet, round: int) -> int:
        """Push the weights; the version is the round's number."""
        if self._canary is None:
            raise EngineError("a canary taken before training", "none", "train before sync")
        canary, self._canary = self._canary, None
        tolerance = self._config.learner.canary_tolerance
        gap = sync_weights(self._workers.learner, self._workers.rollouts, round, canary, tolerance)
        log.info("round %d: weights verified, canary gap %.4f nats a token", round, gap)
        return round

    def save(self, round: int) -> None:
        """The adapter and, if it is asked for or there is none, the whole model as other tools load it."""
        folder, config = self._checkpoint(round), self._config
        if config.learner.lora is not None:
            self._workers.learner.save(folder / "adapter")
        if config.run.save_merged or config.learner.lora is None:
            self._workers.learner.save(folder / "merged", merged=True)

    def evaluate(self, prompts_P: Sequence[Prompt], round: int) -> HeldOut:
        config = self._config.evaluation
        responses_P = self._generate(prompts_P, greedy_plan(round, config.max_tokens or self._config.rollout.max_tokens))
        scored_P = tuple(self.score(prompts_P, responses_P))
        return HeldOut(scored_P, evaluate_responses(prompts_P, scored_P, config.bootstrap, self._config.run.seed))

    def _generate(self, prompts_P: Sequence[Prompt], plan: SamplingPlan) -> list[Response]:
        return self._workers.rollouts.generate(prompts_P, plan, self._counter(len(prompts_P)))

    def _rewards(self, pool: ActorPool, groups: Sequence) -> list[Any]:
        return [score for scores_G in self._map(pool, "score", batched(groups, BATCH)) for score in scores_G]

    def _map(self, pool: ActorPool, method: str, batches: Sequence[Sequence]) -> list:
        done = self._counter(sum(map(len, batches)))
        results = pool.map(method, [(batch,) for batch in batches], lambda index: done(len(batches[index])))
        return [result for batch in results for result in batch]

    def _counter(self, total: int) -> Callable[[int], None]:
        finished = 0

        def count(items: int) -> None:
            nonlocal finished
            finished += items
            self._advance(finished, total)

        return count


def _sequence(pairs: PairSet) -> Continuation:
    """The chosen side of a round's first pair: text that training moves."""
    chosen = pairs.pairs_D[0].chosen
    return Continuation(chosen.prompt_token_ids, chosen.token_ids)


def _groups(prompts_P: Sequence[Prompt], responses_PG: Sequence[Response]) -> list[tuple[Prompt, list[Response]]]:
    by_prompt: dict[str, list[Response]] = {prompt.id: [] for prompt in prompts_P}
    for response in responses_PG:
        by_prompt[response.id.prompt_id].append(response)
    return [(prompt, by_prompt[prompt.id]) for prompt in prompts_P]
