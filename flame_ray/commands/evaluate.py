"""`flame-ray evaluate`: what a model reaches on public benchmarks and on the Factbook.

A suite's folder has `result.json` (figures with n and interval, settings, versions) and `answers.jsonl` (each answer, and what
it was scored by). It is named after what it was made by: the same call finds it, and starts nothing.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console

from flame_ray import __version__
from flame_ray.cluster.connect import check_address
from flame_ray.cluster.interrupt import interruptible
from flame_ray.commands.evaluate_harness import check_installed, run_harness, sample_rows
from flame_ray.commands.evaluate_pools import Pools
from flame_ray.commands.evaluate_stages import EvaluationStages, answers_made_by, judged_by
from flame_ray.commands.evaluated_model import EvaluatedModel, find_model
from flame_ray.commands.judge_pool import judge_model
from flame_ray.commands.out import check_out_folder
from flame_ray.commands.score import facts_made_by
from flame_ray.config import Config, PipelineConfig, WeightsConfig
from flame_ray.config.load import lasting
from flame_ray.elicitation.prompts import PromptMaker, check_sources
from flame_ray.engines.chat import ChatTokenizer
from flame_ray.engines.chat_template import render_chat
from flame_ray.engines.models import (
    KnownModel,
    check_checker_model,
    check_prompts,
    load_tokenizer,
    prompt_limit,
)
from flame_ray.engines.text_config import longest
from flame_ray.errors import ConfigError, ModelError
from flame_ray.evaluation.judgements import CheckedFacts, Judgements
from flame_ray.evaluation.suites import make_suite
from flame_ray.evaluation.suites.base import Answered, Comparison, Suite, SuiteResult
from flame_ray.evaluation.suites.facts import FactMeasure
from flame_ray.evaluation.suites.harness import HarnessSuite, all_docs, questions
from flame_ray.evaluation.suites.lengths import length_values, lengths
from flame_ray.evaluation.suites.pairwise import reasoned_messages
from flame_ray.journal.environment import installed_versions
from flame_ray.prompts.demonstrations import load_demonstrations
from flame_ray.prompts.embedding_classifier import check_classifier, check_sentence_labels
from flame_ray.report.progress import Screen
from flame_ray.report.suites import answer_row, result_content, result_note, result_of_content, suites_table
from flame_ray.rewards.factuality.corpus import check_corpus
from flame_ray.rewards.judge.rubric import rubric_messages
from flame_ray.shown import say, without_secrets
from flame_ray.storage.atomic import json_digest, write_file
from flame_ray.storage.jsonl import write_jsonl

AFTER_INTERRUPT = "give the same command again: what is done is kept"
MALFORMED = "malformed rows of the whole data"
FAILED = "facts on which the checker failed (answers with one have no counts of facts)"
CUT = "contexts without their beginning, as they are longer than suites.max_length, or than the model's positions"
RESULT, ANSWERS = "result.json", "answers.jsonl"


@dataclass(frozen=True, slots=True)
class EvaluateRequest:
    """Which model to evaluate on which suites, and where to write the results.

    `apart`: by suite, the folder that takes its results in place of `out`. `references`: the file of answers that the suite
    alpaca-eval compares with, in place of suites.alpaca.
    """

    model: str
    suites: tuple[str, ...]
    out: Path = Path("evaluations")
    apart: Mapping[str, Path] = field(default_factory=dict)
    references: Path | None = None

    def folder(self, suite: str, model: EvaluatedModel) -> Path:
        """Where the results of a suite are, each call's in a folder of its own."""
        return self.apart.get(suite, self.out) / f"{_plain(without_secrets(model.name))}-{model.fingerprint[:8]}"

    def suite(self, name: str, config: Config) -> Suite | HarnessSuite:
        """Raises DataError or ConfigError if its data is not there."""
        if self.references and name == "alpaca-eval":
            config = config.replaced("suites", alpaca=str(self.references))
        return make_suite(name, config)


