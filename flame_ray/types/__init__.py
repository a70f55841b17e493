"""The frozen records that travel between stages.

A suffix of a name gives its shape: P prompts, G responses to a prompt, S sentences, F facts, K passages, D pairs, T tokens.
"""

from flame_ray.types.demonstrations import Demonstration, DemonstrationSet, Elicited, SftReport, SftTraining, ShownCounts
from flame_ray.types.facts import Claim, Decomposition, Fact, LabelledClaim, Passage, Sentence, Verdict, VerdictLabel
from flame_ray.types.lineage import Ancestor, BaseModel, Lineage, Measured, Origin, TrainedOn, Where
from flame_ray.types.pairs import Graded, Pair, PairCounts, PairSet, SideFacts
from flame_ray.types.responses import Group, Prompt, PromptSet, Response, ResponseId, Split
from flame_ray.types.results import (
    Evaluation,
    HeldOut,
    Interval,
    MetricIntervals,
    RoundReport,
    Selection,
    StepReport,
    Synced,
    TrainingReport,
)
from flame_ray.types.scores import (
    FACTUALITY,
    INSTRUCTION,
    TERNARY,
    WEIGHTED,
    CheckedSentence,
    FactScore,
    Missing,
    RewardResult,
    Score,
    ScoredGroup,
    ScoredResponse,
)

__all__ = [
    "FACTUALITY",
    "INSTRUCTION",
    "TERNARY",
    "WEIGHTED",
    "Ancestor",
    "BaseModel",
    "CheckedSentence",
    "Claim",
    "Decomposition",
    "Demonstration",
    "DemonstrationSet",
    "Elicited",
    "Evaluation",
    "Fact",
    "FactScore",
    "Graded",
    "Group",
    "HeldOut",
    "Interval",
    "LabelledClaim",
    "Lineage",
    "Measured",
    "MetricIntervals",
    "Missing",
    "Origin",
    "Pair",
    "PairCounts",
    "PairSet",
    "Passage",
    "Prompt",
    "PromptSet",
    "Response",
    "ResponseId",
    "RewardResult",
    "RoundReport",
    "Score",
    "ScoredGroup",
    "ScoredResponse",
    "Selection",
    "Sentence",
    "SftReport",
    "SftTraining",
    "ShownCounts",
    "SideFacts",
    "Split",
    "StepReport",
    "Synced",
    "TrainedOn",
    "TrainingReport",
    "Verdict",
    "VerdictLabel",
    "Where",
]
