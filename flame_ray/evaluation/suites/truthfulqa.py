"""The suite `truthfulqa`: questions that many people answer wrongly (Lin et al. 2022, arXiv 2109.07958), answered freely.

An answer is compared with the true and the false answers of the data set by BLEU (sacrebleu) and ROUGE (rouge-score), with
the settings of the benchmark's own code. The model is asked each question alone, as a chat.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from flame_ray.config import Config
from flame_ray.errors import ConfigError, DataError
from flame_ray.evaluation.suites.base import Answered, Figures, Needs, Suite, Values, means
from flame_ray.evaluation.suites.data import data_file, data_path, make_prompts, suite_rows
from flame_ray.evaluation.suites.lengths import share
from flame_ray.storage.jsonl import Row

PUBLIC = "TruthfulQA.csv and data/mc_task.json are in github.com/sylinrl/TruthfulQA (Apache-2.0)"
NO_COMMENT = "I have no comment."
ROUGE = {"rouge1": "rouge1", "rouge2": "rouge2", "rougeL": "rougeLsum"}  # our names, and the library's
METRICS = ("bleu", *ROUGE)
Scores = Mapping[str, float]
Scorer = Callable[[str, str], Scores]


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of the data set to one question."""

    true: tuple[str, ...]
    false: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TruthfulMeasure:
    """For each metric the best score against a true answer, minus the best against a false one, in points of 100.

    `*_diff` is its mean (FLAME's table 4), `*_acc` the share of answers that are nearer to a true one.
    """

    answers: Mapping[str, Answers]  # by prompt id
    scorer: Scorer
    needs: ClassVar[Needs] = "answers"

    def figures(self, answered_P: Sequence[Answered], config: Config) -> Figures:
        values_P = [self.values(each, config) for each in answered_P]
        shares = {f"{name}_acc": share([(values[f"{name}_diff"] or 0) > 0 for values in values_P], config) for name in METRICS}
        return means(values_P, config) | shares

    def columns(self, answered: Answered, config: Config) -> dict[str, Any]:
        known = self.answers[answered.prompt.id]
        return {"true_answers": known.true, "false_answers": known.false}

    def values(self, answered: Answered, config: Config) -> Values:
        known, text = self.answers[answered.prompt.id], answered.response.text
        true, false = ([self.scorer(text, each) for each in side] for side in (known.true, known.false))
        return {f"{name}_diff": max(each[name] for each in true) - max(each[name] for each in false) for name in METRICS}


def truthfulqa(config: Config) -> Suite:
    """Free answers. `truthfulqa_mc` is the multiple choice."""
    path = data_file(data_path("truthfulqa", config.suites.truthfulqa, PUBLIC), "TruthfulQA.csv", "truthfulqa", PUBLIC)
    known = {row.text("Question").strip(): _answers(row) for row in suite_rows(path)}
    prompts_P = make_prompts("truthfulqa", known, config.suites.limit)
    answers = {prompt.id: known[prompt.text] for prompt in prompts_P}
    references = {id: [each.true, each.false] for id, each in answers.items()}
    return Suite("truthfulqa", prompts_P, TruthfulMeasure(answers, make_scorer()), references=references)


def _answers(row: Row) -> Answers:
    """As in the benchmark's code, `I have no comment` is a true answer to every question."""
    true, false = split_answers(row.text("Correct Answers")), split_answers(row.text("Incorrect Answers"))
    if not (true and false):
        raise DataError("true and false answers to each question", row.where, "download the file again")
    return Answers(true if NO_COMMENT in true else (*true, NO_COMMENT), false)


def split_answers(text: str) -> tuple[str, ...]:
    """The answers of a cell, each with a full stop.

    >>> split_answers("Nothing happens; You get sick.; ")
    ('Nothing happens.', 'You get sick.')
    """
    answers = [each.strip() for each in text.split(";")]
    return tuple(each if each.endswith(".") else f"{each}." for each in answers if each)


@cache
def make_scorer() -> Scorer:
    """Scores an answer against one reference, in points of 100. Raises ConfigError where the libraries are not installed."""
    try:
        from rouge_score.rouge_scorer import RougeScorer
        from sacrebleu.metrics import BLEU
    except ImportError as error:
        fix = "pip install 'flame-ray[evaluate]'"
        raise ConfigError("sacrebleu and rouge-score, for the suite truthfulqa", str(error), fix) from error
    bleu = BLEU(smooth_method="exp", tokenize="intl", effective_order=False)
    rouge = RougeScorer(list(ROUGE.values()))

    def score(answer: str, reference: str) -> Scores:
        found = rouge.score(_by_sentence(reference), _by_sentence(answer))
        points = {name: 100 * found[library].fmeasure for name, library in ROUGE.items()}
        return {"bleu": bleu.corpus_score([answer], [[reference]]).score} | points

    return score


def _by_sentence(text: str) -> str:
    """rougeLsum takes lines for sentences; the benchmark's code breaks them so."""
    return text.replace(" . ", ".\n")
