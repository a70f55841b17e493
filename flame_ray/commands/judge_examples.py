"""`flame-ray judge-examples`: makes examples of judging by the rubric, a table of prompts and answers to train on.

They come from people's grades, or from people's ranks: then a model grades the answers, and its judgements are kept where they
follow the ranks (EFT: Yuan et al. 2024, arXiv 2401.10020, section 3.1).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from rich.console import Console

from flame_ray.cluster.connect import check_address
from flame_ray.commands.evaluate_stages import KeptResults, Written, judged_by
from flame_ray.commands.judge_pool import Chat, answers_of, judge_model, judges
from flame_ray.commands.out import check_out_file
from flame_ray.config import Config
from flame_ray.engines.base import Sample
from flame_ray.errors import DataError
from flame_ray.evaluation.labels import LabelledJudgement, read_judgements
from flame_ray.prompts.load import id_of_text
from flame_ray.prompts.rows import read_rows
from flame_ray.prompts.split import stable_fraction
from flame_ray.prompts.trees import RankedAnswers, ranked_answers
from flame_ray.report.progress import Screen
from flame_ray.rewards.judge.rubric import follows_ranks, judging_example, parse_score, rubric_messages
from flame_ray.shown import say
from flame_ray.storage.jsonl import write_jsonl

AFTER_INTERRUPT = "give the same command again: judgements that are done are kept"
Ask = Callable[[Config, Sequence[Chat], Screen], dict[str, Sample | None]]  # chats of one message -> answers by its text


def judge_examples(labels: Path, out: Path, console: Console) -> None:
    """Writes one row for each of people's grades. Raises DataError, naming the line, before anything is written."""
    check_out_file(out, {"--labels": labels})
    _write(read_judgements(labels), out, console)


def ranked_examples(config: Config, ranked: str, language: str, out: Path, console: Console, ask: Ask | None = None) -> None:
    """Asks `judge.model` to grade the ranked answers of message trees, and writes one row for each grade that is kept.

    Raises DataError if there is none. `ask`: who is asked instead.
    """
    check_address(config.cluster)
    check_out_file(out, {"--ranked": Path(ranked)})
    left_out = Counter[str]()
    trees = list(ranked_answers(read_rows(ranked, "--ranked"), language, left_out))
    written = (ask or ask_judge)(
        config, [_question(tree, answer) for tree in trees for answer in tree.answers], Screen(console)
    )
    found = without_excess(list(agreeing(trees, written, left_out)), left_out)
    reasons = ", ".join(f"{count} {reason}" for reason, count in (+left_out).items())
    if not found:
        fix = "name a stronger judge.model, or trees with more ranked answers"
        raise DataError("judgements that follow people's ranks", f"none; left out: {reasons or 'nothing'}", fix)
    _write(found, out, console, f"; left out: {reasons}" if reasons else "")


def agreeing(
    trees: Iterable[RankedAnswers], written: dict[str, Sample | None], left_out: Counter[str]
) -> Iterator[LabelledJudgement]:
    """The judgements of each tree whose scores follow people's ranks. `written`: the judge's words, by its question.

    An answer whose judgement has no score, or no reasons, is left out before.
    """
    for tree in trees:
        read = [_read(tree.prompt, answer, written[_question(tree, answer)[0]["content"]]) for answer in tree.answers]
        found = [each for each in read if each]
        left_out["judgements that cannot be read"] += len(read) - len(found)
        if len(found) > 1 and follows_ranks([each.score for each in found]):
            yield from found
        else:
            left_out["judgements that do not follow the ranks"] += len(found)


def without_excess(judgements: Sequence[LabelledJudgement], left_out: Counter[str]) -> list[LabelledJudgement]:
    """The judgements, with no more of the commonest score than of the next one, so that a model does not learn to give it
    always. Which of them stay follows from their texts.
    """
    counts = Counter(each.score for each in judgements).most_common(2)
    if len(counts) < 2:
        return list(judgements)
    (score, most), (_, next_most) = counts
    common = [each for each in judgements if each.score == score]
    common.sort(key=lambda each: stable_fraction(f"{each.instruction}\n{each.response}"))
    dropped = set(common[next_most:])
    left_out["judgements of the commonest score"] += most - next_most
    return [each for each in judgements if each not in dropped]


def _question(tree: RankedAnswers, answer: str) -> list[dict[str, str]]:
    return rubric_messages(tree.prompt, answer)


def _read(prompt: str, answer: str, sample: Sample | None) -> LabelledJudgement | None:
    score = parse_score(sample.text) if sample and sample.finish_reason == "stop" else None
    if sample is None or score is None:
        return None
    reasons = sample.text.strip().rpartition("\n")[0].strip()
    return LabelledJudgement(prompt, answer, reasons, score) if reasons else None


def ask_judge(config: Config, chats: Sequence[Chat], screen: Screen) -> dict[str, Sample | None]:
    """What the judge's model writes, by the text of each question. What was written before is not asked again."""
    if not chats:
        return {}
    model = judge_model(config)
    kept = KeptResults("grades", Written, judged_by(config, model) | {"max_tokens": config.judge.max_tokens})
    found = {text: each.sample for text, each in kept.find([chat[0]["content"] for chat in chats]).items()}
    left = {chat[0]["content"]: chat for chat in chats if chat[0]["content"] not in found}
    if left:
        with judges(config, model, AFTER_INTERRUPT, screen) as pool, closing(screen.begin("grade answers")) as bar:
            for chat, sample in bar.counted(answers_of(pool, left.values(), config), len(left)):
                found[chat[0]["content"]] = sample
                kept.keep(chat[0]["content"], Written(sample))
    return found


def _write(judgements: Iterable[LabelledJudgement], out: Path, console: Console, more: str = "") -> None:
    """One row a judgement: `id` (of its question, in every file the same), `prompt` (the rubric's question) and `answer` (the
    reasons, then the score).
    """
    rows, scores = [], Counter[str]()
    for each in judgements:
        prompt, answer = judging_example(each.instruction, each.response, each.rationale, each.score)
        rows.append({"id": id_of_text(prompt, "judging"), "prompt": prompt, "answer": answer})
        scores[f"{each.score:g}"] += 1
    write_jsonl(out, rows, "--out")
    shares = ", ".join(f"{count} of score {score}" for score, count in sorted(scores.items(), key=lambda item: float(item[0])))
    say(console, f"{len(rows)} examples of judging ({shares}{more}): {out}")
