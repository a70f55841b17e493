"""Reads what the page of `flame-ray report` shows of a run, finished or not, from its folder."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from flame_ray.config.describe import typed
from flame_ray.config.load import lasting, leaves
from flame_ray.config.rewards import JUDGES
from flame_ray.errors import StorageError
from flame_ray.journal.run_folder import CONFIG, ENVIRONMENT, LATER_CODE, SUMMARY, TIMELINE, RunFolder
from flame_ray.journal.step_log import read_steps
from flame_ray.report.page.records import Answer, CheckedFact, Metrics, Question, RoundRecord, RunRecord, Side, StageTime
from flame_ray.report.summary import EVALUATION_METRICS, interval_of
from flame_ray.storage.filesystem import Storage
from flame_ray.types import Passage, Split, VerdictLabel

COUNTS = ("steps", "pairs", "tokens", "reference", "seconds")  # of a training, beside its loss and the metrics of that
STAGE = tuple(each.name for each in fields(StageTime))  # another version may have written more
SHOWN = (  # settings without which a run cannot be shown
    *("run.rounds", "run.seed", "model.policy", "learner.loss", "learner.lora", "judge.backend", "judge.model"),
    *("factuality.checker", "factuality.checker_model", "factuality.corpus", "prompts.per_round", "rollout.samples"),
)
NO_CURVE = ("round", "step", "tokens", "seconds")  # of a step
MEASURED_BY = ("judge.", "factuality.", "verifier.", "evaluation.recall_")  # settings that decide what a figure means


class RunReader:
    """The folder of one run. Raises StorageError for another kind of folder, naming the command that wrote it."""

    def __init__(self, run: RunFolder):
        self._run = run
        _check_kind(run)
        self._config = run.settings()
        check_version(run, self._config, SHOWN)
        _check_judge(run, self._config)

    @property
    def url(self) -> str:
        return self._run.storage.url

    @property
    def id(self) -> str:
        return self._run.summary().get("run_id") or self.url.rpartition("/")[2]

    def version(self) -> str:
        """Another one whenever the run has gone on."""
        return digest_of(self._run.storage, (SUMMARY, TIMELINE))

    def record(self) -> RunRecord:
        summary, config = self._run.summary(), self._config
        rounds = tuple(_rounds(summary.get("rounds", [])))
        return RunRecord(
            id=self.id,
            status=summary.get("status", "running"),
            planned=config["run"]["rounds"],
            seconds=summary.get("wall_seconds"),
            rounds=rounds,
            stages=stages_of(self._run),
            about=self._about(),
            judge=JUDGES[config["judge"]["backend"]].unit,
            measure=self._measure(),
            best=summary.get("best_round"),
            error=summary.get("error"),
            audit=summary.get("audit"),
            steps=by_name(read_steps(self._run.storage), NO_CURVE),
        )

    def questions(self) -> tuple[Question, ...]:
        """The held-out prompts; none before the run has classified them."""
        rows = self._run.read_held_out(0, "prompts", "prompt_id", "text", "split", "fact_based")
        held_out = (row for row in rows if row["split"] == Split.HELDOUT)
        return tuple(Question(row["prompt_id"], row["text"], row["fact_based"]) for row in held_out)

    def sides(self, record: RunRecord, questions: Collection[Question]) -> tuple[Side, ...]:
        """The answers to these questions, of each round that has some."""
        asked = {each.id: each for each in self.questions() if each in questions}
        sides = (Side(record.id, each.round, self._answers(each.round, asked)) for each in record.trained)
        return tuple(side for side in sides if side.answers)

    def _about(self) -> dict[str, str]:
        """What the run was made with, in the order in which it is shown."""
        config = self._config
        model, judge, facts, learner = (config[name] for name in ("model", "judge", "factuality", "learner"))
        found = {
            "model": self._run.models().get("model.policy", model["policy"]),
            "loss": f"{learner['loss']}, {'LoRA' if learner['lora'] else 'all parameters'}",
            "judge": " ".join(filter(None, (judge["backend"], judge["model"]))),
            "checker": " ".join(filter(None, (facts["checker"], facts["checker_model"]))),
            "corpus": facts["corpus"],
            "prompts a round": str(config["prompts"]["per_round"]),
            "samples a prompt": str(config["rollout"]["samples"]),
            "seed": str(config["run"]["seed"]),
            **made_on(self._run),
        }
        return {name: value for name, value in found.items() if value}

    def _measure(self) -> str:
        """What measured the run: the settings that decide what a figure means, and the held-out prompts."""
        settings = {path: value for path, value in lasting(self._config).items() if path.startswith(MEASURED_BY)}
        judge = self._config["judge"]
        asks_policy = JUDGES[judge["backend"]].asks_model and judge["model"] is None
        policy = self._config["model"]["policy"] if asks_policy else None
        prompts = sorted((each.id, each.text) for each in self.questions())
        return hashlib.sha256(json.dumps([settings, policy, prompts]).encode()).hexdigest()

    def _answers(self, round: int, asked: Mapping[str, Question]) -> dict[Question, Answer]:
        facts, sentences, evidence = self._facts(round), self._sentences(round), self._evidence(round, asked)
        columns = ("response_id", "prompt_id", "text", "finish_reason", "precision", "fact_missing", "supported")
        scores, found = self._scores(round), {}
        for row in self._run.read_held_out(round, "responses", *columns):
            if (question := asked.get(row["prompt_id"])) is None:
                continue
            id = row["response_id"]
            helpfulness, missing = scores.get(id, (None, None))
            found[question] = Answer(
                text=row["text"],
                truncated=row["finish_reason"] != "stop",
                helpfulness=helpfulness,
                precision=row["precision"],
                missing=row["fact_missing"] or missing,
                facts=None if row["supported"] is None else tuple(facts.get(id, ())),
                sentences=tuple(sentences.get(id, ())),
                evidence=tuple(evidence.get(question.id, ())),
            )
        return found

    def _scores(self, round: int) -> dict[str, tuple[float | None, str | None]]:
        """The judge's scores and what of them is missing, by response. A run whose judge compares has none."""
        if JUDGES[self._config["judge"]["backend"]].compares:
            return {}
        rows = self._run.read_held_out(round, "responses", "response_id", "instruction_score", "instruction_missing")
        return {row["response_id"]: (row["instruction_score"], row["instruction_missing"]) for row in rows}

    def _facts(self, round: int) -> Mapping[str, list[CheckedFact]]:
        found = defaultdict(list)
        columns = ("response_id", "fact", "sentence", "verdict", "score", "passage_id", "relevant")
        for row in self._run.read_held_out(round, "facts", *columns):
            verdict = VerdictLabel(row["verdict"])
            fact = CheckedFact(row["fact"], row["sentence"], verdict, row["score"], row["passage_id"], row["relevant"])
            found[row["response_id"]].append(fact)
        return found

    def _sentences(self, round: int) -> Mapping[str, list[str]]:
        found = defaultdict(list)
        for row in self._run.read_held_out(round, "sentences", "response_id", "text"):  # in the order of their places
            found[row["response_id"]].append(row["text"])
        return found

    def _evidence(self, round: int, prompts: Collection[str]) -> Mapping[str, list[Passage]]:
        found = defaultdict(list)
        for row in self._run.read_held_out(round, "evidence", "prompt_id", "passage_id", "title", "text"):
            if row["prompt_id"] in prompts:
                found[row["prompt_id"]].append(Passage(row["passage_id"], row["title"], row["text"]))
        return found


