"""The stages of a supervised fine-tuning, carried out by actors.

Each stage starts the actors that it needs and ends them: none needs another's, so that they never share a GPU.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from flame_ray.cluster.interrupt import raise_if_interrupted
from flame_ray.config import Config
from flame_ray.controller.shared_folder import check_shared
from flame_ray.controller.stages import PooledModel, Stepped
from flame_ray.controller.watch import Show, Watched, watch
from flame_ray.controller.workers import Scope, start_judge, start_learner, start_samplers
from flame_ray.elicitation.few_shot import STOP, FewShot
from flame_ray.elicitation.prompts import PromptMaker, as_prompt, count_shown
from flame_ray.engines.chat import ChatTokenizer
from flame_ray.engines.models import KnownModel, prompt_limit
from flame_ray.engines.text_config import longest
from flame_ray.errors import Interrupted
from flame_ray.journal.sft_journal import ROUND
from flame_ray.journal.shared_samples import SharedSamples
from flame_ray.learner.checkpoints import Checkpoints
from flame_ray.learner.demonstrations import demonstration_examples
from flame_ray.learner.durable import DurableLearner
from flame_ray.learner.train_state import Progress
from flame_ray.prompts.classify import classify
from flame_ray.prompts.decide import InstructionClassifier
from flame_ray.rollout.pool import RolloutPool
from flame_ray.rollout.sampling import SamplingPlan
from flame_ray.sft import SftStages
from flame_ray.storage.cache import Cache
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Demonstration, Group, Prompt, SftTraining, ShownCounts

Advance = Callable[[int, int], None]  # (steps done, steps in all)


@dataclass
class SftClusterStages(ExitStack):
    """Binds the stages to actors. As a context it ends the learner, which trains and then saves.

    `judge`: the model that is asked which seeds need facts; `classified` keeps its answers. `storage`: the run's folder.
    `note_shown` is called with what few-shot prompts show, before any is answered. `shared`: where answers are kept for other
    fine-tunings, and found.
    """

    config: Config
    policy: KnownModel
    judge: KnownModel
    classified: Cache
    checkpoints: Checkpoints
    storage: Storage
    advance: Advance = field(default=lambda done, total: None)
    stepped: Stepped = field(default=lambda round, report: None)
    note_shown: Callable[[ShownCounts], None] = field(default=lambda shown: None)
    show_workers: Show = field(default=lambda *standing: None)
    shared: SharedSamples | None = None
    _learner: DurableLearner | None = None

    def __post_init__(self) -> None:
        super().__init__()

    def stages(self) -> SftStages:
        return SftStages(self.classify, self.elicit, self.train, self.save)

    def classify(self, prompts_P: Sequence[Prompt]) -> Sequence[Prompt]:
        return InstructionClassifier(self.config.classify, self._ask).classify(prompts_P)

    def _ask(self, prompts_P: Sequence[Prompt]) -> Sequence[Prompt]:
        with Scope(self.config) as scope:
            judge = start_judge(scope, self.judge.ref)
            scope.event_loop.start(watch(Watched((judge,)), self.show_workers))
            return classify(prompts_P, PooledModel(judge), self.classified, self.config.classify.threshold)

    def elicit(self, prompts_P: Sequence[Prompt], seeds_D: Sequence[Demonstration]) -> Iterator[Group]:
        """The model's own answers. A group without answers is of an instruction that is too long."""
        shown = self.few_shots(prompts_P, seeds_D)
        self.note_shown(count_shown(shown.values()))
        by_id = {prompt.id: prompt for prompt in prompts_P}
        yield from (Group(by_id[id], ()) for id, few_shot in shown.items() if few_shot is None)
        texts_P = [as_prompt(by_id[id], few_shot) for id, few_shot in shown.items() if few_shot is not None]
        for group in self.shared.sampled(texts_P, self._sampled) if self.shared else self._sampled(texts_P):
            yield Group(by_id[group.prompt.id], group.responses_G)

    def _sampled(self, texts_P: Sequence[Prompt]) -> Iterator[Group]:
        with Scope(self.config) as scope:
            samplers = start_samplers(scope, self.policy.ref)
            scope.event_loop.start(watch(Watched((samplers,)), self.show_workers))
            yield from RolloutPool(samplers).generate(texts_P, elicitation_plan(self.config))

    def train(self, demonstrations_D: Sequence[Demonstration]) -> SftTraining:
        config = self.config
        folder = self.policy.folder
        chat, most = ChatTokenizer(folder, config.model), longest(folder, config.model)
        made = demonstration_examples(demonstrations_D, chat, most, config.sft.max_dropped)
        learner = self._started()
        try:
            report = learner.train(made.examples_D, ROUND, self._stepped)
        except Interrupted:
            learner.interrupt(ROUND)
            raise
        return SftTraining(report, dict(made.by_source), dict(made.tokens_by_source), made.too_long)

    def save(self) -> str:
        """Save the adapter, and the whole model if `run.save_merged` asks for it or there is no adapter. Returns where."""
        folder, learner, config = self.checkpoints.round(ROUND), self._started(), self.config
        if config.learner.lora is not None:
            learner.save(folder / "adapter", merged=False)
        if is_merged := config.run.save_merged or config.learner.lora is None:
            learner.save(folder / "merged", merged=True)
        return str(folder / ("merged" if is_merged else "adapter"))

    def _started(self) -> DurableLearner:
        if self._learner is None:
            scope = self.enter_context(Scope(self.config))
            self._learner = start_learner(scope, self.policy.ref, self.checkpoints)
            scope.event_loop.start(watch(Watched(learner=self._learner), self.show_workers))
            check_shared(self.storage, self._learner)
        return self._learner

    def _stepped(self, at: Progress) -> None:
        self.advance(at.done, at.total)
        if at.report is not None:
            self.stepped(ROUND, at.report)
        raise_if_interrupted()

    def few_shots(self, prompts_P: Sequence[Prompt], seeds_D: Sequence[Demonstration]) -> dict[str, FewShot | None]:
        """The few-shot prompt of each instruction, by its id."""
        folder, model = self.policy.folder, self.config.model
        limit = prompt_limit(folder, model, self.config.sft.elicit.max_tokens) - 1
        length = ChatTokenizer(folder, model).length
        return PromptMaker(seeds_D, self.config, length, limit).few_shots(prompts_P)


def elicitation_plan(config: Config) -> SamplingPlan:
    """How the model is asked for its own answers."""
    rollout, elicit = config.rollout, config.sft.elicit
    return SamplingPlan(
        ROUND,
        config.run.seed,
        elicit.samples,
        elicit.max_tokens,
        rollout.temperature,
        rollout.top_p,
        rollout.top_k,
        chat=False,
        stop=STOP,
    )
