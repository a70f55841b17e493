"""One judge worker: the instruction-following reward RM_IF, and a language model that answers multiple-choice questions.

It has a text engine of its own and owns its chat template; `controller/workers.py` makes it a Ray actor.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol

from flame_ray.cluster.node import naming_node
from flame_ray.cluster.streams import numbered
from flame_ray.config import JudgeConfig
from flame_ray.engines.base import Message, Sample, SampleRequest, TextEngine
from flame_ray.engines.vllm_engine import VllmEngine, VllmOptions
from flame_ray.errors import ModelError
from flame_ray.rewards.base import by_group
from flame_ray.rewards.judge.backtranslation import BacktranslationJudge
from flame_ray.rewards.judge.pairwise import PairwiseJudge
from flame_ray.rewards.judge.preference import SHIPPED, PreferenceJudge
from flame_ray.rewards.judge.rubric import RubricJudge
from flame_ray.storage.shared_paths import check_is_here
from flame_ray.types import INSTRUCTION, Group, Missing, Prompt, Response, RewardResult, Score

LEAST_KEPT = 160  # characters of a message that is shortened, the question with them


class Judge(Protocol):
    """One way of judging, named by the setting `judge.backend`."""

    def score(self, items: Sequence[tuple[Prompt, Response]]) -> list[Score | Missing]:
        """One result a response, in order. A response that cannot be judged is `Missing` and costs no other response."""
        ...


class JudgeActor:
    """Implements `Reward`. `is_asked`: also as a language model, by `choose` or `write`, so that its engine starts with it.

    The engine of a judge that has a model of its own starts only when it is asked.
    """

    name: ClassVar[str] = INSTRUCTION

    def __init__(
        self,
        options: VllmOptions,
        config: JudgeConfig,
        seed: int,
        is_asked: bool = True,
        build: Callable[[VllmOptions], TextEngine] = VllmEngine,
    ):
        self._options, self._config, self._seed = options, config, seed
        self._is_asked, self._build = is_asked, build

    @cached_property
    def _engine(self) -> TextEngine:
        with naming_node():
            return self._build(self._options)

    @cached_property
    def _judge(self) -> Judge:
        return make_judge(lambda: self._engine, self._config, self._seed)

    @staticmethod
    def applies_to(prompt: Prompt) -> bool:
        return True

    def ready(self) -> int:
        """The weight version, which is always 0: a judge's weights never change. Raises what keeps it from judging."""
        if self._is_asked:
            self._engine  # noqa: B018
        self._judge  # noqa: B018
        return 0

    def sleep(self, level: int) -> None:
        """Release the GPU; see `TextEngine.sleep`."""
        self._engine.sleep(level)

    def wake(self, part: str) -> None:
        """Take `weights` or `kv_cache` back to the GPU."""
        self._engine.wake(part)

    def choose(self, chats: Sequence[Sequence[Message]], words: Sequence[str]) -> Iterator[tuple[int, tuple[float, ...]]]:
        """The position of each chat and, for each word, the log-probability that its first token is the chat's next token.

        A chat that is too long for the model loses the middle of its last message.
        """
        rendered = [self._fitting(messages) for messages in chats]
        first_tokens = tuple(self._engine.encode(word)[0] for word in words)
        yield from numbered(self._engine.choices(rendered, first_tokens))

    def _fitting(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """The chat as token ids. Its last message keeps its ends, where an instruction and the question about it stand."""
        *before, last = messages
        ids, text, kept = self._engine.render(messages), last["content"], len(last["content"])
        while len(ids) >= self._engine.max_length and kept > LEAST_KEPT:
            kept = kept * 9 // 10
            shortened = f"{text[: kept // 2]} ... {text[-(kept // 2) :]}"
            ids = self._engine.render([*before, {**last, "content": shortened}])
        return ids

    def write(self, chats: Sequence[Sequence[Message]], max_tokens: int) -> Iterator[tuple[int, Sample | None]]:
        """The position of each chat and the greedy answer to it; None where there is no room for one."""
        rendered = [self._engine.render(messages) for messages in chats]
        asked = [at for at, ids in enumerate(rendered) if len(ids) + max_tokens <= self._engine.max_length]
        written = dict(self._engine.sample([SampleRequest(rendered[at], max_tokens) for at in asked]))
        found = {at: written[place] for place, at in enumerate(asked)}
        yield from numbered(found.get(at) for at in range(len(chats)))

    def score(self, groups: Sequence[Group]) -> Iterator[tuple[int, tuple[RewardResult, ...]]]:
        """Judges all responses in one call of the engine."""
        items = [(group.prompt, response) for group in groups for response in group.responses_G]
        yield from by_group(groups, self._judge.score(items))


def make_judge(engine: Callable[[], TextEngine], config: JudgeConfig, seed: int) -> Judge:
    """The judge of the setting `judge.backend`. `engine`: called by a judge that asks the language model. Raises ModelError."""
    match config.backend:
        case "rubric":
            return RubricJudge(engine(), config, seed)
        case "backtranslation":
            return BacktranslationJudge(engine())
        case "pairwise":
            return PairwiseJudge(engine())
        case "preference":
            return _preference_judge(config)


def _preference_judge(config: JudgeConfig) -> PreferenceJudge:
    from flame_ray.engines.preference_reader import PreferenceReader

    with naming_node():
        check_is_here("judge.preferences", config.preferences or "", ModelError)
        folder = Path(config.preferences).expanduser() if config.preferences else SHIPPED
        return PreferenceJudge(PreferenceReader(folder))
