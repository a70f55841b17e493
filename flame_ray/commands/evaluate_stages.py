"""The stages of `flame-ray evaluate`: answers, facts, and which prompts need them; what is done already is never done again.

Every piece of finished work is in the cache, under what it was made by, as soon as it is there. So a killed command resumes,
and suites, limits and calls share the work that they have in common.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from flame_ray import __version__
from flame_ray.cluster.streams import bounded_map
from flame_ray.commands.evaluate_pools import Pools
from flame_ray.commands.evaluated_model import EvaluatedModel
from flame_ray.commands.judge_pool import Chat, answers_of, results_of
from flame_ray.commands.score import facts_made_by
from flame_ray.config import Config
from flame_ray.config.load import lasting
from flame_ray.controller.stages import PooledModel
from flame_ray.elicitation.few_shot import STOP
from flame_ray.elicitation.prompts import PromptMaker, as_prompt
from flame_ray.engines.base import Continuation, Message, Sample, SampleRequest
from flame_ray.engines.chat_template import model_with
from flame_ray.engines.models import JUDGE_WEIGHTS, KnownModel
from flame_ray.errors import DataError
from flame_ray.evaluation.suites.base import Comparison
from flame_ray.evaluation.suites.pairwise import compared, reasoned_messages
from flame_ray.journal.shards import adapter
from flame_ray.prompts.classify import classification_cache, classify
from flame_ray.prompts.decide import InstructionClassifier
from flame_ray.report.progress import Screen
from flame_ray.rewards.factuality.reward import Task
from flame_ray.rollout.pool import RolloutPool, window_of
from flame_ray.rollout.sampling import greedy_plan
from flame_ray.storage.atomic import json_digest, sha256_of
from flame_ray.storage.cache import Cache, cache_dir, node_file
from flame_ray.types import FactScore, Group, Missing, Prompt, Response, ResponseId, RewardResult, Score

Item = TypeVar("Item")
Record = TypeVar("Record")
MadeBy = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Written:
    """What the judge wrote; None if its question left no room for an answer."""

    sample: Sample | None


@dataclass(frozen=True, slots=True)
class Weighed:
    """The log-probability of each token of a continuation."""

    logprobs: tuple[float, ...]


class KeptResults(Generic[Record]):
    """Records of one type, kept on this node's disk by what they were made by and from."""

    def __init__(self, kind: str, type: type[Record], made_by: MadeBy):
        self._cache = Cache(node_file(cache_dir() / "evaluate" / kind / json_digest(lasting(made_by))))
        self._json = adapter(type)

    def find(self, keys: Sequence[str]) -> dict[str, Record]:
        """Those that are there, by key. A key may be as long as what it stands for: the disk has its hash."""
        hashed = {key: _hashed(key) for key in keys}
        stored = self._cache.get(list(hashed.values()))
        return {key: self._json.validate_json(stored[at], strict=True)[0] for key, at in hashed.items() if at in stored}

    def keep(self, key: str, record: Record) -> None:
        self._cache.add({_hashed(key): self._json.dump_json([record]).decode()})


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class EvaluationStages:
    """The work on one model. Each method returns one record for each prompt, in order."""

    def __init__(
        self,
        config: Config,
        model: EvaluatedModel,
        judge: KnownModel,
        pools: Pools,
        screen: Screen,
        maker: PromptMaker | None = None,
    ):
        self._config, self._model, self._judge, self._pools, self._screen = config, model, judge, pools, screen
        self._maker = maker

    def answers(self, prompts_P: Sequence[Prompt]) -> list[Response]:
        """Greedy answers, to chats or, if there is a `maker`, to its few-shot prompts."""
        kept = KeptResults("answers", Response, answers_made_by(self._config, self._model, self._maker))
        found = self._complete("answer", kept, prompts_P, lambda prompt: prompt.text, self._sampled)
        return [replace(each, id=_id(prompt)) for prompt, each in zip(prompts_P, found, strict=True)]

    def _sampled(self, prompts_P: Sequence[Prompt]) -> Iterator[tuple[Prompt, Response]]:
        plan, by_id = greedy_plan(0, self._config.suites.max_tokens), {prompt.id: prompt for prompt in prompts_P}
        if self._maker:
            prompts_P, plan = few_shot_prompts(self._maker, prompts_P), replace(plan, chat=False, stop=STOP)
        for group in RolloutPool(self._pools.samplers()).generate(prompts_P, plan):
            (response,) = group.responses_G
            text = response.text.strip() if self._maker else response.text  # before the next heading stands a blank line
            yield by_id[group.prompt.id], replace(response, text=text)

    def facts(self, prompts_P: Sequence[Prompt], responses_P: Sequence[Response], corpus: str) -> list[FactScore | Missing]:
        """The facts of the answers, checked on a corpus."""

        def check(tasks: Sequence[Task]) -> Iterator[tuple[Task, FactScore | Missing]]:
            return self._pools.factuality(corpus).scores((task, task) for task in tasks)

        tasks = [Task(*each) for each in zip(prompts_P, responses_P, strict=True)]
        kept = KeptResults("facts", FactScore, facts_made_by(self._config.replaced("factuality", corpus=corpus)))
        found = self._complete("check facts", kept, tasks, _text_of, check)
        return [replace(each, response_id=_id(prompt)) for prompt, each in zip(prompts_P, found, strict=True)]

    def fact_based(self, prompts_P: Sequence[Prompt]) -> tuple[Prompt, ...]:
        """Those of the prompts that need facts, as `classify.by` says. A suite has no labels: for `label`, the judge's model
        is asked.

        Raises DataError if there are none.
        """
        how = self._config.classify
        if how.by == "label":
            how = how.model_copy(update={"by": "model"})
        with closing(self._screen.begin("classify")):
            decided_P = InstructionClassifier(how, self._ask).classify(prompts_P)
        found = tuple(prompt for prompt in decided_P if prompt.fact_based)
        if not found:
            fix = "lower classify.threshold, raise suites.limit, or set judge.model to a model that can tell them"
            raise DataError("instructions that need facts", f"none of {len(prompts_P)}, by classify.by {how.by}", fix)
        return found

    def _ask(self, prompts_P: Sequence[Prompt]) -> Sequence[Prompt]:
        known = classification_cache(self._judge.identity(self._config.judge_variables))
        return classify(prompts_P, self, known, self._config.classify.threshold)

    def choose(self, chats: Iterable[Sequence[Message]], words: Sequence[str]) -> Sequence[tuple[float, ...]]:
        """Implements `prompts.classify.LanguageModel`; starts the judge only if there is something to ask."""
        asked = list(chats)
        return PooledModel(self._pools.judge()).choose(asked, words) if asked else []

    def comparisons(
        self, prompts_P: Sequence[Prompt], responses_P: Sequence[Response], references: Mapping[str, str]
    ) -> list[Comparison | Missing]:
        """The answers against the reference answers. An empty one loses to one that is not, and no judge is asked."""
        pairs_P = list(zip(prompts_P, responses_P, strict=True))
        full = [(prompt, each) for prompt, each in pairs_P if each.text.strip() and references[prompt.id].strip()]
        compare = self._asked if self._config.suites.compare == "ask" else self._scored
        found = dict(zip((prompt.id for prompt, _ in full), compare(full, references), strict=True))
        return [found.get(prompt.id) or _one_empty(each.text, references[prompt.id]) for prompt, each in pairs_P]

    def weighed(self, continuations: Sequence[Continuation]) -> list[tuple[float, ...]]:
        """The log-probability of each token of each continuation, under the model that is evaluated.

        Those of one token that follow one context, as the letters of a question's choices, are asked together.
        """

        def weigh(asked: Sequence[Continuation]) -> Iterator[tuple[Continuation, Weighed]]:
            pool, choices = self._pools.samplers(), _choices(asked)
            window = window_of(pool)
            alone = [each for each in asked if len(each.token_ids) > 1 or each.prompt_token_ids not in choices]
            for each, future in bounded_map(lambda each: pool.submit("weigh", each), alone, window):
                yield each, Weighed(tuple(future.result()))
            for (context, ids), future in bounded_map(lambda each: pool.submit("choose", *each), choices.items(), window):
                for id, logprob in zip(ids, future.result(), strict=True):
                    yield Continuation(context, (id,)), Weighed((logprob,))

        kept = KeptResults("weighed", Weighed, answers_made_by(self._config, self._model))
        found = self._complete("weigh choices", kept, continuations, _ids_of, weigh)
        return [each.logprobs for each in found]

    def continued(self, requests: Sequence[SampleRequest]) -> list[str]:
        """Greedy continuations of texts that are no chats."""

        def write(asked: Sequence[SampleRequest]) -> Iterator[tuple[SampleRequest, Sample]]:
            pool = self._pools.samplers()
            for each, future in bounded_map(lambda each: pool.submit("write", each), asked, window_of(pool)):
                yield each, future.result()

        kept = KeptResults("continued", Sample, answers_made_by(self._config, self._model))
        return [each.text for each in self._complete("continue texts", kept, requests, _request_of, write)]

    def _asked(self, pairs: Sequence[tuple[Prompt, Response]], references: Mapping[str, str]) -> list[Comparison | Missing]:
        """By asking the judge which of the two is better, in each order."""
        sides = [(prompt, response.text, references[prompt.id]) for prompt, response in pairs]
        chats: list[Chat] = [reasoned_messages(prompt.text, *texts) for prompt, a, b in sides for texts in ((a, b), (b, a))]

        def ask(asked: Sequence[Chat]) -> Iterator[tuple[Chat, Written]]:
            return ((chat, Written(sample)) for chat, sample in answers_of(self._pools.judge(), asked, self._config))

        made_by = judged_by(self._config, self._judge) | {"max_tokens": self._config.judge.max_tokens}
        kept = KeptResults("verdicts", Written, made_by)
        written = self._complete("compare answers", kept, chats, lambda chat: chat[0]["content"], ask)
        results = [compared(a.sample, b.sample) for a, b in zip(written[::2], written[1::2], strict=True)]
        return [
            Missing(response.id, result) if isinstance(result, str) else result
            for (_, response), result in zip(pairs, results, strict=True)
        ]

    def _scored(self, pairs: Sequence[tuple[Prompt, Response]], references: Mapping[str, str]) -> list[Comparison | Missing]:
        """By the judge's scores of the two, which it is given together: the higher one wins."""
        groups = [Group(prompt, (response, _reference(prompt, references[prompt.id]))) for prompt, response in pairs]

        def judge(asked: Sequence[Group]) -> Iterator[tuple[Group, Comparison | Missing]]:
            results = results_of(self._pools.judge(), asked, self._config)
            return ((group, _better(*result)) for group, result in zip(asked, results, strict=True))

        made_by = judged_by(self._config, self._judge) | {"judge": self._config.judge.model_dump(mode="json")}
        if self._config.judge.backend == "rubric":
            made_by["counts"] = "unread"  # without which earlier versions kept them
        kept = KeptResults("scores", Comparison, made_by)
        return self._complete("judge answers", kept, groups, _judged_texts, judge)

    def _complete(
        self,
        label: str,
        kept: KeptResults[Any],
        items: Sequence[Item],
        key: Callable[[Item], str],
        work: Callable[[Sequence[Item]], Iterable[tuple[Item, Any]]],
    ) -> list[Any]:
        """One record for each item: what is kept under its key, or else what `work` makes of it. A failure is not kept."""
        keys = [key(item) for item in items]
        found: dict[str, Any] = kept.find(keys)
        left = {key: item for key, item in zip(keys, items, strict=True) if key not in found}
        if left:
            with closing(self._screen.begin(label)) as bar:
                for item, record in bar.counted(work(list(left.values())), len(left)):
                    found[key(item)] = record
                    if not isinstance(record, Missing):
                        kept.keep(key(item), record)
        return [found[key] for key in keys]


