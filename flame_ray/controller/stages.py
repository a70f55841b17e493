"""The stages of a round, carried out by the actors of a run."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Protocol

from flame_ray.advantages import choose_best, grade
from flame_ray.cluster.figures import count_lookups
from flame_ray.cluster.interrupt import raise_if_interrupted
from flame_ray.cluster.pool import WorkerPool
from flame_ray.cluster.streams import bounded_map, gather
from flame_ray.config import Config
from flame_ray.controller.gpu_sharing import share_gpus
from flame_ray.controller.idle_pools import IdlePools
from flame_ray.controller.p2p_weights import P2PWeights
from flame_ray.controller.workers import RunPools
from flame_ray.engines.base import AdapterFolder, Chunks, Continuation, Message, ModelFolder, StoredModel, Weights
from flame_ray.errors import EngineError, Interrupted, WorkLost
from flame_ray.evaluation.metrics import evaluate_responses, paired_change
from flame_ray.evaluation.selection import select
from flame_ray.learner.checkpoints import Checkpoints, Choice
from flame_ray.learner.data import graded_examples, pair_examples
from flame_ray.learner.durable import DurableLearner
from flame_ray.learner.masks import Decode
from flame_ray.learner.train_state import Progress
from flame_ray.pairs import build_pairs, factual_first
from flame_ray.prompts.classify import classify
from flame_ray.prompts.decide import InstructionClassifier
from flame_ray.prompts.load import draw
from flame_ray.report.summary import delivered_summary
from flame_ray.rewards.base import Reward
from flame_ray.rollout.sampling import SamplingPlan, greedy_plan
from flame_ray.round import Stages
from flame_ray.storage.cache import Cache
from flame_ray.types import (
    INSTRUCTION,
    Group,
    HeldOut,
    Missing,
    PairSet,
    Prompt,
    Response,
    RewardResult,
    ScoredGroup,
    ScoredResponse,
    Selection,
    StepReport,
    Synced,
    TrainingReport,
)
from flame_ray.weights import Canary, CanaryLogps, Push

log = logging.getLogger(__name__)
Stepped = Callable[[int, StepReport], None]  # the round, and its optimizer step
Known = Callable[[str, Group], Sequence[RewardResult] | None]  # the results [G] of a reward that were kept of these responses
CANARY_PAIRS = 12  # some 1,000 tokens
MOST_PENDING = 256  # groups that wait for their scores, at most
MOST_ASKED = 4096  # prompts that wait to be classified, at most
CHOOSE = {"pairs": build_pairs, "graded": grade, "answers": choose_best}  # by what the loss trains on


class Advance(Protocol):
    def __call__(self, stage: str, round: int, done: int, total: int | None, note: str = "") -> None: ...


class ClusterStages:
    """Binds the stages to the workers of one run. `advance` is called with the progress of training and evaluation, `stepped`
    with each optimizer step.

    `decode`: from the policy's token ids to their text, for a loss that counts sentences. `known`: results that other runs have
    kept, which are not computed again.
    """

    def __init__(
        self,
        workers: RunPools,
        config: Config,
        classified: Cache,
        checkpoints: Checkpoints,
        advance: Advance,
        decode: Decode | None = None,
        stepped: Stepped = lambda round, report: None,
        known: Known | None = None,
    ):
        self._workers, self._config, self._decode, self._known = workers, config, decode, known
        self._classified, self._checkpoints, self._advance, self._note_step = classified, checkpoints, advance, stepped
        self._classifier = InstructionClassifier(config.classify, self._ask)
        self._gpus = share_gpus(config, workers.rollouts, workers.judge, workers.learner)
        pools = (workers.rollouts.pool, *workers.rewards.values()) if config.pipeline.release_idle else ()
        self._idle = IdlePools(pools)
        choice = checkpoints.choice()
        # The round whose weights the next one starts from, after a round that was rolled back or skipped.
        self._restarts = {choice.round: choice.restart} if choice else {}
        self._canary: tuple[Continuation, ...] = ()
        self._first_answers: dict[str, Response] = {}  # of round 0, by the id of the held-out or development prompt
        self._earlier: dict[int, CanaryLogps] = {}  # what the learner answered to the canary, by version of the weights

    def stages(self) -> Stages:
        return Stages(
            draw=lambda prompts_P, round: draw(tuple(prompts_P), self._config.prompts.per_round, self._config.run.seed, round),
            classify=self.classify,
            sample=self.sample,
            score=self.score,
            pair=self.pair,
            skip=self.skip,
            train=self.train,
            save=self.save,
            sync=self.sync,
            evaluate=self.evaluate,
            compare=lambda before, after: paired_change(
                before.scored_P, after.scored_P, self._config.evaluation, self._config.run.seed
            ),
            develop=partial(self.evaluate, stage="develop"),
            select=self.select,
            deliver=self.deliver,
        )

    def classify(self, prompts_P: Sequence[Prompt], round: int) -> Sequence[Prompt]:
        """Decide which prompts need facts."""
        return self._classifier.classify(prompts_P)

    def _ask(self, prompts_P: Sequence[Prompt]) -> Sequence[Prompt]:
        model = PooledModel(self._workers.judge)
        found = classify(prompts_P, model, self._classified, self._config.classify.threshold)
        count_lookups("classes", hits=len(prompts_P) - model.asked, misses=model.asked)
        return found

    def sample(self, prompts_P: Sequence[Prompt], round: int) -> Iterator[Group]:
        for group in self._workers.rollouts.generate(prompts_P, sampling_plan(self._config, round)):
            self._check_staleness(group, round)
            yield group

    def score(self, groups_P: Iterable[Group], round: int) -> Iterator[ScoredGroup]:
        """The rewards of each group. A group is submitted as soon as it comes; the groups keep their order."""
        for group, answers in bounded_map(partial(self._submit, round), groups_P, MOST_PENDING, ordered=True):
            yield _scored(group, answers.result())

    def _submit(self, round: int, group: Group) -> Future:
        """The results, by name, of each reward that applies to the group's prompt."""
        applying = {reward: pool for reward, pool in self._workers.rewards.items() if reward.applies_to(group.prompt)}
        return gather({reward.name: self._results(reward, pool, group, round) for reward, pool in applying.items()})

    def _results(self, reward: type[Reward], pool: WorkerPool, group: Group, round: int) -> Future:
        if (known := self._known and self._known(reward.name, group)) is None:
            return pool.submit("score", self._as_seen(reward, group), label=f"round {round} score")
        found: Future = Future()
        found.set_result(known)
        return found

    def _as_seen(self, reward: type[Reward], group: Group) -> Group:
        """What a reward is given. A judge that compares gets the answer of an evaluation with that of round 0 beside it."""
        if len(group.responses_G) > 1 or reward.name != INSTRUCTION or not self._config.judge.kind.compares:
            return group
        (answer,) = group.responses_G
        first = self._first_answers.get(group.prompt.id, answer)
        return replace(group, responses_G=(answer, replace(first, id=replace(answer.id, index=answer.id.index + 1))))

    def pair(self, groups_P: Iterable[ScoredGroup], round: int) -> PairSet:
        """What the loss trains on."""
        loss = self._config.learner.loss_kind
        chosen = CHOOSE[loss.trains_on](groups_P, self._config.pairs)
        return factual_first(chosen) if loss.compares_factuality else chosen

    def skip(self, pairs: PairSet, round: int) -> None:
        """Leave the weights as they are. The next round starts from what this one would have started from."""
        self._restarts[round] = self._restarts.get(round - 1, round - 1)
        reasons = f"dropped: {pairs.dropped}" if pairs.dropped else "no prompt gave one"
        log.warning("round %d is skipped, as it has no pairs to train on (%s); the weights stay", round, reasons)

    def train(self, pairs: PairSet, round: int) -> TrainingReport:
        self._idle.release()
        self.choose_canary(pairs)
        start = self._restarts.get(round - 1, round - 1)
        self._earlier[start] = self._ask_canary(initial=start == 0 and self._knows_initial)
        try:
            of_pairs = pair_examples(pairs.pairs_D, self._decode, self._config.pairs.balance)
            examples_D = (*of_pairs, *graded_examples(pairs.graded_D))
            return self._learner.train(examples_D, round, partial(self._stepped, round))
        except Interrupted:
            self._workers.learner.interrupt(round)
            raise

    def _stepped(self, round: int, at: Progress) -> None:
        self._advance("train", round, at.done, at.total)
        if at.report is not None:
            self._note_step(round, at.report)
        raise_if_interrupted()

    def save(self, round: int) -> None:
        """Save the adapter, and the merged model if `run.save_merged` asks for it or there is no adapter."""
        folder, config = self._checkpoints.round(round), self._config
        if config.learner.lora is not None:
            self._learner.save(folder / "adapter", merged=False)
        if config.run.save_merged or config.learner.lora is None:
            self._learner.save(folder / "merged", merged=True)

    def sync(self, round: int) -> Synced:
        """Push the learner's weights to the samplers. Their version is the number of the round.

        Raises EngineError before a canary is chosen.
        """
        if not self._canary:
            raise EngineError("a canary", "none", "call `train` or `choose_canary` before `sync`")
        if self._knows_initial and 0 not in self._earlier:  # for samplers that have the initial model still
            self._earlier[0] = self._ask_canary(initial=True)
        self._idle.take_back()
        canary = Canary(self._canary, self._ask_canary(), self._earlier, self._config.learner.canary_tolerance)
        began = time.monotonic()
        agreement = self._gpus.push(Push(self._weights(round), round, canary, self._gpus.asleep, self._stored(round)))
        seconds = time.monotonic() - began
        self._idle.grow()
        self._checkpoints.prune()
        log.info("round %d: weights verified on every rollout worker: %s", round, agreement)
        if agreement is None:
            return Synced(round, str(agreement), seconds=seconds)
        slope = agreement.slope if math.isfinite(agreement.error) else None
        return Synced(round, str(agreement), slope, agreement.gap, seconds)

    def _weights(self, round: int) -> Weights | P2PWeights:
        folder, backend = self._checkpoints.round(round), self._config.weights.backend
        if backend == "lora":
            return AdapterFolder(str(folder / "adapter"))
        if backend == "checkpoint":
            return ModelFolder(str(folder / "merged"))
        if backend == "object_store":
            return Chunks(self._learner.export())
        merged, pool = ModelFolder(str(folder / "merged")), self._workers.rollouts.pool
        return P2PWeights(self._learner, backend, merged, serving=lambda: pool.actors)

    def _stored(self, round: int) -> StoredModel | None:
        """Where a sampler finds the weights that joins once their chunks have left the object store."""
        config, folder = self._config, self._checkpoints.round(round)
        if config.weights.backend != "object_store":
            return None
        if config.run.save_merged or config.learner.lora is None:
            return StoredModel(folder / "merged")
        return StoredModel(folder / "adapter", config.learner.dtype)

    def evaluate(self, prompts_P: Sequence[Prompt], round: int, stage: str = "evaluate") -> HeldOut:
        """Greedy answers and their metrics. `stage` is the name that `advance` hears."""
        config = self._config.evaluation
        plan = greedy_plan(round, config.max_tokens or self._config.rollout.max_tokens)
        groups_P = self._workers.rollouts.generate(prompts_P, plan, urgent=True)
        told = _HeldOutProgress(partial(self._advance, stage, round), len(prompts_P))
        answered_P: Iterable[Group] = told.answered(groups_P)
        if not self._config.pipeline.stream:
            answered_P = tuple(answered_P)
        scored = {group.prompt.id: group.scored_G[0] for group in told.scored(self.score(answered_P, round))}
        scored_P = tuple(scored[prompt.id] for prompt in prompts_P)
        if round == 0:
            self.know_first(scored_P)
        return HeldOut(scored_P, evaluate_responses(prompts_P, scored_P, config, self._config.run.seed))

    def know_first(self, scored_P: Iterable[ScoredResponse]) -> None:
        """The answers before any training, which later ones are compared with."""
        self._first_answers |= {each.response.id.prompt_id: each.response for each in scored_P}

    def select(self, developed: Mapping[int, HeldOut], before: Selection | None) -> Selection | None:
        """The best of the last round and the best before it; None if the settings do not ask for it."""
        if self._config.run.select == "last":
            return None
        return select(developed, before, self._config.run, self._config.evaluation)

    def deliver(self, selection: Selection | None) -> None:
        """Deliver a round that is the best so far, record the choice, and undo a round that was rolled back.

        A process that dies before the choice is recorded makes it again; one that dies later starts from what it says.
        """
        if selection is None:
            return
        if selection.best == selection.round:
            self._checkpoints.deliver(selection.round, delivered_summary(selection, self._config))
        self._checkpoints.choose(Choice(selection.round, selection.best, selection.restart))
        if selection.rolled_back and selection.round < self._config.run.rounds:
            self._roll_back(selection)

    def _roll_back(self, selection: Selection) -> None:
        """Bring the learner, then the samplers, to the weights that the next round starts from."""
        self._earlier[selection.round] = self._ask_canary()
        self._learner.restart()
        self._restarts[selection.round] = selection.restart
        if selection.restart == 0:
            self.save(0)  # the initial model has no folder yet, and samplers may load one
        self.sync(selection.restart)

    def choose_canary(self, pairs: PairSet) -> None:
        """Take the responses of pairs of several prompts, because training changes their log-probabilities."""
        first_P = {sides[0].id.prompt_id: sides for sides in reversed(pairs.sides_D)}
        sides = [side for each in list(first_P.values())[:CANARY_PAIRS] for side in each]
        self._canary = tuple(dict.fromkeys(Continuation(side.prompt_token_ids, side.token_ids) for side in sides))
        self._earlier = {}

    @property
    def _learner(self) -> DurableLearner:
        """The learner; it takes its turn on the GPUs if it shares them."""
        self._gpus.give_to_learner(self._canary)
        return self._workers.learner

    @property
    def _knows_initial(self) -> bool:
        """Whether the learner can compute with the initial weights."""
        return self._config.learner.lora is not None or self._config.learner.reference == "initial"

    def _ask_canary(self, initial: bool = False) -> CanaryLogps:
        """As the samplers compute: one in float32 keeps what bfloat16 rounds away when an adapter is added to it."""
        config = self._config
        added = config.weights.backend == "lora" and config.model.dtype == config.learner.dtype
        return self._learner.canary(self._canary, added=added, initial=initial)

    def _check_staleness(self, group: Group, round: int) -> None:
        oldest = min(response.weight_version for response in group.responses_G)
        allowed = range(round - 1 - self._config.pipeline.staleness, round)
        if oldest < min(self._restarts.get(each, each) for each in allowed):
            raise EngineError(
                f"samples of round {round} from weights at most {self._config.pipeline.staleness} versions behind",
                f"version {oldest} for prompt {group.prompt.id}",
                "report this bug: a sampler served before it was brought up to date",
            )


