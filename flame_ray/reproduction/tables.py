"""The tables of the FLAME paper: which systems are their rows, and which measures their columns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from flame_ray.config import Config
from flame_ray.errors import ConfigError
from flame_ray.reproduction import systems as of
from flame_ray.reproduction.systems import System

WIN_RATE, EQUAL_LENGTH = "win_rate", "length_controlled_win_rate"
Contrast = tuple[System, System]  # the first minus the second
AGREEMENT = "agreement"  # the source of a figure that `flame-ray agreement` measures


@dataclass(frozen=True, slots=True)
class Measure:
    """A column. `figure` is a figure of the result of a suite, or of `agreement`; or, of `sft` and `run`, a path in the summary
    of the last such step.

    `factor` brings our figure into the paper's unit, which is shown with so many `digits`. `against_baseline`: it is that of
    answers which are compared with those of the table's baseline. `applies`: whether a step, or an evaluation, of these
    settings has such a figure at all; every one has by default.
    """

    name: str
    source: str
    figure: str
    factor: float = 1.0
    against_baseline: bool = False
    digits: int = 1
    applies: Callable[[Config], bool] | None = None

    @property
    def is_of_step(self) -> bool:
        """Whether the making of the model gives the figure, and no suite."""
        return self.source in ("sft", "run")

    @property
    def is_mean(self) -> bool:
        """Whether it is the mean of a value for each prompt, by which two systems can be compared."""
        return not self.is_of_step and self.figure != EQUAL_LENGTH


@dataclass(frozen=True, slots=True)
class Table:
    """`baseline`: the system that the others' win rates are against. `contrasts`: which rows are compared, prompt by prompt.

    `seeds`: how many models of each system are made, unless the command says otherwise.
    """

    name: str
    title: str
    rows: tuple[System, ...]
    measures: tuple[Measure, ...]
    baseline: System | None = None
    notes: tuple[str, ...] = ()
    contrasts: tuple[Contrast, ...] = ()
    seeds: int = 1


def _wins(over: System) -> tuple[Measure, Measure]:
    """The win rate beside what is left of it at equal length, which the paper does not give."""
    name = f"win over {over.name}"
    return (
        Measure(name, "alpaca-eval", WIN_RATE, 100, against_baseline=True),
        Measure(f"{name} at equal length", "alpaca-eval", EQUAL_LENGTH, 100, against_baseline=True),
    )


def _length(suite: str) -> Measure:
    return Measure(f"{suite}.length", suite, "characters", against_baseline=suite == "alpaca-eval", digits=0)


def _facts(suite: str) -> tuple[Measure, ...]:
    """Precision beside what shows that it was not bought."""
    return (
        Measure(f"{suite}.fs", suite, "precision", 100),
        Measure(f"{suite}.correct", suite, "correct_facts"),
        Measure(f"{suite}.erroneous", suite, "erroneous_facts"),
        Measure(f"{suite}.abstentions", suite, "abstentions", 100),
        _length(suite),
    )


BIOGRAPHY, ALPACA_FACT, FAVA = _facts("biography"), _facts("alpaca-fact"), _facts("fava")
WINS = _wins(of.DPO)
FACT_PAIRS = Measure("fact pairs", "run", "rounds.-1.pairs.factuality+weighted", digits=0)
NO_ROOM = Measure(
    "without room",
    "sft",
    "elicited.shown.examples_left_out+passages_left_out",
    digits=0,
    applies=lambda config: config.sft.elicits,
)
FACT_SEEDS = Measure("fact-based seeds", "sft", "seeds.fact_based", digits=0, applies=lambda config: config.sft.classifies)
JUDGE_SCORE = Measure(
    "judge's score",
    "alpaca-eval",
    "judge_score",
    against_baseline=True,
    digits=2,
    applies=lambda config: config.suites.compare == "score",
)
STEPS = Measure("steps", "run", "rounds.-1.training.steps", digits=0)
SECONDS = Measure("seconds of training", "run", "rounds.-1.training.seconds", digits=0)
MODELS = (
    of.LLAMA_CHAT,
    of.SFT,
    of.DPO,
    of.DPO_FACT,
    of.DPO_FLAME,
    of.SFT_FLAME,
    of.FLAME_DPO,
    of.FLAME_DPO_FLAME,
)
FINE_TUNED = (of.SFT_FLAME, of.SFT)
TRAINED = (
    (of.DPO, of.SFT),
    (of.DPO_FACT, of.SFT),
    (of.DPO_FACT, of.DPO),
    (of.DPO_FLAME, of.DPO),
    (of.FLAME_DPO_FLAME, of.FLAME_DPO),
    (of.FLAME_DPO_FLAME, of.DPO),
)
FROM_EACH = (*MODELS[:-1], of.FLAME_DPO_FACT, MODELS[-1])  # also the system that the paper leaves out
FACTS_ALONE = ((of.FLAME_DPO_FACT, of.SFT_FLAME), (of.FLAME_DPO_FACT, of.FLAME_DPO))
PILOT = (
    (of.PILOT_RAG, of.PILOT_PT),
    (of.PILOT_SFT_PT, of.PILOT_PT),
    (of.PILOT_SFT_RAG, of.PILOT_SFT_PT),
    (of.PILOT_DPO_FS, of.PILOT_SFT_PT),
    (of.PILOT_DPO_RAG, of.PILOT_DPO_FS),
)
SHARED_BUT_FOR_CLASSES = (
    "Rows share their SFT model, its evaluations, the samples that they learn from, and the judge's scores of these. Facts are "
    "checked where a row's classes ask for it, and of one response once for all rows that check the same sentences."
)
SHARED_SAMPLES = "Rows share their SFT model, its evaluations, and the samples and scores that they learn from."

TABLES: Mapping[str, Table] = {
    table.name: table
    for table in (
        Table(
            "1",
            "Pilot on biographies",
            (of.PILOT_PT, of.PILOT_RAG, of.PILOT_SFT_PT, of.PILOT_SFT_RAG, of.PILOT_DPO_FS, of.PILOT_DPO_RAG),
            (*BIOGRAPHY, NO_ROOM),
            notes=(
                "DPO starts from SFT on PT.",
                "Without room: how many examples and passages, in sum, had no room in the prompts by which the last "
                "fine-tuning asked the model for its own answers.",
            ),
            contrasts=PILOT,
        ),
        Table(
            "2",
            "Supervised fine-tuning",
            (of.PT, of.SFT, of.SFT_FACT, of.SFT_FLAME),
            (*_wins(of.SFT), *BIOGRAPHY, *ALPACA_FACT, *FAVA),
            of.SFT,
            contrasts=((of.SFT, of.PT), (of.SFT_FACT, of.SFT), FINE_TUNED),
        ),
        Table(
            "3",
            "DPO",
            MODELS,
            (*WINS, *BIOGRAPHY, *ALPACA_FACT, *FAVA),
            of.DPO,
            contrasts=(FINE_TUNED, *TRAINED),
        ),
        Table(
            "4",
            "TruthfulQA, free answers: best true minus best false answer",
            MODELS,
            (
                Measure("truthfulqa.bleu", "truthfulqa", "bleu_diff", digits=2),
                Measure("truthfulqa.rouge", "truthfulqa", "rouge1_diff", digits=2),
            ),
            notes=("ROUGE is ROUGE-1.",),
            contrasts=(FINE_TUNED, *TRAINED),
        ),
        Table(
            "5",
            "TruthfulQA, multiple choice",
            MODELS,
            tuple(Measure(name, "truthfulqa-mc", name, 100) for name in ("mc1", "mc2", "mc3")),
            contrasts=(FINE_TUNED, *TRAINED),
        ),
        Table(
            "6-sft",
            "Classification: SFT",
            (of.SFT_MIXED, of.SFT_CLASSIFIED),
            (*_wins(of.SFT), *BIOGRAPHY),
            of.SFT,
            contrasts=((of.SFT_CLASSIFIED, of.SFT_MIXED),),
        ),
        Table(
            "6-dpo",
            "Classification: DPO",
            (of.DPO_UNCLASSIFIED, of.DPO_CLASSIFIED, of.DPO_SENTENCES),
            (*WINS, *BIOGRAPHY),
            of.DPO,
            (SHARED_BUT_FOR_CLASSES,),
            ((of.DPO_CLASSIFIED, of.DPO_UNCLASSIFIED), (of.DPO_SENTENCES, of.DPO_CLASSIFIED)),
        ),
        Table(
            "7",
            "Pair building",
            (of.PAIRS_WIDEST, of.PAIRS_ALL, of.PAIRS_WEIGHTED),
            (FACT_PAIRS, *WINS, *BIOGRAPHY),
            of.DPO,
            (SHARED_SAMPLES, "Fact pairs are those of prompts that need facts, whatever orders them."),
            ((of.PAIRS_WIDEST, of.PAIRS_ALL), (of.PAIRS_WIDEST, of.PAIRS_WEIGHTED)),
        ),
        Table(
            "8",
            "Mean length of an answer in characters",
            (of.SFT, of.DPO, of.DPO_FACT, of.DPO_FLAME),
            tuple(_length(suite) for suite in ("alpaca-eval", "biography", "alpaca-fact", "fava")),
            of.DPO,
            contrasts=TRAINED[:4],
        ),
        Table(
            "9",
            "Knowledge and arithmetic",
            (of.DPO, of.FLAME_DPO_FLAME),
            (Measure("mmlu", "mmlu", "accuracy", 100), Measure("gsm8k", "gsm8k", "exact_match_strict", 100)),
            contrasts=((of.FLAME_DPO_FLAME, of.DPO),),
        ),
        Table(
            "10",
            "Agreement of the factuality reward with people: Kendall's tau",
            of.TAUS,
            (Measure("tau", AGREEMENT, "tau", digits=2),),
            notes=(
                "Tau-b over all responses of suites.labelled: precision beside the number of facts that people call false, "
                "negated. At the paper's scale a model of 7B or 70B parameters is the checker, and the same model splits the "
                "responses; at the small one, `small` with rules.",
                "n counts responses. A response of which the reward finds no fact that counts, or people none, has no place in "
                "a tau, so that rows may be of different responses; how many are left out is noted.",
                "Supports are retrieved passages. Where the labelled responses bring evidence of their own, all of it counts.",
            ),
        ),
        Table(
            "11",
            "Data",
            (of.SFT_FLAME, of.DPO_FLAME, of.FLAME_DPO_FLAME),
            (
                Measure("seeds", "sft", "seeds.instructions", digits=0),
                FACT_SEEDS,
                Measure("instruction pairs", "run", "rounds.-1.pairs.instruction", digits=0),
                FACT_PAIRS,
            ),
        ),
        Table(
            "figure-1",
            "Helpfulness against factuality",
            MODELS,
            (WINS[0], BIOGRAPHY[0], _length("alpaca-eval"), WINS[1], *BIOGRAPHY[1:]),  # the first three are drawn
            of.DPO,
        ),
        Table(
            "directions",
            "What each reward does",
            FROM_EACH,
            (*WINS, JUDGE_SCORE, *BIOGRAPHY, _length("alpaca-eval")),
            of.DPO,
            contrasts=(FINE_TUNED, *TRAINED, *FACTS_ALONE),
            seeds=3,
        ),
        Table(
            "methods",
            "Other losses on the same prompts, samples and verdicts, at equal seconds",
            of.METHODS,
            (*WINS, *BIOGRAPHY, _length("alpaca-eval"), STEPS, SECONDS),
            of.DPO,
            (
                SHARED_SAMPLES,
                "Each method trains for the same seconds, its reference pass included. DPO^flame is not the model of table 3.",
                "GRPO's reward is ternary on the same verdicts: the mean over an answer's facts of +1 for each true one and "
                "-1 for each false one, and 0 if it abstains. Neither relevance nor the judge has a part in it, and only "
                "prompts that need facts give it examples.",
                "DPO^flame, F-DPO and Mask-DPO also keep chosen answers likely, by the `learner.nll_weight` of dpo.yaml: "
                "1 at the small scale, 0 at the paper's.",
                "Rejection-sampling fine-tuning and GRPO count each prompt once: `pairs.balance`, by which the other losses "
                "count both kinds of pair alike at the paper's scale, has no say in losses that compare no pairs.",
            ),
            tuple((method, of.METHODS[0]) for method in of.METHODS[1:]),
            seeds=3,
        ),
    )
}


def tables_named(name: str) -> tuple[Table, ...]:
    """The table of this name, or the parts of one. Raises ConfigError if there is none.

    >>> [table.name for table in tables_named("6")]
    ['6-sft', '6-dpo']
    """
    found = tuple(table for table in TABLES.values() if name in (table.name, table.name.partition("-")[0]))
    if not found:
        fix = "give --set before each setting" if "=" in name else "correct the name"
        raise ConfigError(f"TABLE to be one of {', '.join(TABLES)}", repr(name), fix)
    return found


def with_chat_model(tables: Sequence[Table], name: str) -> list[Table]:
    """The tables with this model in the place of Llama-2-Chat. Raises ConfigError if it has no place in any of them."""
    if not any(of.LLAMA_CHAT in table.rows for table in tables):
        having = ", ".join(each.name for each in TABLES.values() if of.LLAMA_CHAT in each.rows)
        found = f"none in {', '.join(table.name for table in tables)}"
        raise ConfigError(f"with --chat-model, a table that has the row {of.CHAT} ({having})", found, "leave the option out")
    other = of.chat_model(name)
    return [replace(table, rows=tuple(other if row == of.LLAMA_CHAT else row for row in table.rows)) for table in tables]