def _text_of(task: Task) -> str:
    return json.dumps([task.prompt.text, task.response.text, task.response.finish_reason])


def few_shot_prompts(maker: PromptMaker, prompts_P: Sequence[Prompt]) -> list[Prompt]:
    """The prompts as they are asked, under their ids. Raises DataError if one is too long even without examples."""
    shown = maker.few_shots(prompts_P)
    found = [as_prompt(prompt, few_shot) for prompt in prompts_P if (few_shot := shown[prompt.id])]
    if len(found) < len(prompts_P):
        long = next(prompt for prompt in prompts_P if shown[prompt.id] is None)
        fix = "lower suites.max_tokens, or raise suites.max_length if the model has more positions"
        raise DataError("instructions that leave room for an answer", f"prompt `{long.id}`: {long.text[:60]!r}...", fix)
    return found


def answers_made_by(config: Config, model: EvaluatedModel, maker: PromptMaker | None = None) -> MadeBy:
    """What an answer depends on, beside its prompt. A name of a section that may change, such as `weights`, would not count."""
    of_suites = {name: getattr(config.suites, name) for name in ("max_tokens", "max_length")}
    asked = model_with(model.fingerprint, config.model.chat_template_kwargs, model.base.ref.chat_template)
    made_by = {"version": __version__, "fingerprint": asked, "dtype": config.model.dtype, "answers": of_suites}
    return made_by | ({"few_shot": maker.made_by()} if maker else {})


