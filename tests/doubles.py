"""One double a protocol, shared by all tests: plain objects that answer by a rule and keep what they were asked."""

import io
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from rich.console import Console

from flame_ray.engines.base import Continuation, Message, Sample, SampleRequest, Weights
from flame_ray.errors import EngineError
from flame_ray.report.progress import Screen, working
from flame_ray.round import Stages
from flame_ray.types import (
    INSTRUCTION,
    Claim,
    Evaluation,
    Group,
    HeldOut,
    MetricIntervals,
    Pair,
    PairSet,
    Passage,
    Prompt,
    Response,
    ScoredGroup,
    ScoredResponse,
    Selection,
    Sentence,
    StepReport,
    Synced,
    TrainingReport,
    Verdict,
    VerdictLabel,
)
from tests.builders import (
    make_change,
    make_evaluation,
    make_fact_score,
    make_held_out,
    make_passage,
    make_response,
    make_sample,
    make_score,
    make_scored,
    make_scored_group,
    make_training_report,
    make_verdict,
)


class Vocabulary:
    """A tokenizer whose tokens are words: an id is the place at which a word was first seen."""

    def __init__(self) -> None:
        self._words: list[str] = []

    def encode(self, text: str) -> tuple[int, ...]:
        words = text.split(" ")
        self._words += [word for word in dict.fromkeys(words) if word not in self._words]
        return tuple(self._words.index(word) for word in words)

    def text(self, ids: Sequence[int]) -> str:
        return " ".join(self._words[index] for index in ids)


class ByteTokens:
    """Token ids whose texts are these, in their order. Bytes may be a part of a character; `<end>` has no text."""

    def __init__(self, *texts: str | bytes) -> None:
        self._bytes = [each.encode() if isinstance(each, str) else each for each in texts]
        self.ids = tuple(range(len(texts)))

    def decode(self, ids: Sequence[int]) -> str:
        return b"".join(self._bytes[id] for id in ids).replace(b"<end>", b"").decode(errors="replace")


class FakeEngine:
    """A `TextEngine` of one token a word. Samples are done in the opposite order, so that nobody relies on theirs.

    `writes` gives the sample for a prompt's text: a text, or a whole `Sample`. `says` gives the log-probabilities of the
    asked tokens after a prompt's text, `weighs` the log-probability of each token of a continuation.
    """

    ranks = 1

    def __init__(
        self,
        writes: Callable[[str], str | Sample] = lambda text: "an answer",
        says: Callable[[str], tuple[float, ...]] = lambda text: (-1.0, -1.0),
        weighs: Callable[[Continuation], tuple[float, ...]] = lambda asked: (-0.5,) * len(asked.token_ids),
        weight_version: int = 0,
        max_length: int = 10_000,
    ):
        self.max_length = max_length
        self.writes, self.says, self.weighs, self.weight_version = writes, says, weighs, weight_version
        self.requests: list[SampleRequest] = []
        self.prompts: list[str] = []
        self.loaded: list[tuple[Weights, int]] = []
        self.events: list[str] = []
        self.vocabulary = Vocabulary()
        self.running: dict[int, SampleRequest] = {}

    def render(self, messages: Sequence[Message]) -> tuple[int, ...]:
        return self.encode("\n".join(message["content"] for message in messages))

    def encode(self, text: str, opens: bool = False) -> tuple[int, ...]:
        return self.vocabulary.encode(f"<begin> {text}" if opens else text)

    def sample(self, requests: Sequence[SampleRequest]) -> Iterator[tuple[int, Sample]]:
        for key, request in enumerate(requests):
            self.add(key, request)
        while self.running:
            yield from self.step()

    def add(self, key: int, request: SampleRequest) -> None:
        assert key not in self.running
        self.requests.append(request)
        self.running[key] = request

    def step(self) -> list[tuple[int, Sample]]:
        key = max(self.running)
        written = self.writes(self._text(self.running[key].prompt_token_ids))
        del self.running[key]
        return [(key, make_sample(written) if isinstance(written, str) else written)]

    def abort(self, keys: Iterable[int]) -> None:
        for key in keys:
            del self.running[key]

    def logprobs(self, continuations: Sequence[Continuation]) -> list[tuple[float, ...]]:
        return [self.weighs(each) for each in continuations]

    def choices(self, prompts: Sequence[tuple[int, ...]], token_ids: tuple[int, ...]) -> list[tuple[float, ...]]:
        return [self.says(self._text(ids)) for ids in prompts]

    def load_weights(self, weights: Weights, version: int) -> None:
        self.loaded.append((weights, version))
        self.weight_version = version

    def transfer(self, step: str, arguments: Mapping[str, Any]) -> None:
        self.events.append(f"transfer {step}")

    def sleep(self, level: int) -> None:
        self.events.append(f"sleep {level}")

    def wake(self, part: str) -> None:
        self.events.append(f"wake {part}")

    def _text(self, ids: Sequence[int]) -> str:
        self.prompts.append(text := self.vocabulary.text(ids))
        return text