def evaluate(config: Config, request: EvaluateRequest, console: Console, tables: Console) -> list[SuiteResult]:
    """The results, which are also written and printed. All that can be known to fail is found before anything starts."""
    for out in request.apart.values() or (request.out,):
        check_out_folder(out)
    check_address(config.cluster)
    if not request.suites:
        raise ConfigError("--suite with the name of a suite", "none", "name one or more, such as --suite factbook")
    screen = Screen(console)
    with closing(screen.begin("check the suites")):
        suites = [request.suite(name, config) for name in dict.fromkeys(request.suites)]
        model, config = find_model(request.model, _serving(config))
        judge = judge_model(config) if any(_asks_judge(suite, config) for suite in suites) else model.base
        _check(suites, model, config)
        if any(isinstance(suite, Suite) and suite.measure.needs == "comparison" for suite in suites):
            _check_room(judge, config)
        maker = _maker(config, model) if any(isinstance(suite, Suite) for suite in suites) else None
    with interruptible(AFTER_INTERRUPT), Pools(config, model, judge, screen) as pools:
        stages = EvaluationStages(config, model, judge, pools, screen, maker)
        context = Context(config, model, judge, stages, request, console, maker)
        results = [_evaluated(suite, context) for suite in suites]
    tables.print(suites_table(model.name, results))
    for folder in dict.fromkeys(request.folder(suite.name, model) for suite in suites):
        say(console, f"written to {folder}")
    return results


@dataclass(frozen=True, slots=True)
class Context:
    """What the suites of one call have in common. `maker`: of few-shot prompts, if the suites ask by them."""

    config: Config
    model: EvaluatedModel
    judge: KnownModel
    stages: EvaluationStages
    request: EvaluateRequest
    console: Console
    maker: PromptMaker | None = None


def _evaluated(suite: Suite | HarnessSuite, context: Context) -> SuiteResult:
    """The result of a suite: the one that is there, or a new one."""
    if isinstance(suite, Suite) and suite.only_fact_based:
        suite = replace(suite, prompts_P=context.stages.fact_based(suite.prompts_P))
    made_by = suite_made_by(suite, context) if isinstance(suite, Suite) else _harness_made_by(suite, context)
    folder = context.request.folder(suite.name, context.model) / f"{suite.name}-{json_digest(lasting(made_by))}"
    if (folder / RESULT).is_file():
        return result_of_content(json.loads((folder / RESULT).read_bytes()))
    result, rows = _measured(suite, context) if isinstance(suite, Suite) else _run(suite, context)
    write_jsonl(folder / ANSWERS, rows, "--out")
    if note := result_note(result):
        say(context.console, note)
    if isinstance(suite, Suite):
        _check_read(suite, result, context.config, folder)
    about = {"model": context.model.name, "settings": made_by, "packages": installed_versions()}
    content = json.dumps(result_content(result, about), indent=1, ensure_ascii=False, allow_nan=False)
    write_file(folder / RESULT, f"{content}\n".encode(), "--out")
    return result


def _measured(suite: Suite, context: Context) -> tuple[SuiteResult, list[dict[str, Any]]]:
    """The result, and the rows of the table of answers."""
    answered_P, measure, config = _answered(suite, context.stages), suite.measure, context.config
    _judgements(answered_P).warn(suite.name)
    _checked(answered_P).warn(suite.name)
    rows = [
        answer_row(each, measure.columns(each, config), {**measure.values(each, config), **length_values(each)})
        for each in answered_P
    ]
    return measured(suite, answered_P, config), rows


def _run(suite: HarnessSuite, context: Context) -> tuple[SuiteResult, list[dict[str, Any]]]:
    """The same for a suite that lm-eval runs."""
    tokenizer = load_tokenizer(context.model.base.folder, context.config.model)
    most = longest(context.model.base.folder, context.config.model).tokens
    samples, cut = run_harness(suite, context.stages, tokenizer, most)
    missing = {MALFORMED: suite.malformed} if suite.malformed else {}
    noted = {CUT: cut} if cut else {}
    result = SuiteResult(suite.name, questions(suite), suite.figures(samples, context.config), missing, noted)
    return result, list(sample_rows(suite, samples))


