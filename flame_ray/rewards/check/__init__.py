"""Checkers: what the evidence says of facts. Each backend is a file; all take claims and give a verdict each.

lexical   words, names and numbers in common; no model, under a millisecond a claim
cached    any of them, asked once for each (fact, evidence)
"""

from flame_ray.rewards.check.base import Checker
from flame_ray.rewards.check.lexical import LexicalChecker

__all__ = ["Checker", "LexicalChecker"]