def judged_by(config: Config, judge: KnownModel) -> MadeBy:
    """What a judge's answer depends on, beside its question."""
    folder = Path(config.judge.preferences or "").expanduser() / JUDGE_WEIGHTS
    return {
        "version": __version__,
        "judge_weights": judge.identity(config.judge_variables),
        "preferences": sha256_of(folder) if config.judge.preferences else None,
        "dtype": config.model.dtype,
        "max_length": config.suites.max_length,
        "seed": config.run.seed,
    }


def _choices(continuations: Sequence[Continuation]) -> dict[tuple[int, ...], tuple[int, ...]]:
    """By context, the tokens that may follow it, of contexts with several continuations of one token.

    >>> _choices([Continuation((7,), (2,)), Continuation((7,), (1,)), Continuation((7,), (1, 2)), Continuation((8,), (1,))])
    {(7,): (1, 2)}
    """
    found: dict[tuple[int, ...], set[int]] = {}
    for each in continuations:
        if len(each.token_ids) == 1:
            found.setdefault(each.prompt_token_ids, set()).add(each.token_ids[0])
    return {context: tuple(sorted(ids)) for context, ids in found.items() if len(ids) > 1}


def _ids_of(continuation: Continuation) -> str:
    return json.dumps([continuation.prompt_token_ids, continuation.token_ids])


