"""Measures how well texts are classified as fact-based, on labelled texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flame_ray.evaluation.agreement import auc
from flame_ray.prompts.classify import Accuracy
from flame_ray.rewards.factuality.scores import wilson

Results = dict[str, Any]  # written as JSON; a figure that does not exist is None


@dataclass(frozen=True, slots=True)
class ClassifiedText:
    """A text with its label, whether it is fact-based, and the probability that the classifier gives for that."""

    label: bool
    probability: float
    group: str | None


def classification_agreement(texts: Sequence[ClassifiedText], threshold: float) -> Results:
    """Results over all texts and for each group. A text is called fact-based from the threshold on.

    `accuracy`: the share of the texts that are called what their label says. `precision`: of those called fact-based, the share
    that is. `recall`: of those that are, the share that is called so. Each with its `n` and Wilson's 95 % interval. `majority`:
    the accuracy of calling every text what most of them are. `auc`: the chance that a fact-based text has a higher probability
    than another one.
    """
    names = sorted({each.group for each in texts if each.group is not None})
    groups = {name: _of([each for each in texts if each.group == name], threshold) for name in names}
    return _of(texts, threshold) | ({"groups": groups} if groups else {})


def _of(texts: Sequence[ClassifiedText], threshold: float) -> Results:
    found = Accuracy.of((each.label, each.probability >= threshold) for each in texts)
    yes, n = found.labelled_yes, found.labelled
    both = 0 < yes < n
    labels, scores = np.array([each.label for each in texts]), np.array([each.probability for each in texts])
    return {
        "n": n,
        "fact_based": yes,
        "accuracy": _share(found.correct, n),
        "precision": _share(found.right_yes, found.said_yes),
        "recall": _share(found.right_yes, yes),
        "majority": max(yes, n - yes) / n if n else None,
        "auc": auc(labels, scores) if both else None,
    }


def _share(count: int, n: int) -> Results:
    return {"share": count / n if n else None, "ci95": list(wilson(count, n)) if n else None, "n": n}
