"""Decides which sentences carry factual knowledge, by a classifier or a language model; the others are not decomposed.

This is the ablation of FLAME's table 6, where it made results worse. A false sentence that is taken for a remark costs nothing.
"""

import math
from collections.abc import Callable, Iterable, Sequence

from flame_ray.engines.base import Message
from flame_ray.errors import ModelError
from flame_ray.prompts.classify import Question, probabilities
from flame_ray.rewards.factuality.decompose.leads import is_statement
from flame_ray.rewards.verifier.protocol import Verifier
from flame_ray.storage.cache import Cache

Probabilities = Callable[[Sequence[str]], list[float]]  # P(yes) of each sentence
YES_FOR_SURE = (0.0, -math.inf)  # the log-probabilities of yes and no

# Turns of a conversation, as for instructions (prompts/classify.py).
CARRIES_FACTS = Question(
    "Does this sentence state knowledge or a remark?",
    "Knowledge",
    "Remark",
    (
        ("Vienna lies on the Danube.", "Knowledge"),
        ("I hope that this helps, and feel free to ask me more!", "Remark"),
        ("It is important to choose what suits you best.", "Remark"),
        ("She won the prize in 1903 together with her husband.", "Knowledge"),
        ("As an AI language model, I cannot tell you that.", "Remark"),
        ("Vaccines train the immune system to recognise a germ.", "Knowledge"),
    ),
)


def by_verifier(verifier: Verifier, known: Cache | None) -> Probabilities:
    """Asks a language model; P(yes) is 1 for a sentence that is too long to ask about. `known` keeps P(yes) for later runs.

    Raises ModelError if the two answers begin with the same token.
    """
    model = _VerifierModel(verifier)
    return lambda sentences: probabilities(sentences, CARRIES_FACTS, model, known)


class SentenceClassifier:
    """A sentence is fact-based when its P(yes) reaches the threshold."""

    def __init__(self, probabilities: Probabilities, threshold: float):
        self.probabilities, self._threshold = probabilities, threshold

    def skipped(self, sentences_RS: Sequence[Sequence[str]]) -> list[frozenset[str]]:
        """Of each of R responses, the sentences that are not fact-based.

        An answer without a statement (`Quito`) has none: it states something only together with its question.
        """
        asked = [sentences_S if any(map(is_statement, sentences_S)) else () for sentences_S in sentences_RS]
        found = iter(self.probabilities([each for sentences_S in asked for each in sentences_S]))
        return [frozenset([each for each in sentences_S if next(found) < self._threshold]) for sentences_S in asked]


class _VerifierModel:
    """A verifier as a `LanguageModel`."""

    def __init__(self, verifier: Verifier):
        self._verifier = verifier
        words = (CARRIES_FACTS.yes, CARRIES_FACTS.no)
        self._first_tokens = tuple(verifier.encode(word)[0] for word in words)
        if len(set(self._first_tokens)) < len(words):
            found, fix = f"the same in {verifier.model}", "use another model as factuality.checker_model"
            raise ModelError(f"different first tokens for {' and '.join(words)}", found, fix)

    def choose(self, chats: Iterable[Sequence[Message]], words: Sequence[str]) -> list[tuple[float, ...]]:
        rendered = self._verifier.render(list(chats))
        fitting = [ids for ids in rendered if len(ids) < self._verifier.max_length]
        found = iter(self._verifier.choices(fitting, self._first_tokens))
        return [next(found) if len(ids) < self._verifier.max_length else YES_FOR_SURE for ids in rendered]
