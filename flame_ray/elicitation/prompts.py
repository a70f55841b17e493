"""Makes the few-shot prompt of each instruction, from the demonstrations that are most like it and from passages."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from flame_ray.config import Config
from flame_ray.elicitation.few_shot import FewShot, can_be_shown, fitted_prompt
from flame_ray.elicitation.similar import Scores, by_meaning, by_words, distinct, nearest
from flame_ray.engines.embedder import MINILM, Embedder, embedder_folder
from flame_ray.errors import DataError
from flame_ray.prompts.decide import check_labels
from flame_ray.rewards.factuality.corpus import check_corpus, signature
from flame_ray.rewards.factuality.evidence import Evidence
from flame_ray.rewards.factuality.names import model_content, model_contents
from flame_ray.rewards.factuality.retrieve import open_reranker, open_retriever
from flame_ray.sft import seed_prompts
from flame_ray.types import Demonstration, Passage, Prompt, ShownCounts

log = logging.getLogger(__name__)
RETRIEVAL = ("title_column", "text_column", "retriever", "embedder", "reranker", "retrieve")  # of `factuality`


class PromptMaker:
    """Makes prompts as `sft.elicit` says. What finds seeds and passages is opened when it is first needed, in this process,
    which must have no vLLM.

    `length` counts the tokens of a prompt, which may have `limit` of them. Raises DataError if too few seeds can be shown.
    """

    def __init__(self, seeds_D: Sequence[Demonstration], config: Config, length: Callable[[str], int], limit: int):
        self._elicit, self._factuality = config.sft.elicit, config.factuality
        self._pool, self._length, self._limit = shown_pool(seeds_D), length, limit
        if len(self._pool) < self._elicit.shots:
            expected = f"at least {self._elicit.shots} seeds that can be shown (sft.elicit.shots)"
            raise DataError(expected, str(len(self._pool)), "add seeds to sft.sources, or lower sft.elicit.shots")

    def few_shots(self, prompts_P: Sequence[Prompt]) -> dict[str, FewShot | None]:
        """The few-shot prompt of each instruction, by its id; None if the instruction alone is too long."""
        passages_PK = self._passages([prompt.text for prompt in prompts_P])
        shown = {
            prompt.id: self._few_shot(prompt, passages_K) for prompt, passages_K in zip(prompts_P, passages_PK, strict=True)
        }
        shots, passages = self._elicit.shots, self._elicit.passages
        if fewer := sum(each is None or each.shots < shots for each in shown.values()):
            _warn(f"{fewer} of {len(shown)} few-shot prompts have room for fewer than {shots} examples", "shots")
        if fewer := sum(each is None or each.passages_left_out > 0 for each in shown.values()) if passages else 0:
            _warn(f"{fewer} of {len(shown)} few-shot prompts have room for fewer than {passages} passages", "passages")
        return shown

    def made_by(self) -> dict[str, Any]:
        """What the prompts depend on, beside the instructions."""
        seeds = json.dumps([(each.prompt.text, each.answer) for each in self._pool])
        made_by: dict[str, Any] = {
            "shots": self._elicit.shots,
            "similarity": self._elicit.similarity,
            "embedder": self._elicit.embedder if self._elicit.similarity == "dense" else None,
            "seeds": hashlib.sha256(seeds.encode("utf-8", "surrogatepass")).hexdigest()[:16],
            "passages": self._elicit.passages,
        }
        if self._elicit.passages:
            factuality = self._factuality
            made_by["corpus"] = signature(factuality.corpus, factuality.title_column, factuality.text_column)
            made_by["retrieval"] = {name: getattr(factuality, name) for name in RETRIEVAL}
        return made_by | ({"contents": contents} if (contents := self._contents()) else {})

    def _contents(self) -> dict[str, str]:
        """What tells the content of the models that find seeds and passages; that of a built-in one never changes."""
        contents = model_contents(self._factuality, RETRIEVAL) if self._elicit.passages else {}
        if self._elicit.similarity == "dense" and self._elicit.embedder != MINILM:
            contents["sft.elicit.embedder"] = model_content(self._elicit.embedder, "sft.elicit.embedder")
        return contents

    def _few_shot(self, prompt: Prompt, passages_K: Sequence[Passage]) -> FewShot | None:
        shown = nearest(prompt.text, self._pool, self._scores, self._elicit.shots)
        return fitted_prompt(prompt.text, shown, passages_K, self._length, self._limit)

    @cached_property
    def _scores(self) -> Scores:
        texts = [each.prompt.text for each in self._pool]
        return by_words(texts) if self._elicit.similarity == "bm25" else by_meaning(texts, Embedder(self._elicit.embedder))

    def _passages(self, texts: Sequence[str]) -> list[tuple[Passage, ...]]:
        """The passages that each prompt shows."""
        return self._evidence.find(texts) if self._elicit.passages else [()] * len(texts)

    @cached_property
    def _evidence(self) -> Evidence:
        keep = self._elicit.passages
        retriever, reranker = open_retriever(self._factuality), open_reranker(self._factuality)
        return Evidence(retriever, max(self._factuality.retrieve, keep), keep, "prompt", reranker)


def _warn(found: str, setting: str) -> None:
    fix = "raise model.max_length (for an evaluation, suites.max_length) if the model has more positions, or lower sft.elicit."
    log.warning("%s: %s%s", found, fix, setting)


def check_seeds(config: Config, demonstrations_D: Sequence[Demonstration]) -> None:
    """Raises DataError if the model is to answer seeds and there are none, or if labels decide which and a seed has none."""
    seeds_P = seed_prompts(demonstrations_D)
    if config.sft.elicits and not seeds_P:
        fix = "set `seed: true` for a source in sft.sources, or set sft.fact_based and sft.others to human"
        raise DataError("seeds, which the model is to answer itself", "no source of sft.sources that has any", fix)
    if config.sft.classifies:
        check_labels(config.classify, seeds_P)


def check_sources(config: Config) -> None:
    """Raises ModelError or DataError if the embedder or the corpus that prompts are made with is not there."""
    elicit, factuality = config.sft.elicit, config.factuality
    if elicit.similarity == "dense":
        embedder_folder(elicit.embedder)
    if elicit.passages:
        check_corpus(factuality.corpus, factuality.title_column, factuality.text_column)


def shown_pool(seeds_D: Sequence[Demonstration]) -> list[Demonstration]:
    """What may be shown: one answer to each instruction, unless a heading of the prompt stands in it."""
    return distinct([each for each in seeds_D if can_be_shown(each)])


def count_shown(few_shots_P: Iterable[FewShot | None]) -> ShownCounts:
    """What the prompts show, and what they have no room for. An instruction that is too long has no prompt."""
    made_P = [each for each in few_shots_P if each is not None]
    return ShownCounts(
        len(made_P),
        sum(each.shots for each in made_P),
        sum(each.passages for each in made_P),
        sum(each.shots_left_out for each in made_P),
        sum(each.passages_left_out for each in made_P),
    )


def as_prompt(prompt: Prompt, few_shot: FewShot) -> Prompt:
    """The few-shot text under the id of its instruction."""
    return replace(prompt, text=few_shot.text)
