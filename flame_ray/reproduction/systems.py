"""The systems of the FLAME paper: how the model of each is made, as a chain of steps from the model before any tuning."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from flame_ray.shown import without_secrets


@dataclass(frozen=True, slots=True)
class Step:
    """A command that makes a model from the one before it, by a job file of the scale and settings of its own.

    `pairs`: two fine-tunings of the model before any tuning. The step trains on what the first one's model answered of itself
    over what the second one's did, and samples nothing.
    """

    command: Literal["sft", "run"]
    job: str
    settings: tuple[str, ...] = ()
    pairs: tuple["Step", "Step"] | None = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """How a system is evaluated: by a job file of the scale, and settings of its own."""

    job: str = "evaluate.yaml"
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class System:
    """A row of a table, under the paper's name.

    Without steps it is the model before any tuning, or `model` if that names one.
    """

    name: str
    steps: tuple[Step, ...] = ()
    model: str | None = None
    evaluated: Evaluated = Evaluated()


@dataclass(frozen=True, slots=True)
class Scale:
    """A folder of job files. `stand_ins`: by a suite of the paper, the suite that is asked in its place. `jobs`: by a suite,
    the job file that it is asked by, in place of the system's own.

    `lacks`: by a system's name, why it has no place at this scale. `notes`: by a table's name, how the scale's settings differ
    from the paper's there.
    """

    name: str
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    lacks: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    jobs: Mapping[str, str] = field(default_factory=dict)


CHAT = "Llama-2-Chat"
BY_SENTENCE = "DPO^flame, by instruction and sentence"
_TOO_LARGE = "a model of {} billion parameters has no place at this scale"
SCALES = {
    "paper": Scale("paper"),
    "cpu": Scale(
        "cpu",
        {"biography": "factbook"},
        {CHAT: f"{_TOO_LARGE.format(7)}: --chat-model names another"}
        | dict.fromkeys(("70B atomic facts, 5 supports", "70B atomic facts, 10 supports"), _TOO_LARGE.format(70)),
        {
            "6-dpo": (
                "At this scale a classifier of embeddings says which sentences carry facts. Of others' labelled sentences, it "
                "leaves out half of those without facts, and 15 % of those with facts (tests/benchmarks/README.md).",
            ),
            "7": (
                "At this scale the pairs of all rows also have the settings of dpo.yaml: facts are ranked by F@3 of those that "
                "answer the question, and not by precision; the judge's scores are log-odds, so that no pair of facts is "
                "dropped for a gap in them; and a pair that the judge orders, alone or weighted, needs a gap of 1.",
            ),
        },
        dict.fromkeys(("truthfulqa-mc", "mmlu", "gsm8k"), "harness.yaml"),
    ),
}

ELICIT_FACTS = "sft.fact_based=elicited"
ELICIT_OTHERS = "sft.others=elicited"


def _then(start: System, name: str, job: str, *settings: str) -> System:
    return System(name, (*start.steps, Step("run", job, settings)))


PT = System("PT", evaluated=Evaluated("few-shot.yaml"))
SFT = System("SFT", (Step("sft", "sft.yaml"),))
SFT_FACT = System("SFT^fact", (Step("sft", "sft.yaml", (ELICIT_FACTS, ELICIT_OTHERS)),))
SFT_FLAME = System("SFT^flame", (Step("sft", "sft.yaml", (ELICIT_FACTS,)),))
_AS_SHIPPED = Evaluated(settings=("model.chat_template=null", "model.revision=null"))
LLAMA_CHAT = System(CHAT, model="meta-llama/Llama-2-7b-chat-hf", evaluated=_AS_SHIPPED)


def chat_model(name: str) -> System:
    """A row of another model that others have tuned, of which the paper has no figure."""
    return System(f"Chat model {without_secrets(name)}", model=name, evaluated=_AS_SHIPPED)


DPO = _then(SFT, "SFT + DPO", "dpo.yaml")
DPO_FACT = _then(SFT, "SFT + DPO^fact", "dpo-fact.yaml")
DPO_FLAME = _then(SFT, "SFT + DPO^flame", "dpo-flame.yaml")
FLAME_DPO = _then(SFT_FLAME, "SFT^flame + DPO", "dpo.yaml")
FLAME_DPO_FACT = _then(SFT_FLAME, "SFT^flame + DPO^fact", "dpo-fact.yaml")  # the paper has no figure for it
FLAME_DPO_FLAME = _then(SFT_FLAME, "SFT^flame + DPO^flame", "dpo-flame.yaml")

# Table 1, the pilot on biographies.
_SFT_ON_PT = Step("sft", "pilot-sft.yaml", (ELICIT_FACTS, ELICIT_OTHERS))
_SFT_ON_RAG = Step("sft", "pilot-sft.yaml", (ELICIT_FACTS, ELICIT_OTHERS, "sft.elicit.passages=10"))
PILOT_PT = System("7B PT", evaluated=Evaluated("pilot-few-shot.yaml"))
PILOT_RAG = System("7B PT + RAG", evaluated=Evaluated("pilot-few-shot.yaml", ("sft.elicit.passages=10",)))
PILOT_SFT_PT = System("7B SFT on PT", (_SFT_ON_PT,))
PILOT_SFT_RAG = System("7B SFT on RAG", (_SFT_ON_RAG,))
PILOT_DPO_FS = System("7B DPO, FS ranks own samples", (_SFT_ON_PT, Step("run", "pilot-dpo.yaml")))
PILOT_DPO_RAG = System("7B DPO, RAG over PT", (_SFT_ON_PT, Step("run", "pilot-dpo.yaml", pairs=(_SFT_ON_RAG, _SFT_ON_PT))))

# Table 6, with and without classification.
SFT_MIXED = System("SFT, mixed without classes", (Step("sft", "sft.yaml", ("sft.fact_based=both", "sft.others=both")),))
SFT_CLASSIFIED = System("SFT, by instruction", SFT_FLAME.steps)
DPO_UNCLASSIFIED = _then(SFT, "DPO^flame, no classes", "dpo-flame.yaml", "classify.threshold=0.0")
DPO_CLASSIFIED = System("DPO^flame, by instruction", DPO_FLAME.steps)
DPO_SENTENCES = _then(SFT, BY_SENTENCE, "dpo-flame-sentences.yaml")

# Table 7, how pairs are built. At the paper's scale the first row is DPO^flame.
_WIDEST = ("pairs.factuality_per_prompt=1", "pairs.min_fact_gap=0.0")
_ALL = ("pairs.factuality_per_prompt=null", "pairs.min_fact_gap=0.2")
PAIRS_WIDEST = _then(SFT, "max/min", "dpo-flame.yaml", *_WIDEST)
PAIRS_ALL = _then(SFT, "every pair with a gap of 0.2", "dpo-flame.yaml", *_ALL)
PAIRS_WEIGHTED = _then(SFT, "one weighted reward", "dpo-flame.yaml", *_WIDEST, "pairs.kinds=[weighted]")

# Beyond the paper: other ways to learn from the same samples and verdicts, in the same seconds.
METHODS = (
    _then(SFT, "DPO^flame", "methods.yaml"),
    _then(SFT, "F-DPO", "methods.yaml", "learner.loss=fdpo"),
    _then(SFT, "Mask-DPO", "methods.yaml", "learner.loss=mask_dpo"),
    _then(SFT, "Rejection-sampling fine-tuning", "methods.yaml", "learner.loss=nll", "learner.nll_weight=0"),
    _then(SFT, "GRPO, ternary reward", "methods.yaml", "learner.loss=grpo", "learner.nll_weight=0"),
)

# Table 10: rows are factuality rewards, not models.
_BY_7B, _BY_70B, _SENTENCES = "agreement.yaml", "agreement-70b.yaml", "factuality.decompose=sentence"


def _reward(name: str, job: str, *settings: str) -> System:
    return System(name, evaluated=Evaluated(job, settings))


TAUS = (
    _reward("7B atomic facts, 5 supports", _BY_7B, "factuality.keep=5"),
    _reward("7B atomic facts, 10 supports", _BY_7B, "factuality.keep=10"),
    _reward("70B atomic facts, 5 supports", _BY_70B, "factuality.keep=5"),
    _reward("70B atomic facts, 10 supports", _BY_70B, "factuality.keep=10"),
    _reward("7B sentences, 5 supports", _BY_7B, _SENTENCES, "factuality.keep=5"),
    _reward("7B sentences, 10 supports", _BY_7B, _SENTENCES, "factuality.keep=10"),
)
