"""Fits the weights of the judge `blend` on labelled pairs of answers, and tells how well such weights do on unseen prompts.

    python tests/benchmarks/fit_judge.py tests/benchmarks/answer_pairs.jsonl ../shared/data/policy_pairs/policy_pairs.jsonl

A line has `prompt`, `a`, `b`, `helpful` (a, b or tie), and optionally `strength` (2: clearly better, which counts half as much
again) and `group`. Folds never share a prompt, nor a `group`. `answer_pairs.jsonl` holds 218 pairs of the quickstart's training
prompts: finished answers of one run, labelled by a careful reader that saw neither score, round nor length.
"""

# ruff: noqa: T201
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from transformers import AutoTokenizer

from flame_ray.config import Config, JudgeConfig
from flame_ray.engines.likelihood import LikelihoodEngine
from flame_ray.engines.models import SMOLLM2, resolve_model
from flame_ray.rewards.factuality.scores import wilson
from flame_ray.rewards.judge.blend import BlendJudge
from flame_ray.types import Missing, Prompt, Response, ResponseId

FOLDS, SEEDS, RIDGE = 10, 6, 10.0
NEAR = 0.25  # log ratio of the words of two answers of similar length
SIGNS = ("instruction", "response", "nearness")


def main(paths: list[str]) -> None:
    rows = [json.loads(line) for path in paths for line in Path(path).read_text(encoding="utf-8").splitlines()]
    pairs = [row for row in rows if row["helpful"] != "tie"]
    signs = signs_of(pairs)
    first = np.array([row["helpful"] == "a" for row in pairs])
    counts = np.array([1.5 if row.get("strength") == 2 else 1.0 for row in pairs])
    groups = [row.get("group") or row["prompt"] for row in pairs]
    print("weights:", dict(zip(SIGNS, fit(signs, first, counts).round(3), strict=True)))
    scores = unseen(signs, first, counts, groups)
    longer = np.array([np.log(len(row["a"].split()) / len(row["b"].split())) for row in pairs])
    facts = np.array([bool(row.get("fact_prompt")) for row in pairs])
    show("all", scores, first)
    show("fact prompts", scores[facts], first[facts])
    show("open-ended prompts", scores[~facts], first[~facts])
    show("length alone", longer, first)
    near = abs(longer) < NEAR
    show("answers of similar length", scores[near], first[near])
    for sign, values in zip(SIGNS, signs.T, strict=True):
        show(f"{sign} alone", values, first)


def signs_of(pairs: list[dict[str, Any]]) -> np.ndarray:
    """The differences of the signs [pairs, 3]."""
    texts = list(dict.fromkeys((row["prompt"], row[side]) for row in pairs for side in "ab"))
    folder = str(resolve_model(SMOLLM2, Config().model))
    items = [
        (Prompt(text, text), Response(ResponseId(0, text, i), answer, (), (), (), "stop", 0))
        for i, (text, answer) in enumerate(texts)
    ]
    engine: Any = Tokenizer(folder)
    scores = BlendJudge(engine, JudgeConfig(), 7, 1024, LikelihoodEngine(folder, "bfloat16")).score(items)
    found = {}
    for key, score in zip(texts, scores, strict=True):
        if isinstance(score, Missing):
            sys.exit(f"{score.reason}: {key}")
        found[key] = np.array(score.samples)
    return np.array([found[row["prompt"], row["a"]] - found[row["prompt"], row["b"]] for row in pairs])


class Tokenizer:
    """The part of a `TextEngine` that a blend needs beside its scorer."""

    def __init__(self, folder: str):
        self._tokenizer = AutoTokenizer.from_pretrained(folder)

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False))

    def render(self, messages: list[dict[str, str]]) -> tuple[int, ...]:
        return tuple(self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False))


def fit(signs: np.ndarray, first: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Logistic regression through the origin on signs of one scale, with a penalty on the squared weights."""
    scale, sides = np.sqrt((signs**2).mean(0)), np.where(first, 1.0, -1.0)
    scaled = signs / scale

    def loss(weights: np.ndarray) -> float:
        return float(counts @ np.logaddexp(0.0, -sides * (scaled @ weights)) + RIDGE / 2 * weights @ weights)

    return np.asarray(minimize(loss, np.zeros(signs.shape[1])).x / scale)


def unseen(signs: np.ndarray, first: np.ndarray, counts: np.ndarray, groups: list[str]) -> np.ndarray:
    """The score of each pair by weights fitted without its group, a mean over several divisions into folds."""
    names, total = sorted(set(groups)), np.zeros(len(first))
    for seed in range(SEEDS):
        fold_of = dict(zip(names, np.random.default_rng(seed).permutation(len(names)) % FOLDS, strict=True))
        folds = np.array([fold_of[name] for name in groups])
        for fold in range(FOLDS):
            rest = folds != fold
            total[~rest] += signs[~rest] @ fit(signs[rest], first[rest], counts[rest])
    return total / SEEDS


def show(name: str, scores: np.ndarray, first: np.ndarray) -> None:
    right = int(((scores > 0) == first).sum())
    low, high = wilson(right, len(first))
    print(f"{name}: {100 * right / len(first):.1f} % [{100 * low:.1f}, {100 * high:.1f}] of {len(first)}")


if __name__ == "__main__":
    main(sys.argv[1:])