def _request_of(request: SampleRequest) -> str:
    return json.dumps([request.prompt_token_ids, request.max_tokens, request.stop])


def _reference(prompt: Prompt, text: str) -> Response:
    return Response(ResponseId(0, prompt.id, 1), text, (), (), "stop", 0)


def _judged_texts(group: Group) -> str:
    return json.dumps([group.prompt.text, *(response.text for response in group.responses_G)])


def _better(result: RewardResult, other: RewardResult) -> Comparison | Missing:
    """Whether the first scores higher; a judge that failed on either has said nothing."""
    if isinstance(result, Score) and isinstance(other, Score):
        win = 0.5 if result.value == other.value else float(result.value > other.value)
        read, unread = len(result.samples) + len(other.samples), result.unread + other.unread
        return Comparison((win,), (result.value, other.value), read, unread)
    failed = [each for each in (result, other) if isinstance(each, Missing)]
    return Missing(result.response_id, failed[0].reason, unread=sum(each.unread for each in failed))


def _one_empty(answer: str, reference: str) -> Comparison:
    """Of two answers of which at least one is empty."""
    return Comparison((0.5 + (bool(answer.strip()) - bool(reference.strip())) / 2,))


def _id(prompt: Prompt) -> ResponseId:
    return ResponseId(0, prompt.id, 0)