def _answered(suite: Suite, stages: EvaluationStages) -> list[Answered]:
    responses_P = stages.answers(suite.prompts_P)
    if suite.measure.needs == "facts":
        facts_P = stages.facts(suite.prompts_P, responses_P, suite.corpus or "")
        return [Answered(*each) for each in zip(suite.prompts_P, responses_P, facts_P, strict=True)]
    if suite.measure.needs == "comparison":
        found_P = stages.comparisons(suite.prompts_P, responses_P, suite.references or {})
        pairs = zip(suite.prompts_P, responses_P, found_P, strict=True)
        return [Answered(prompt, response, comparison=found) for prompt, response, found in pairs]
    return [Answered(*each) for each in zip(suite.prompts_P, responses_P, strict=True)]


def measured(suite: Suite, answered_P: Sequence[Answered], config: Config) -> SuiteResult:
    """The figures of the suite's measure, and those of length; answers that could not be scored are counted."""
    missing = Counter(reason for each in answered_P if (reason := each.missing))
    figures = {**suite.measure.figures(answered_P, config), **lengths(answered_P, config)}
    found, failed = _judgements(answered_P), _checked(answered_P).failed
    noted = {f"judgements of {found.read + found.unread} without a score that can be read": found.unread, FAILED: failed}
    noted = {what: count for what, count in noted.items() if count}
    return SuiteResult(suite.name, len(answered_P), figures, dict(missing), noted)


def _judgements(answered_P: Sequence[Answered]) -> Judgements:
    """Those of a judge that scores, whether or not their answers could be compared."""
    compared = [each.comparison for each in answered_P if each.comparison is not None]
    read = sum(each.read for each in compared if isinstance(each, Comparison))
    return Judgements(read, sum(each.unread for each in compared))


def _checked(answered_P: Sequence[Answered]) -> CheckedFacts:
    found = CheckedFacts()
    found.add(each.facts for each in answered_P)
    return found


def suite_made_by(suite: Suite, context: Context) -> dict[str, Any]:
    """All that the figures of a suite depend on."""
    config = context.config
    made_by: dict[str, Any] = {
        "version": __version__,
        "suite": {
            "name": suite.name,
            "prompts": json_digest([(prompt.id, prompt.text) for prompt in suite.prompts_P]),
            "references": json_digest(suite.references),
        },
        "answers": answers_made_by(config, context.model, context.maker),
        "statistics": _statistics(config),
    }
    if suite.measure.needs == "facts":
        counting: dict[str, Any] = {"gamma": config.score.gamma, "recall_at": config.score.recall_at}
        counting |= {"as_safe": True} if suite.measure == FactMeasure(as_safe=True) else {}
        made_by |= {**facts_made_by(config.replaced("factuality", corpus=suite.corpus or "")), "counting": counting}
    if suite.measure.needs == "comparison":
        how = {
            "how": config.suites.compare,
            "question": json_digest(reasoned_messages("", "", "")),
            "max_unread": config.suites.max_unread,
        }
        made_by |= {"comparison": how | judged_by(config, context.judge), "judge": config.judge.model_dump(mode="json")}
    return made_by


def _harness_made_by(suite: HarnessSuite, context: Context) -> dict[str, Any]:
    config = context.config
    return {
        "version": __version__,
        "suite": {"name": suite.name, "questions": json_digest(all_docs(suite))},
        "answers": answers_made_by(config, context.model),
        "statistics": _statistics(config),
        "lm_eval": version("lm-eval"),
    }


def _statistics(config: Config) -> dict[str, Any]:
    """`format` rises when a result says more, or computes its intervals otherwise: they are then made anew of what is kept."""
    return {"seed": config.run.seed, "bootstrap": config.evaluation.bootstrap, "format": 3}


