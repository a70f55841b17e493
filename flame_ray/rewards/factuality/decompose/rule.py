"""Splits a response into short, self-contained facts by rules of English word order, without a model.

Where no rule fits, a clause stays whole: that makes a fact harder to support, never easier.

A response cannot look factual without being so: a fact that is repeated counts once; praise that no evidence could check,
questions, greetings and refusals do not count. A hedge (`I think that ...`) does not hide the claim after it.
"""

from collections.abc import Container, Iterator, Sequence
from typing import Literal

from flame_ray.rewards.factuality.decompose.answers import is_yes_or_no, read_with_question
from flame_ray.rewards.factuality.decompose.base import Skips, SplitSentence, deduplicated, skip_none
from flame_ray.rewards.factuality.decompose.clauses import split_clauses
from flame_ray.rewards.factuality.decompose.language import refuse_other_languages
from flame_ray.rewards.factuality.decompose.leads import is_statement
from flame_ray.rewards.factuality.decompose.sentences import claim_of, sentences
from flame_ray.rewards.factuality.decompose.subjects import named, resolve, subject_of, topic_of
from flame_ray.rewards.factuality.decompose.verifiable import says_something
from flame_ray.types import Decomposition, Response


class RuleDecomposer:
    """`rule` splits sentences into clauses and list items; `sentence` keeps them whole (the paper's ablation, table 10)."""

    def __init__(self, mode: Literal["rule", "sentence"] = "rule", skips: Skips = skip_none):
        self._mode, self._skips = mode, skips

    def decompose(self, questions: Sequence[str], responses: Sequence[Response]) -> list[Decomposition]:
        """Raises ValueError if a response is not in English."""
        for response in responses:
            refuse_other_languages(response.text)
        split = [sentences(each.text, each.finish_reason != "length") for each in responses]
        return [
            deduplicated(_split(sentences_S, self._mode, question, skipped))
            for question, sentences_S, skipped in zip(questions, split, self._skips(split), strict=True)
        ]


class ResponseLevelDecomposer:
    """The whole response is its only sentence and fact, for checkers of whole responses (`check/response_level.py`).

    It abstains where the rules find no fact.
    """

    def decompose(self, questions: Sequence[str], responses: Sequence[Response]) -> list[Decomposition]:
        return [
            _as_one_fact(each.text, each.finish_reason != "length", question)
            for question, each in zip(questions, responses, strict=True)
        ]


def _as_one_fact(text: str, finished: bool, question: str) -> Decomposition:
    sentences_S = sentences(text, finished)
    if not sentences_S:
        return Decomposition((), ())
    whole = text.strip() if finished else " ".join(sentences_S)
    return deduplicated([SplitSentence(whole, [whole] if decompose(text, "sentence", finished, question).facts_F else [])])


def decompose(text: str, mode: Literal["rule", "sentence"], finished: bool = True, question: str = "") -> Decomposition:
    """The sentences and facts of an answer to a question; `finished=False` says that the text was cut off.

    >>> found = decompose("Peru is bordered by Chile, Brazil and Ecuador. It has a rich culture.", "rule")
    >>> [fact.text for fact in found.facts_F]
    ['Peru is bordered by Chile', 'Peru is bordered by Brazil', 'Peru is bordered by Ecuador']
    >>> [sentence.verifiable for sentence in found.sentences_S]
    [True, False]
    """
    return deduplicated(_split(sentences(text, finished), mode, question))


def _split(
    sentences_S: Sequence[str], mode: Literal["rule", "sentence"], question: str, skipped: Container[str] = ()
) -> Iterator[SplitSentence]:
    claims = [claim_of(sentence) for sentence in sentences_S]
    topic, subject = topic_of(question, [claim for claim in claims if claim]), ""
    is_short = not any(map(is_statement, claims)) or all(map(is_yes_or_no, sentences_S))
    for at, (sentence, claim) in enumerate(zip(sentences_S, claims, strict=True)):
        if is_short and (claim or is_yes_or_no(sentence)):
            as_written = sentence[:1].islower() or is_yes_or_no(sentence)
            claim = read_with_question(sentence if as_written else claim or sentence, question, at, topic)
        if claim:
            claim = resolve(claim, subject, topic)
            subject = subject_of(claim) or subject
        if not claim or sentence in skipped:
            yield SplitSentence(sentence, ())
            continue
        pieces = split_clauses(claim, topic) if mode == "rule" else [claim]
        yield SplitSentence(sentence, [named(piece, topic) for piece in pieces if says_something(piece, topic)])
