"""Splits the sentences of a response along their grammar, into more and shorter facts than the rules of `rule.py` do."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from flame_ray.rewards.factuality.decompose.base import SplitSentence, deduplicated
from flame_ray.rewards.factuality.decompose.dedup import content
from flame_ray.rewards.factuality.decompose.grammar import Analysis, Antecedent, Grammar
from flame_ray.rewards.factuality.decompose.rule import subject_of
from flame_ray.rewards.factuality.decompose.sentences import (
    claim_of,
    first_proper_name,
    is_checkable,
    resolve_pronoun,
    sentences,
)
from flame_ray.types import Decomposition, Response

UNCLEAR = ("This ", "These ")  # these refer to a whole sentence rather than to its subject


class ParseDecomposer:
    """Parses the sentences of all responses together.

    Raises ModelError if spaCy or its English model is missing (`pip install 'flame-ray[parse]'`).
    """

    def __init__(self) -> None:
        self._grammar = Grammar()

    def decompose(self, responses: Sequence[Response]) -> list[Decomposition]:
        split = [sentences(each.text, each.finish_reason != "length") for each in responses]
        claims = [[claim_of(sentence) for sentence in sentences_S] for sentences_S in split]
        analyses = iter(self._grammar.analyze(list(chain.from_iterable(claims))))
        parts = zip(split, claims, strict=True)
        return [deduplicated(_split(each, claims_S, list(islice(analyses, len(each))))) for each, claims_S in parts]


@dataclass(frozen=True, slots=True)
class _Referents:
    """What `it` and `they`, and what `he` and `she` refer to; empty where nobody can tell."""

    thing: str = ""
    person: str = ""

    def of_pronoun(self, text: str) -> str:
        """The referent of a pronoun that opens `text`."""
        if text.startswith(UNCLEAR) or (text.startswith("They ") and self.thing == self.person):
            return ""
        return self.person if text.startswith(("He ", "She ")) else self.thing

    def after(self, claim: str, antecedent: Antecedent | None, topic: str) -> "_Referents":
        """The referents of the next sentence."""
        if antecedent is None:
            return _Referents(subject_of(resolve_pronoun(claim, self.thing, topic)) or self.thing, self.person)
        if not antecedent.text:
            return self
        text = resolve_pronoun(antecedent.text, self.thing, topic)
        return _Referents(text, text if antecedent.is_name and not text.startswith("The ") else self.person)


def _split(sentences_S: Sequence[str], claims_S: Sequence[str], analyses_S: Sequence[Analysis]) -> Iterator[SplitSentence]:
    """The sentences of one response with their statements, in which names take the place of pronouns."""
    topic, referents = "", _Referents()
    for sentence, claim, analysis in zip(sentences_S, claims_S, analyses_S, strict=True):
        if not claim:
            yield SplitSentence(sentence, ())
            continue
        about, texts = topic or first_proper_name(claim), []
        for at, statement in enumerate(analysis.statements):
            text = statement.text
            if statement.refers_back:
                text = resolve_pronoun(text, referents.of_pronoun(text), topic)
            if at == 0:
                referents = referents.after(claim, analysis.antecedent, topic)
            texts.append(text)
        topic = about
        yield SplitSentence(sentence, [text for text in texts if is_checkable(text, content(text), about)])