def _check_read(suite: Suite, result: SuiteResult, config: Config, folder: Path) -> None:
    """Raise ModelError if too many comparisons have no result: a judge that cannot judge is no judge that says `tie`."""
    unread, most = sum((result.missing or {}).values()), config.suites.max_unread
    if suite.measure.needs == "comparison" and unread > most * result.prompts:
        raise ModelError(
            f"a judge whose verdicts can be read, in all but {most:.0%} of the comparisons",
            f"{unread} of {result.prompts} without a result (see {folder / ANSWERS})",
            "set judge.model to a larger instruction-tuned model, raise judge.max_tokens or suites.max_length, or set "
            "suites.compare to score",
        )


def _serving(config: Config) -> Config:
    """The settings for samplers that stand alone, with the suites' own length in place of the training's."""
    alone = config.model_copy(update={"weights": WeightsConfig(), "pipeline": PipelineConfig()})
    return alone.replaced("model", max_length=config.suites.max_length)


def _asks_judge(suite: Suite | HarnessSuite, config: Config) -> bool:
    classifies = isinstance(suite, Suite) and suite.only_fact_based and config.classify.by != "embedding"
    return classifies or (isinstance(suite, Suite) and suite.measure.needs == "comparison")


def _maker(config: Config, model: EvaluatedModel) -> PromptMaker | None:
    """What makes few-shot prompts, if `suites.ask` wants them. Raises DataError or ModelError before anything is placed."""
    if config.suites.ask == "chat":
        return None
    check_sources(config)
    seeds_D = [each for each in load_demonstrations(config.sft.sources).demonstrations if each.is_seed]
    limits = "suites.max_length", "suites.max_tokens"
    limit = prompt_limit(model.base.folder, config.model, config.suites.max_tokens, limits) - 1
    return PromptMaker(seeds_D, config, ChatTokenizer(model.base.folder, config.model).length, limit)


def _check(suites: Sequence[Suite | HarnessSuite], model: EvaluatedModel, config: Config) -> None:
    """Check the prompts' lengths, the classifier, the corpora and the checkers before anything is placed."""
    for suite in suites:
        if isinstance(suite, HarnessSuite):
            check_installed()
            continue
        limits = "suites.max_length", "suites.max_tokens"
        check_prompts(model.base.folder, suite.prompts_P, config.model, config.suites.max_tokens, settings=limits)
        if suite.only_fact_based:
            check_classifier(config.classify)
        if suite.corpus is not None:
            check_corpus(suite.corpus, config.factuality.title_column, config.factuality.text_column)
            check_checker_model(config.factuality)
            check_sentence_labels(config.factuality)


def _check_room(judge: KnownModel, config: Config) -> None:
    """Raise ConfigError where answers of suites.max_tokens do not fit the judge: and only short ones would count."""
    if config.suites.compare == "ask":
        chat, answers = reasoned_messages("", "", ""), 2
    elif config.judge.backend == "rubric":
        chat, answers = rubric_messages("", ""), 1
    else:
        return
    question = len(render_chat(load_tokenizer(judge.folder, config.model), chat, config.judge_variables))
    needed = question + answers * config.suites.max_tokens + config.judge.max_tokens
    if (most := longest(judge.folder, config.model, "suites.max_length")).tokens < needed:
        words = "two answers" if answers == 2 else "an answer"
        raise ConfigError(
            f"room for {words} of suites.max_tokens {config.suites.max_tokens} in what the judge reads: at least {needed} "
            f"tokens with its question ({question}) and judge.max_tokens {config.judge.max_tokens}",
            f"{most.tokens} ({most})",
            f"{most.fix}, lower suites.max_tokens, or name another judge.model",
        )


def _plain(name: str) -> str:
    """A model's name as a part of a path.

    >>> _plain("runs/mine/"), _plain("HuggingFaceTB/SmolLM2@main")
    ('mine', 'SmolLM2_main')
    """
    return re.sub(r"[^A-Za-z0-9._-]", "_", name.rstrip("/").rpartition("/")[2]) or "model"
