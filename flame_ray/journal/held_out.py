"""Reads the held-out answers of a finished run from its tables: their facts and verdicts, and what they were checked on."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property

from flame_ray.errors import DataError, StorageError
from flame_ray.evaluation.audit.draw import HeldOutFact
from flame_ray.journal.run_folder import SUMMARY, RunFolder, held_out_table
from flame_ray.report.sheet import Item
from flame_ray.types import Passage, VerdictLabel


@dataclass(frozen=True, slots=True)
class RoundTexts:
    """What readers see of a round: texts by response, sentences by response and place, and evidence by prompt."""

    texts: dict[str, str]
    sentences: dict[tuple[str, int], str]
    evidence: dict[str, list[Passage]]


class HeldOutTables:
    """The tables of one run. Raises StorageError for a run that is not there or not finished."""

    def __init__(self, run: RunFolder):
        self._run = run
        summary = run.summary()
        if not summary:
            fix = "give the folder of a run, such as runs/<run id>"
            raise StorageError("a finished run", f"no {run.storage.at(SUMMARY)}", fix)
        if (status := summary.get("status")) != "complete":
            found = f"{run.storage.url}, which is {status}"
            raise StorageError("a finished run", found, "resume it with --resume, and audit it once it is complete")
        self.run_id: str = summary["run_id"]
        # A round that was skipped has no answers of its own: its weights are those of the round before.
        self.rounds: list[int] = [each["round"] for each in summary["rounds"] if "skipped" not in each]
        self._cache: dict[int, RoundTexts] = {}

    def facts(self, round: int) -> list[HeldOutFact]:
        """The facts of a round that count in its score, or that are not found. Raises DataError if there is none."""
        responses = self._run.read_held_out(round, "responses", "response_id", "prompt_id")
        prompts = {row["response_id"]: row["prompt_id"] for row in responses}
        places: Counter[str] = Counter()
        found = []
        for row in self._run.read_held_out(round, "facts", "response_id", "fact", "sentence", "verdict"):
            id, verdict = row["response_id"], VerdictLabel(row["verdict"])
            place, places[id] = places[id], places[id] + 1
            if verdict not in (VerdictLabel.ERROR, VerdictLabel.SAYS_NOTHING):
                found.append(HeldOutFact(round, prompts[id], id, place, row["fact"], row["sentence"], verdict))
        if not found:
            fix = "audit rounds that have some (--rounds), or hold out prompts that need facts (prompts.sources)"
            table = self._run.storage.at(held_out_table(round, "facts"))
            raise DataError("held-out facts with verdicts", f"none in {table}", fix)
        return found

    def left_out(self, round: int) -> tuple[int, int]:
        """How many facts of a round the checker left out because they say nothing, and of how many that it judged."""
        counts = Counter(VerdictLabel(row["verdict"]) for row in self._run.read_held_out(round, "facts", "verdict"))
        return counts[VerdictLabel.SAYS_NOTHING], counts.total() - counts[VerdictLabel.ERROR]

    def answered(self, round: int) -> int:
        """The held-out answers that the factuality reward has scored, also those that state no fact."""
        return sum(row["supported"] is not None for row in self._run.read_held_out(round, "responses", "supported"))

    def item(self, id: str, fact: HeldOutFact) -> Item:
        """A fact as readers see it, under the id of its row."""
        found = self._texts_of(fact.round)
        sentence = found.sentences.get((fact.response_id, fact.sentence), "")
        passages = tuple(found.evidence.get(fact.prompt_id, ()))
        return Item(id, self._prompts[fact.prompt_id], found.texts[fact.response_id], sentence, fact.text, passages)

    @cached_property
    def _prompts(self) -> dict[str, str]:
        return {row["prompt_id"]: row["text"] for row in self._run.read_held_out(0, "prompts", "prompt_id", "text")}

    def _texts_of(self, round: int) -> RoundTexts:
        if round not in self._cache:
            responses = self._run.read_held_out(round, "responses", "response_id", "text")
            texts = {row["response_id"]: row["text"] for row in responses}
            rows = self._run.read_held_out(round, "sentences", "response_id", "sentence", "text")
            sentences = {(row["response_id"], row["sentence"]): row["text"] for row in rows}
            evidence = defaultdict(list)
            for row in self._run.read_held_out(round, "evidence", "prompt_id", "passage_id", "title", "text"):
                evidence[row["prompt_id"]].append(Passage(row["passage_id"], row["title"], row["text"]))
            self._cache[round] = RoundTexts(texts, sentences, evidence)
        return self._cache[round]
