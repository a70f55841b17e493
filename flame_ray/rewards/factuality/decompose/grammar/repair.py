"""Where the model of the parser often hangs a phrase on the wrong word, and where it belongs.

In: the words of a parsed sentence. Out: the same words with better heads. Knows nothing of facts.
"""

from collections.abc import Sequence

from flame_ray.engines.parser import Word
from flame_ray.rewards.factuality.decompose.grammar import repair_lists as lists
from flame_ray.rewards.factuality.decompose.grammar import repair_phrases as phrases
from flame_ray.rewards.factuality.decompose.grammar.heads import Heads

REPAIRS = (
    lists.noun_called_verb,
    phrases.split_name,
    phrases.unfinished_clause,
    lists.joined_verb,
    lists.joined_participles,
    phrases.after_participle,
    lists.joined_noun,
    lists.list_called_apposition,
    lists.like_articles,
    lists.list_of_persons,
    phrases.empty_preposition,
    phrases.number_range,
    phrases.span,
    phrases.relative_of_date,
    phrases.second_object,
    phrases.apposition,
    phrases.examples_of,
    phrases.dated,
    lists.after_joined,
    phrases.after_examples,
)


def repaired(words: Sequence[Word]) -> list[Word]:
    """Each repair sees what those before it made; none hangs a word on one that depends on it."""
    sentence = Heads(list(words))
    for repair in REPAIRS:
        for index in range(len(sentence.words)):
            repair(sentence, index)
    return sentence.words
