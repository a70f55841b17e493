"""One judge worker (made a Ray actor by controller/workers.py): a text engine that grades, and that classifies prompts.

In: prompts and responses. Out: one JudgeScore a response, or `Missing` with the reason: one failure costs one response,
never the batch, and is never counted as 0. Knows nothing of the policy: a judge takes text, and owns its template.
"""

from collections.abc import Iterator, Sequence
from operator import itemgetter

from flame_ray.config import JudgeConfig
from flame_ray.engines.base import Continuation, SampleRequest, TextEngine
from flame_ray.engines.vllm_engine import VllmEngine, VllmOptions
from flame_ray.prompts.classify import NO, YES, classification_messages, probability_of_yes
from flame_ray.rewards.judge import rubric as judge
from flame_ray.rollout.sampling import sample_seed
from flame_ray.types import Group, JudgeScore, Missing, Prompt, Response


class JudgeActor:
    """RM_IF by the backend of the settings, and the question whether a prompt needs facts."""

    def __init__(self, options: VllmOptions, config: JudgeConfig, seed: int):
        self._engine: TextEngine = VllmEngine(options)
        self._config, self._seed, self._limit = config, seed, options.max_length

    def ready(self) -> int:
        """The weight version that it holds, 0 for ever."""
        return self._engine.weight_version

    def sleep(self, level: int) -> None:
        """Give the GPU back; see `TextEngine.sleep`."""
        self._engine.sleep(level)

    def wake(self, part: str) -> None:
        """Take back `weights` or `kv_cache`."""
        self._engine.wake(part)

    def classify(self, prompts_P: Sequence[Prompt]) -> Iterator[tuple[int, float]]:
        """Probability that each prompt needs facts: P(yes) of yes and no; with the prompt's position."""
        rendered = [self._engine.render(classification_messages(prompt.text)) for prompt in prompts_P]
        answers = (self._engine.encode(YES)[0], self._engine.encode(NO)[0])
        for position, (yes, no) in enumerate(self._engine.choices(rendered, answers)):
            yield position, probability_of_yes(yes, no)

    def score(self, groups: Sequence[Group]) -> Iterator[tuple[int, tuple[JudgeScore | Missing, ...]]]:
        """Scores [G] of each group, with its position; the whole batch is one call of the engine."""
        flat = [(group.prompt, response) for group in groups for response in group.responses_G]
        backend = self._backtranslation if self._config.backend == "backtranslation" else self._rubric
        scores = iter(backend(flat))
        for position, group in enumerate(groups):
            yield position, tuple(next(scores) for _ in group.responses_G)

    def _backtranslation(self, items: Sequence[tuple[Prompt, Response]]) -> list[JudgeScore | Missing]:
        asked = [self._continuation(prompt, response) for prompt, response in items]
        fits = [isinstance(each, Continuation) for each in asked]
        found = iter(self._engine.logprobs([each for each in asked if isinstance(each, Continuation)]))
        return [
            self._likelihood(response, next(found)) if fit else Missing(response.id, str(each))
            for (_, response), each, fit in zip(items, asked, fits, strict=True)
        ]

    def _continuation(self, prompt: Prompt, response: Response) -> Continuation | str:
        """The scoring request, or the reason why there is none."""
        text = judge.strip_quoted(prompt.text, response.text)
        if not text.strip():
            return "judge: empty response"
        request = Continuation(self._engine.render(judge.backtranslation_messages(text)), self._engine.encode(prompt.text))
        length = len(request.prompt_token_ids) + len(request.token_ids)
        return request if length < self._limit else "judge: too long for its model"

    @staticmethod
    def _likelihood(response: Response, logprobs: Sequence[float]) -> JudgeScore | Missing:
        try:
            value = judge.backtranslation_score(logprobs)
        except ValueError:
            return Missing(response.id, "judge: no finite likelihood")
        return JudgeScore(response.id, value, (value,))

    def _rubric(self, items: Sequence[tuple[Prompt, Response]]) -> list[JudgeScore | Missing]:
        n, config = self._config.samples, self._config
        rendered = [self._engine.render(judge.rubric_messages(prompt.text, response.text)) for prompt, response in items]
        fits = [len(ids) + config.max_tokens <= self._limit for ids in rendered]
        asked = [
            SampleRequest(ids, config.max_tokens, config.temperature, seed=sample_seed(self._seed + k, response.id))
            for (_, response), ids, fit in zip(items, rendered, fits, strict=True)
            if fit
            for k in range(n)
        ]
        texts = iter([sample.text for _, sample in sorted(self._engine.sample(asked), key=itemgetter(0))])
        return [
            self._mean(response, [next(texts) for _ in range(n)])
            if fit
            else Missing(response.id, "judge: too long for its model")
            for (_, response), fit in zip(items, fits, strict=True)
        ]

    @staticmethod
    def _mean(response: Response, texts: Sequence[str]) -> JudgeScore | Missing:
        found = judge.mean_score(texts)
        return Missing(response.id, "judge: no score in its answer") if found is None else JudgeScore(response.id, *found)