class FakeVerifier:
    """A `Verifier` of one token a word.

    `says` gives the log-probabilities of the two `answers` for a prompt's text; `writes` the sample for it.
    """

    def __init__(
        self,
        says: Callable[[str], tuple[float, float]] = lambda text: (-1.0, -1.0),
        writes: Callable[[str], str] = lambda text: '{"facts":[]}',
        max_length: int = 10_000,
        model: str = "words",
        answers: tuple[str, str] = ("True", "False"),
    ):
        self.model, self.max_length, self.answers = model, max_length, answers
        self.says, self.writes = says, writes
        self.asked: list[str] = []
        self.requests: list[SampleRequest] = []
        self.rendered = 0
        self.vocabulary = Vocabulary()

    def render(self, chats: Sequence[Sequence[Message]]) -> list[tuple[int, ...]]:
        self.rendered += len(chats)
        return [self.encode("\n".join(message["content"] for message in messages)) for messages in chats]

    def encode(self, text: str) -> tuple[int, ...]:
        return self.vocabulary.encode(text)

    def text(self, ids: Sequence[int]) -> str:
        return self.vocabulary.text(ids)

    def choices(self, prompts: Sequence[tuple[int, ...]], token_ids: tuple[int, ...]) -> list[tuple[float, ...]]:
        assert token_ids == tuple(self.encode(word)[0] for word in self.answers)
        texts = [self.text(ids) for ids in prompts]
        self.asked += texts
        return [self.says(text) for text in texts]

    def sample(self, requests: Sequence[SampleRequest]) -> list[Sample]:
        self.requests += requests
        return [make_sample(self.writes(self.text(each.prompt_token_ids))) for each in requests]


class FakeRetriever:
    """A `Retriever` that finds the same passages for every query; `queries` and `asked` (each `k`) are what it was asked."""

    def __init__(self, *passages: Passage):
        self.passages = passages
        self.queries: list[str] = []
        self.asked: list[int] = []

    def retrieve(self, queries: Sequence[str], k: int) -> list[tuple[Passage, ...]]:
        self.queries += queries
        self.asked.append(k)
        return [self.passages[:k] for _ in queries]