def digest_of(storage: Storage, names: Iterable[str]) -> str:
    """Another one whenever one of these files is."""
    parts = [storage.read(name) for name in names if storage.exists(name)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def stages_of(run: RunFolder) -> tuple[StageTime, ...]:
    return tuple(StageTime(*(each[name] for name in STAGE)) for each in run.read_json(TIMELINE, []))


def made_on(run: RunFolder) -> dict[str, str]:
    """The code and the machine, in words; an empty text for what is not known."""
    made = run.read_json(ENVIRONMENT, {})
    machine = made.get("machine", {})
    return {
        "flame-ray": "; ".join(filter(None, [_code(made), *map(_code, made.get(LATER_CODE, ()))])),
        "machine": ", ".join(filter(None, (machine.get("processor"), _counted(machine.get("cores"), "cores")))),
    }


def by_name(lines: Sequence[Mapping[str, Any]], left_out: Collection[str]) -> dict[str, tuple[float | None, ...]]:
    """The figures of all steps but those `left_out`, in the order of the steps."""
    names = dict.fromkeys(name for line in lines for name in line if name not in left_out)
    return {name: tuple(line.get(name) for line in lines) for name in names}


def _check_kind(run: RunFolder) -> None:
    if run.storage.exists(CONFIG):
        return
    found = f"{run.storage.url}, which `flame-ray evaluate` wrote" if _is_evaluation(run) else f"no {run.storage.at(CONFIG)}"
    fix = "give the folder of a run, such as runs/<run id>"
    raise StorageError("the folder of a run of `flame-ray run` or `flame-ray sft`", found, fix)


def check_version(run: RunFolder, config: Mapping[str, Any], shown: Sequence[str]) -> None:
    """Raises StorageError for settings of another version: one that is shown here is missing."""
    known = leaves(dict(config))
    sections = {path.rpartition(".")[0] for path in known}
    if missing := next((path for path in shown if path not in known and path not in sections), None):
        raise _other_version(run, f"no {missing}")


def _check_judge(run: RunFolder, config: Mapping[str, Any]) -> None:
    if (judge := config["judge"]["backend"]) not in JUDGES:
        raise _other_version(run, f"judge.backend {typed(judge)}, none of {', '.join(JUDGES)},")


def _other_version(run: RunFolder, found: str) -> StorageError:
    made = run.read_json(ENVIRONMENT, {}).get("flame_ray") or "that its environment.json names"
    fix = f"show it with the version that made it, {made}"
    return StorageError("a run whose settings this version knows", f"{found} in {run.storage.at(CONFIG)}", fix)


def _is_evaluation(run: RunFolder) -> bool:
    """Whether it is the folder of a suite, or of a model with folders of suites. These are on a disk."""
    folder = run.storage.local
    return folder is not None and ((folder / "result.json").is_file() or any(folder.glob("*/result.json")))


def _rounds(entries: Sequence[Mapping[str, Any]]) -> Iterator[RoundRecord]:
    """A round starts from the weights of the one before, unless that one says otherwise."""
    start: int | None = None
    for entry in entries:
        yield _round(entry, start)
        start = entry.get("selection", {}).get("next_round_starts_from", entry.get("weight_version", entry["round"]))


def _round(entry: Mapping[str, Any], start: int | None) -> RoundRecord:
    pairs, samples, training = entry.get("pairs"), entry.get("samples", {}), entry.get("training", {})
    return RoundRecord(
        round=entry["round"],
        heldout=_metrics(entry["evaluation"]),
        change=_metrics(entry.get("change")),
        development=_metrics(entry.get("development")),
        start=start,
        pairs=None if pairs is None else {kind: count for kind, count in pairs.items() if kind != "dropped"},
        dropped=None if pairs is None else pairs["dropped"],
        responses=samples.get("responses", 0),
        truncated=samples.get("truncated", 0),
        training={name: value for name, value in training.items() if name not in COUNTS},
        seconds=entry["timings"],
        is_skipped="skipped" in entry,
    )


def _metrics(found: Mapping[str, Any] | None) -> Metrics:
    """Those that are there: an earlier version wrote fewer."""
    return {name: interval_of(found, name) for name in EVALUATION_METRICS if name in found} if found else {}


def _code(made: Mapping[str, Any]) -> str:
    """The version and the commit, and for that of a resumed process where it began."""
    since = f"from round {made['from_round']} on" if "from_round" in made else ""
    return " ".join(filter(None, (since, made.get("flame_ray"), (made.get("git_commit") or "")[:12])))


def _counted(count: int | None, noun: str) -> str:
    return f"{count} {noun}" if count else ""