class _HeldOutProgress:
    """Tells `advance` how many held-out prompts are scored, which is what is done, and how many are answered."""

    def __init__(self, advance: Callable[[int, int, str], None], total: int):
        self._advance, self._total = advance, total
        self._answered = self._scored = 0

    def answered(self, groups_P: Iterable[Group]) -> Iterator[Group]:
        for self._answered, group in enumerate(groups_P, start=1):
            self._tell()
            yield group

    def scored(self, groups_P: Iterable[ScoredGroup]) -> Iterator[ScoredGroup]:
        for self._scored, group in enumerate(groups_P, start=1):
            self._tell()
            yield group

    def _tell(self) -> None:
        self._advance(self._scored, self._total, f"{self._answered} answered")


class PooledModel:
    """The language model of a pool's actors; implements `prompts.classify.LanguageModel`. `asked` counts the chats."""

    def __init__(self, pool: WorkerPool):
        self._pool = pool
        self.asked = 0

    def choose(self, chats: Iterable[Sequence[Message]], words: Sequence[str]) -> list[tuple[float, ...]]:
        def ask(chat: Sequence[Message]) -> Future:
            self.asked += 1
            return self._pool.submit("choose", chat, tuple(words), label="classify")

        return [answer.result() for _, answer in bounded_map(ask, chats, MOST_ASKED, ordered=True)]


def sampling_plan(config: Config, round: int) -> SamplingPlan:
    """How a round samples what it learns from."""
    rollout = config.rollout
    return SamplingPlan(
        round, config.run.seed, rollout.samples, rollout.max_tokens, rollout.temperature, rollout.top_p, rollout.top_k
    )


def _scored(group: Group, answers: Mapping[str, Future]) -> ScoredGroup:
    results = [_results(group, answer) for answer in answers.values()]
    scored_G = [
        ScoredResponse(response, dict(zip(answers, each, strict=True)))
        for response, *each in zip(group.responses_G, *results, strict=True)
    ]
    return ScoredGroup(group.prompt, tuple(scored_G))


def _results(group: Group, answer: Future) -> Sequence[RewardResult]:
    """One result a response [G]. The reward is missing if the group brought down one worker after another.

    The result of an answer that only stood beside is left out.
    """
    try:
        return answer.result()[: len(group.responses_G)]
    except WorkLost as error:
        log.warning("%s", error)
        return [Missing(response.id, "worker lost") for response in group.responses_G]