class FakeScorer:
    """A `PairScorer`: `says` gives the logits of a pair of texts, one a label. `pairs` and `calls` are what it was asked.

    `lexical_weight` is what the fine-tuned checker's model says a lexical logit is worth.
    """

    def __init__(
        self, says: Callable[[str, str], Sequence[float]], labels: tuple[str, ...] = ("supported",), lexical_weight: float = 0.0
    ):
        self.says, self.labels, self.lexical_weight = says, labels, lexical_weight
        self.pairs: list[tuple[str, str]] = []
        self.calls: list[list[tuple[str, str]]] = []

    def logits(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        self.pairs += pairs
        self.calls.append(list(pairs))
        return np.array([self.says(*pair) for pair in pairs], np.float32).reshape(len(pairs), len(self.labels))


class FakeReader:
    """A `RecordScorer`: `says` gives the three logits of a statement. `asked` are the records with their statements."""

    def __init__(self, says: Callable[[str], Sequence[float]]):
        self.says = says
        self.asked: list[tuple[str, list[str]]] = []

    def logits(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[np.ndarray]:
        self.asked += [(record, list(statements)) for record, statements in asked]
        return [np.array([self.says(each) for each in statements], np.float32) for _, statements in asked]


class FakeEmbedder:
    """A `TextEmbedder`: a text ends in an angle in degrees, and its vector points there."""

    width = 2

    def __init__(self) -> None:
        self.embedded = 0  # passages

    def queries(self, texts: Sequence[str]) -> np.ndarray:
        angles = np.radians([float(text.split()[-1]) for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    def passages(self, texts: Sequence[str]) -> np.ndarray:
        self.embedded += len(texts)
        return self.queries(texts)


class FakeChecker:
    """A `Checker`: `says` gives the label of a fact's text, the last passage decides, and `asked` are the claims so far."""

    def __init__(
        self,
        says: Callable[[str], VerdictLabel] = lambda text: VerdictLabel.SUPPORTED,
        score: Callable[[str], float] = lambda text: 1.0,
        identity: str = "fake",
        threshold: float = 0.5,
    ):
        self.says, self.score, self.identity, self.threshold = says, score, identity, threshold
        self.asked: list[Claim] = []
        self.batches: list[int] = []

    def check(self, claims: Sequence[Claim]) -> tuple[Verdict, ...]:
        self.asked += claims
        self.batches.append(len(claims))
        return tuple(self._verdict(claim) for claim in claims)

    def _verdict(self, claim: Claim) -> Verdict:
        passage = claim.passages_K[-1].id if claim.passages_K else None
        return Verdict(claim.fact, self.says(claim.fact.text), self.score(claim.fact.text), passage)


class FakeClock:
    """Stands at `time`; a sleep first does `meanwhile`, then moves the time on."""

    def __init__(self, time: float = 1_000_000.0):
        self.time = time
        self.meanwhile: Callable[[], None] = lambda: None

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.meanwhile()
        self.time += seconds


class SeenScreen(Screen):
    """A screen that is no terminal, whose running bars a test can see. `made`: for a test that cannot name its own."""

    made: ClassVar[list["SeenScreen"]] = []

    def __init__(self, console: Console | None = None, *more: Any):
        super().__init__(console or Console(file=io.StringIO()), *more)
        self.made.append(self)

    @property
    def labels(self) -> list[str]:
        return [bar.label for bar in self._without_bar]

    @property
    def reminders(self) -> list[tuple[str, int, str]]:
        """What a line each half minute would tell now: the label, how much is done, and the note."""
        return [(bar.label, bar.done, bar.note) for bar in working(self._without_bar)]


@dataclass
class FakeJob:
    """What Ray's JobDetails has of a job, and the pieces of its log. An error among the pieces breaks the connection."""

    submission_id: str | None
    status: str = "RUNNING"
    driver_exit_code: int | None = None
    start_time: int = 0
    message: str | None = None
    metadata: dict[str, str] | None = None
    pieces: list[str | Exception] = field(default_factory=list)


class FakeJobClient:
    """A job server with these jobs. `stopped` is called with a job that is told to stop, `sent` keeps what was submitted."""

    _server_ray_version = "2.60.0"

    def __init__(self, *jobs: FakeJob, stopped: Callable[[FakeJob], None] = lambda job: None):
        self.jobs = list(jobs)
        self.stopped = stopped
        self.sent: list[dict[str, Any]] = []

    def submit_job(self, **order: Any) -> str:
        self.sent.append(order)
        return order["submission_id"]

    def list_jobs(self) -> list[FakeJob]:
        return self.jobs

    def _job(self, job_id: str) -> FakeJob:
        return next(each for each in self.jobs if each.submission_id == job_id)

    def get_job_logs(self, job_id: str) -> str:
        return "".join(each for each in self._job(job_id).pieces if isinstance(each, str))

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        """From the beginning; an error comes once."""
        job = self._job(job_id)
        for place, piece in enumerate(list(job.pieces)):
            if isinstance(piece, Exception):
                del job.pieces[place]
                raise piece
            yield piece

    def stop_job(self, job_id: str) -> bool:
        self.stopped(self._job(job_id))
        return True


class FakePool:
    """A pool of workers that answers each item at once by `answer`; with `answer` None, not before `settle`."""

    def __init__(self, answer: Callable[[str, Any], Any] | None):
        self.answer = answer
        self.asked: list[tuple[str, Any]] = []
        self.futures: list[Future] = []

    def submit(self, method: str, item: Any, *context: Any, weight: int = 1, urgent: bool = False, label: str = "") -> Future:
        self.asked.append((method, item))
        self.futures.append(future := Future())
        if self.answer is not None:
            self.settle(-1, self.answer)
        return future

    def settle(self, place: int, answer: Callable[[str, Any], Any]) -> None:
        try:
            self.futures[place].set_result(answer(*self.asked[place]))
        except EngineError as error:
            self.futures[place].set_exception(error)


class Remote:
    """A method of an actor: called by `.remote`, awaited."""

    def __init__(self, method):
        self._method = method

    async def remote(self, *args: Any) -> Any:
        return self._method(*args)


class FakeCommands:
    """The commands that `flame-ray reproduce` gives: they leave the files that it looks for, and compute nothing.

    `figures`: of every evaluation. `fails`: by command or suite, the error that it ends with, once it has begun.
    """

    def __init__(self, figures: Mapping[str, float], fails: Mapping[str, Exception] | None = None):
        self._figures, self._fails = figures, fails or {}
        self.done: list[tuple[str, Any]] = []  # commands with their settings
        self.resumed: list[str | None] = []
        self.compared: list[tuple[str, Path]] = []  # suites, with the file that answers are compared with
        self.calls: list[tuple[str, ...]] = []  # the suites of each call of evaluate
        self.models: list[str] = []  # the model of each call of evaluate
        self.paired: list[tuple[str, str]] = []  # runs, with those whose answers are rejected
        self.checked: list[Path] = []  # stores

    def sft(self, config, console, resume):
        self._train("sft", config, resume)

    def run(self, config, console, resume):
        self._train("run", config, resume)

    def _train(self, command: str, config: Any, resume: str | None) -> None:
        self.done.append((command, config))
        self.resumed.append(resume)
        folder = Path(config.run.root) / config.run.id
        folder.mkdir(parents=True, exist_ok=bool(resume))
        (folder / "config.yaml").write_text("")
        if command in self._fails:
            raise self._fails[command]
        for made in ("state", "merged"):
            (folder / "checkpoints/round-0001" / made).mkdir(parents=True)
            (folder / "checkpoints/round-0001" / made / "file").write_text("")
        summary = {"status": "complete", "rounds": [{"pairs": {"instruction": 3, "factuality": 2}}]}
        (folder / "summary.json").write_text(json.dumps(summary))

    def check_store(self, config, store):
        self.checked.append(store)
        if "check" in self._fails:
            raise self._fails["check"]

    def pairs(self, run, out, console, over):
        self.paired.append((Path(run).name, Path(over).name))
        out.write_text("")

    def evaluate(self, config, request, console, tables):
        self.calls.append(request.suites)
        self.models.append(request.model)
        for suite in request.suites:
            self.done.append(("evaluate", config))
            if suite in self._fails:
                raise self._fails[suite]
            self.compared.append((suite, request.references or Path(config.suites.alpaca)))
            self._answer(suite, request.apart[suite])

    def _answer(self, suite: str, out: Path) -> None:
        folder = out / "model-0" / f"{suite}-0"
        folder.mkdir(parents=True)
        rows = [{"prompt": "Write a poem.", "response": "An answer."}]
        (folder / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        figures = {name: {"mean": value, "ci95": [0.0, 1.0], "n": 4} for name, value in self._figures.items()}
        result = {"suite": suite, "prompts": 4, "missing": {}, "figures": figures}
        (folder / "result.json").write_text(json.dumps(result))

    def agreement(self, config, labels, kind, out, console, tables):
        assert kind == "responses" and labels.is_file()
        self.done.append(("agreement", config))
        tau = {"pooled": config.factuality.keep / 100, "pooled_ci95": [0.0, 1.0]}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps({"n": 9, "tau_precision_errors": tau}))


class FakeMetrics:
    """Notes what the gauges would show."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, int, bool]] = []
        self.evaluations: list[Evaluation] = []

        self.steps: list[tuple[int, int, StepReport, bool]] = []
        self.others: list[tuple[str, Any]] = []  # what else it was told, by the method
        self.rounds: list[Mapping[str, Any]] = []

    def stage(self, name, round, running):
        self.stages.append((name, round, running))

    def evaluation(self, evaluation, prompts="heldout"):
        if prompts == "heldout":
            self.evaluations.append(evaluation)

    def step(self, round, number, report, is_new):
        self.steps.append((round, number, report, is_new))

    def sampled(self, group, behind):
        self.others.append(("sampled", behind))

    def scored(self, round, group, is_new=True):
        self.others.append(("scored", group.prompt.id))

    def paired(self, pairs):
        self.others.append(("paired", pairs.counts))

    def synced(self, synced):
        self.others.append(("synced", synced))

    def round(self, summary):
        self.others.append(("round", summary["round"]))
        self.rounds.append(summary)


class FakeStages:
    """Stages that are quick and always do the same; each says `unit` of work by its name before it does it.

    `trained`: the rounds that the learner's state holds; as the learner, it does not train one of these again. `barren`: the
    rounds that give no pair.
    """

    def __init__(
        self, work: Callable[[str], None] = lambda unit: None, trained: set[int] | None = None, barren: Sequence[int] = ()
    ):
        self._work, self._barren = work, barren
        self.trained = set() if trained is None else trained

    def stages(self, **other) -> Stages:
        names = ("draw", "classify", "sample", "score", "pair", "skip", "train", "save", "sync", "evaluate")
        names = (*names, "compare", "develop", "select", "deliver")
        return Stages(**({name: getattr(self, name) for name in names} | other))

    def know_first(self, scored_P) -> None:
        """The answers of round 0, which a resumed run reads again."""

    def draw(self, prompts_P, round):
        return prompts_P

    def classify(self, prompts_P, round):
        self._work(f"classify {round}")
        return tuple(replace(prompt, fact_based=True) for prompt in prompts_P)

    def sample(self, prompts_P: Iterable[Prompt], round: int) -> Iterator[Group]:
        for prompt in prompts_P:
            self._work(f"sample {round} {prompt.id}")
            yield Group(prompt, self._responses(prompt, round, 2))

    def score(self, groups_P: Iterable[Group], round: int) -> Iterator[ScoredGroup]:
        for group in groups_P:
            self._work(f"score {round} {group.prompt.id}")
            yield make_scored_group(*map(self._scored, group.responses_G), prompt=group.prompt)

    def pair(self, groups_P: Iterable[ScoredGroup], round: int) -> PairSet:
        groups = sorted(groups_P, key=lambda group: group.prompt.id)
        self._work(f"pair {round}")
        sides = [[scored.response for scored in group.scored_G] for group in groups]
        pairs = [Pair(INSTRUCTION, chosen, rejected, 1.0, 0.0) for rejected, chosen in sides]
        ties = {"factuality: tie": len(groups)}
        if round in self._barren:
            return PairSet((), ties | {"instruction: tie": len(groups)}, responses=2 * len(groups))
        return PairSet(tuple(pairs), ties, responses=2 * len(groups))

    def skip(self, pairs: PairSet, round: int) -> None:
        assert not pairs.sides_D

    def train(self, pairs: PairSet, round: int) -> TrainingReport:
        assert pairs.sides_D
        if round not in self.trained:
            self._work(f"train {round}")
            self.trained.add(round)
        return make_training_report(loss=0.5 / round, pairs=len(pairs.pairs_D))

    def save(self, round: int) -> None:
        self._work(f"save {round}")

    def sync(self, round: int) -> Synced:
        self._work(f"sync {round}")
        return Synced(round, "slope 1.00")

    def choose_canary(self, pairs: PairSet) -> None:
        assert pairs.pairs_D

    def evaluate(self, prompts_P, round: int) -> HeldOut:
        self._work(f"evaluate {round}")
        scored_P = tuple(self._scored(self._responses(prompt, round, 1)[0]) for prompt in prompts_P)
        return make_held_out(*scored_P, evaluation=make_evaluation(round / 8, prompts=len(prompts_P)))

    def compare(self, before: HeldOut, after: HeldOut) -> MetricIntervals:
        return make_change(after.evaluation.f_at_k.mean - before.evaluation.f_at_k.mean)

    def develop(self, prompts_P, round: int) -> HeldOut:
        if prompts_P:
            self._work(f"develop {round}")
        return make_held_out(evaluation=make_evaluation(round / 8, prompts=len(prompts_P)))

    def select(self, developed: Mapping[int, HeldOut], before: Selection | None) -> Selection | None:
        return None

    def deliver(self, selection: Selection | None) -> None:
        assert selection is None

    def _responses(self, prompt: Prompt, round: int, samples: int) -> tuple[Response, ...]:
        return tuple(
            make_response(f"answer {round}/{prompt.id}/{index}", round=round, prompt=prompt.id, index=index, version=round - 1)
            for index in range(samples)
        )

    def _scored(self, response: Response) -> ScoredResponse:
        verdict = make_verdict(fact="a fact", passage="passage")
        passage, sentence = make_passage("a text", id="passage", title="A title"), Sentence("A fact.", verifiable=True)
        facts = make_fact_score(verdict, id=response.id, passages=(passage,), sentences=(sentence,))
        judge = make_score(float(response.id.index), samples=(1.0,), id=response.id)
        return make_scored(response, judge=judge, facts=facts)
