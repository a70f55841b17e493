"""Makes the folder of a run as the project writes it, with answers, pairs, an audit, and texts that try to act on the page."""

import io
import json
import random
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from flame_ray.commands.run import _record
from flame_ray.config import Config
from flame_ray.config.load import parse_config
from flame_ray.evaluation.metrics import evaluate_responses, paired_change
from flame_ray.evaluation.selection import select
from flame_ray.journal.journal import Journal
from flame_ray.journal.run_folder import RunFolder
from flame_ray.report.progress import Screen
from flame_ray.storage.filesystem import Storage
from flame_ray.types import (
    FACTUALITY,
    HeldOut,
    PairSet,
    Prompt,
    ScoredResponse,
    Sentence,
    Split,
    TrainingReport,
    Verdict,
    VerdictLabel,
)
from tests.builders import make_fact, make_fact_score, make_missing, make_passage, make_prompt, make_response, make_scored
from tests.doubles import FakeClock, FakeMetrics, FakeStages

HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"><!-- @@DATA@@ \u202eelihC"
)
COUNTRIES = ("Peru", "Chile", "Mali", "Fiji", "Samoa", "Czechia", "Nepal", "Oman", "Ghana", "Malta", "Laos", "Cuba")
TEMPLATES = (
    ("Which countries border {0}?", "{0} borders {1}.", "{0} borders {2}."),
    ("What is the capital of {0}?", "The capital of {0} is {1} City.", "The capital is on the coast of {2}."),
    ("Tell me about the people of {0}.", "Most people of {0} speak the language of {1}.", "Half of them live in {2}."),
)
LABELS = (VerdictLabel.SUPPORTED, VerdictLabel.CONTRADICTED, VerdictLabel.NOT_FOUND, VerdictLabel.SAYS_NOTHING)


class ShownStages(FakeStages):
    """Held-out answers that become truer and shorter from round to round; round 3 gives no pairs."""

    def __init__(self, config: Config, clock: FakeClock, better: float, hostile: bool):
        super().__init__(barren=(3,))
        self.config, self.clock, self.better, self.hostile = config, clock, better, hostile

    def classify(self, prompts_P, round):
        self.clock.sleep(1.5)
        return tuple(replace(prompt, fact_based="poem" not in prompt.text) for prompt in prompts_P)

    def sample(self, prompts_P, round):
        self.clock.sleep(46)
        return super().sample(prompts_P, round)

    def pair(self, groups_P, round):
        made = super().pair(groups_P, round)
        self.clock.sleep(3)
        pairs = [replace(each, kind=FACTUALITY) for each in made.pairs_D[: 2 + 2 * round]]
        dropped = {"factuality: tie": 31 - round, "instruction: truncated": 4 + round, "factuality: fewer than two": 1}
        return PairSet((*made.pairs_D, *pairs), dropped, 2 * len(made.pairs_D) + 90, 15 - 2 * round)

    def train(self, pairs: PairSet, round: int) -> TrainingReport:
        super().train(pairs, round)
        self.clock.sleep(110)
        return TrainingReport(
            21, len(pairs.pairs_D), 4000, 0.7 - 0.05 * round, {"accuracy": 0.55 + 0.06 * round, "margin": 0.2 * round}
        )

    def evaluate(self, prompts_P, round):
        self.clock.sleep(57)
        scored = tuple(self._answered(prompt, round) for prompt in prompts_P)
        return HeldOut(scored, evaluate_responses(prompts_P, scored, self.config.evaluation, 0))

    develop = evaluate

    def compare(self, before, after):
        return paired_change(before.scored_P, after.scored_P, self.config.evaluation, 0)

    def select(self, developed, selection):
        return select(developed, selection, self.config.run, self.config.evaluation)

    def deliver(self, selection):
        self.clock.sleep(0.5)

    def _answered(self, prompt: Prompt, round: int) -> ScoredResponse:
        chance = random.Random(f"{prompt.id} {round} {self.better}")
        tokens = [0] * max(3, int(chance.gauss(48 - 9 * round, 6)))
        place = int(prompt.id.rpartition("/")[2])
        judge = chance.gauss(0.7 + 0.1 * round, 0.8)
        if "poem" in prompt.text:
            text = "Waves rise\n  and fall,\n\tand rise."
            return make_scored(make_response(text, round=round, prompt=prompt.id, tokens=tokens), judge=judge)
        country = COUNTRIES[place % len(COUNTRIES)]
        others = chance.sample(COUNTRIES, 2)
        _, first, second = TEMPLATES[place % len(TEMPLATES)]
        sentences = ["Sure!", first.format(country, *others), second.format(country, *others)]
        evil = f" {HOSTILE}" if self.hostile and place % 5 == 1 else ""
        sentences[1] += evil
        text = f"{sentences[0]} {sentences[1]}\n{sentences[2]}"
        ending = "length" if chance.random() < 0.15 else "stop"
        response = make_response(text, round=round, prompt=prompt.id, tokens=tokens, finish_reason=ending)
        if place % 17 == 3:
            return make_scored(response, judge=judge, facts=make_missing(f"checker failed {HOSTILE}", id=response.id))
        if chance.random() < 0.02 + 0.03 * round:
            return make_scored(response, judge=judge, facts=())
        passages = [
            make_passage(f"{name} has {number} thousand people.{evil} Borders: {others[0]}.", id=f"{name}/{number}", title=name)
            for name in (country, *others)
            for number in range(3)
        ]
        truth = 0.25 + 0.11 * round * self.better
        weights = (truth, 0.6 * (1 - truth), 0.3 * (1 - truth), 0.1 * (1 - truth))
        verdicts = [
            Verdict(
                make_fact(sentence.rstrip("."), sentence=at),
                label := chance.choices(LABELS, weights)[0],
                round_score(chance, label),
                chance.choice(passages).id if label is not VerdictLabel.NOT_FOUND else None,
                chance.random() > 0.2,
            )
            for at, sentence in enumerate(sentences)
            if at
        ]
        checked = make_fact_score(
            *verdicts,
            id=response.id,
            passages=passages,
            sentences=[Sentence(each, at > 0) for at, each in enumerate(sentences)],
        )
        return make_scored(response, judge=judge, facts=checked)


