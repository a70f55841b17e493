"""Decomposers: a response as atomic facts, each stated once. Each backend is a file."""

from flame_ray.rewards.decompose.base import Decomposer
from flame_ray.rewards.decompose.rule import RuleDecomposer, decompose, sentences

__all__ = ["Decomposer", "RuleDecomposer", "decompose", "sentences"]