def round_score(chance: random.Random, label: VerdictLabel) -> float:
    return round(chance.uniform(0.6, 1.0) if label is VerdictLabel.SUPPORTED else chance.uniform(0.0, 0.4), 3)


def make_shown_run(
    root: Path, name: str = "mine", *, rounds: int = 4, heldout: int = 60, better: float = 1.0, hostile: bool = True, **sections
) -> RunFolder:
    """A complete run. A round gives no pairs and is skipped; development prompts choose the best one."""
    settings = {"run": {"rounds": rounds, "select": "best", "id": name}, "evaluation": {"bootstrap": 200}} | sections
    config = parse_config(settings, "here")
    run, clock = RunFolder(Storage(root / name)), FakeClock()
    run.create(config, {"flame_ray": "0.1.0", "machine": {"processor": "Two Cores", "cores": 2}})
    journal = Journal(run, name, Screen(Console(file=io.StringIO()), clock.now), FakeMetrics())
    stages = ShownStages(config, clock, better, hostile)
    _record(journal, config, journal.wrap(stages.stages()), tuple(_prompts(heldout, hostile)))
    return run


def _prompts(heldout: int, hostile: bool) -> list[Prompt]:
    prompts = [make_prompt(f"train/{place}", f"What is {name}?") for place, name in enumerate(COUNTRIES)]
    for place in range(heldout):
        question = TEMPLATES[place % len(TEMPLATES)][0].format(COUNTRIES[place % len(COUNTRIES)])
        question = "Write a poem about waves." if place % 10 == 9 else question
        question += f" {HOSTILE}" if hostile and place % 7 == 2 else ""
        split = Split.DEV if place % 6 == 5 else Split.HELDOUT
        prompts.append(make_prompt(f"asked/{place}", question, split=split))
    return prompts


def make_audit() -> dict:
    """As `flame-ray audit --labels` finds it in the run `mine`."""

    def finding(value: float | None, n: int = 88) -> dict:
        interval = [None, None] if value is None else [value - 0.05, value + 0.06]
        return {"value": value, "ci95": interval, "n": n}

    names = ("own", "supported", "precision", "debiased", "sensitivity", "specificity", "left_out", "says_nothing")
    rounds = [
        {"round": number, "facts": 88, "prompts": 41}
        | {name: finding(0.3 + 0.1 * number + 0.02 * place) for place, name in enumerate(names)}
        | {"change": finding(0.12) if number else None}
        for number in (0, 2)
    ]
    agreement = [{"readers": ["anna", "ben <b>"], "column": "supported", "n": 80, "share": 0.98, "kappa": 0.95}]
    readers = [{"name": name, "file": f"{name}.jsonl", "sha256": "0", "labels": 88} for name in ("anna", "ben <b>")]
    found = {"run": "mine", "sheet": "s1", "readers": readers, "rounds": rounds, "agreement": agreement, "notes": [HOSTILE]}
    return json.loads(json.dumps(found))


def add_audit(run: RunFolder) -> None:
    """As the command leaves it."""
    run.write_json("summary.json", run.summary() | {"audit": make_audit()})
