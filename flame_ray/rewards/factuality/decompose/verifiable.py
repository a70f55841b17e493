"""Tells a statement that evidence could decide from one that says nothing: praise, a fragment, a sentence without grammar."""

import re

from flame_ray.rewards.factuality.decompose.dedup import NEGATIONS, content, vocabulary
from flame_ray.rewards.factuality.decompose.hedges import QUOTED
from flame_ray.rewards.factuality.decompose.subjects import Topic
from flame_ray.rewards.factuality.decompose.verbs import BEFORE_NOUNS, first_verb

# Beside the empty words of every claim, these say nothing of a topic that was asked about.
VAGUE = vocabulary("""
    multi faceted multi-faceted sector sectors industry industries product products goods activities activity economies
    climates weather terrain terrains exports export imports features feature feature's component components aspect
    aspects element elements environments traditions customs quite unique uniquely distinct distinctive distinguished
    pretty typical typically known renowned international national global world's citizens inhabitants nature scenery
    scenic views view charm wonder wonders breathtaking picturesque charming paradise haven treasure testament blend
    mixture tapestry crucial vital essential critical significantly contributes contribute contributing contribution
    contributor support supports supported supporting respective relative overall main mainly primary primarily
    considered regarded seen good better best nice lovely wonderful amazing perfect ideal pleasant interesting notable
    noted depend depends depending conditions condition based centered characterized shaped driven involves involved
    varied vary varies vast extensive wide-ranging multifaceted growth grow development develop developed providing
    provides provide provided play playing things thing something kind kinds type types form forms existing exist exists
    range ranges across throughout within while because due these there here itself located lies situated found visitors
    visitor tourists destination experience experiences tradition answer question sentence sentences above below
    following mentioned refer section one incredibly extremely truly really highly region regions continent other others
    another various""")
DIRECTIONS = vocabulary("north south east west northern southern eastern western central part parts side region area")
# A statement that begins so speaks of what was said before it, and nobody can tell of what.
UNTOLD = re.compile(
    r"^(?!It (?:is|was) (?:\w+ly )?\w+ that\b)(?:(?:This|That|These|Those|It|They|Their|Its)(?:['’]s)?(?: (?:also|in turn))?"
    r" (?:is|are|was|were|has|have|had"
    r"|means|makes|made|holds?|includes?|can|may|will"
    r"|shares?|also|leads?|led|helps?|allows?|creates?|gives?|shows?|contributes?|provides?|plays?|\w+ed)\b"
    r"|(?:This|These|Those|Both|Such)(?: (?:two|three|unique|significant|diverse))* (?:phenomenon|process|categor"
    r"|combination|blend|factors?|features?|elements?|diversity"
    r"|languages?|religions?|industries|sectors?|resources|crops|products|mountains|countries|areas?|region|frameworks?)\w*\b"
    r"|(?:The|Both) two (?:countries|nations|regions)\b|Both (?:the )?[a-z]|(?:The|My|Your) (?:answer|question"
    r"|sentences?|text|user)\b"
    r"|Of these\b|There is another\b|Corresponding\b)"
)
THESE = re.compile(r"^[^,]*\bthese \w+[^,]*$", re.IGNORECASE)
DETAIL = re.compile(r"\d|(?<=[a-z,] )[A-Z]")  # a figure or a name
SPOKEN_TO = re.compile(
    r"\byour (?:question|answer|request|needs|query|interest|trip|visit)"
    r"|\b(?:assist|help|tell|show|give) you\b|\b(?-i:me|my|[Ll]et['’]s)\b"
    r"|^(?:Refer|See|Visit|Note|Imagine|Consider|Explore|Discover|Embrace|Enjoy|Share|Let|Try)\b|\byou can tell\b|\byourself\b",
    re.IGNORECASE,
)
# Two function words that no sentence has side by side.
BROKEN = re.compile(
    r"\b(?:the|an?|its|their|our|his) (?:is|are|was|were|has|have|of|with|by|at|for|from|and|or|the|an?|its|their|as"
    r"|that|which|do|does)\b"
    r"|\b(?:of|with|at|by|into|between|from) (?:is|are|was|were|has|have|of|with|for|at|into|as do|as does)\b"
    r"|\bin (?:the in|in|of)\b"
    r"|\b(?:the|of|in|and|is|are|was|with|to|an?|as|that) (?P<same>(?:the|of|in|and|is|are|was|with|to|an?|as) )(?P=same)"
    r"|\b(the|of|in|and|is|are|was|with|to|an?|for|by) \1\b|\b(?:are|were|is|was) (?:includes?|have|has|are|is|was"
    r"|exports|consists?)\b"
    r"|\b(?:is|are) with\b"
    r"|\b(?:main|major|primary) (?:includes?|are|is|also|has|have)\b|\b(?:produces?|includes?|contains?) of\b"
    r"|\bin (?:the )?(?:Central|(?:North|South|East|West)ern)$|(?: (?:the|an?|its|their|and|or|which|that|of|with"
    r"|including|such as|while|whose|there might be))$",
    re.IGNORECASE,
)
MAX_OF_ITSELF = 14  # words
LONGEST_WORD = re.compile(r"\b[a-z]{20,}\b")  # longer ones are words that ran together
# `The capital is the city is known as Lima`
TWO_VERBS = re.compile(
    r"^(?:(?!\b(?:that|which|who|whose|what|where|when|how|why|and|but|or|as|if|than|because|while|there|since"
    r"|although)\b|[,;:]).)*?"
    r"\b(?:is|are|was|were)\b(?:(?!\b(?:that|which|who|whose|what|where|when|how|why|and|but|or|as|if|than|because"
    r"|while|there|it|he|they|she|since|although)\b|[,;:.]).)*?\b(?:is|are|was|were)\b"
)
# `The economy of Peru is based on agriculture, industries and natural resources`: so is every economy.
_SECTOR = (
    r"(?:(?:various|several|many|different|other|its|the) )*"
    r"(?:agriculture|crops|industr(?:y|ies)|services|(?:natural )?resources|trade)"
)
ANY_ECONOMY = re.compile(
    r"\beconomy\b.*\b(?:based|rel(?:y|ies|iant)|depend(?:s|ent)?)(?: \w+ly)? (?:up)?on "
    r"(?:the production (?:and consumption )?of )?"
    rf"(?=.*\b(?:industries|natural resources)\b){_SECTOR}(?:,? (?:and|as well as) {_SECTOR}|, {_SECTOR})+$"
)
BE = re.compile(r"\b(?:is|are|was|were)\b")


def says_something(statement: str, topic: Topic) -> bool:
    """Whether evidence could decide a statement.

    >>> peru = Topic("Peru", is_place=True)
    >>> [says_something(text, peru) for text in ("Peru exports gold", "Peru has a rich culture", "Peru, a land of gold")]
    [True, False, False]
    """
    return (
        len(statement.split()) > 2
        and _is_a_sentence(statement)
        and not _is_untold(statement, topic)
        and not SPOKEN_TO.search(QUOTED.sub("", statement))
        and not _is_of_itself(statement, topic)
        and _adds_to(statement, topic)
    )


def _is_a_sentence(statement: str) -> bool:
    """A rule of thumb: a verb after a subject, no pair of words that cannot meet, and mostly letters of the Latin script."""
    bare = re.sub(r"[(\[\"“][^)\]\"”]*[)\]\"”]", "", statement)
    if not _has_verb(statement) or BROKEN.search(bare) or _has_two_verbs(bare) or LONGEST_WORD.search(bare):
        return False
    return sum(char.isascii() or (char.isalpha() and ord(char) < 0x250) for char in statement) >= 0.8 * len(statement)


def _has_two_verbs(statement: str) -> bool:
    return len(BE.findall(statement)) > 1 and TWO_VERBS.match(statement) is not None


def _is_untold(statement: str, topic: Topic) -> bool:
    """Whether a statement is about something that only an earlier sentence names, and has no detail to tell what it is."""
    if UNTOLD.match(statement):
        return topic.is_place or not DETAIL.search(statement)
    return bool(THESE.match(statement)) and not DETAIL.search(statement)


def _has_verb(statement: str) -> bool:
    """Whether a word after the first is a verb, or has the ending of one where no noun is due."""
    verb = first_verb(statement, statement.find(" ") + 1)
    if verb is None and BASE_VERB.search(statement, statement.find(" ")):
        return True
    return verb is not None or any(match[1] not in BEFORE_NOUNS for match in VERB_ENDING.finditer(statement))


# Verbs of a plural subject that are as often nouns: they make a sentence, but no rule splits at them.
BASE_VERB = re.compile(
    r" (?:vote|work|want|find|think|know|come|go|say|tell|ask|seem|feel|run|move|like|hold|bring|happen|write|sit|stand|pay"
    r"|learn|change|watch|stop|create|read|add|spend|grow|open|walk|win|offer|love|appear|buy|wait|serve|send|stay|fall|reach"
    r"|remain|fight|marry|travel"
    r"|migrate|breathe|produce|swim|fly|hunt|contain|cause|form|cover|divide|carry|drink|sleep|own|earn|teach|play"
    r"|attend|visit|study|need|prefer|protect)\b(?! of\b)"
)
VERB_ENDING = re.compile(r"\b([\w'’-]+),? (?:\w+ly )?(?:[a-z]{2,}ed|[a-z]+(?<![siu'’])s)\b")


def _adds_to(statement: str, topic: Topic) -> bool:
    """Whether the predicate has a figure, a name or a word with content that neither its subject nor the topic has."""
    if ANY_ECONOMY.search(statement):
        return False
    verb = first_verb(statement)
    head, predicate = (statement[: verb.start()], statement[verb.start() :]) if verb else ("", statement)
    empty = content(topic.name) | NEGATIONS | _VAGUE_STEMS
    subject, said = content(head) - empty, content(predicate) - empty
    if said - subject - _DIRECTION_STEMS or _other_names(predicate, topic):
        return True
    if re.search(r", (?:\S+ )?[A-Z]", head):  # `The capital, i.e. Lima, lies high`
        return True
    if subject:  # `Lima lies in Peru`, `The capital lies in the south`, `The capital of Peru is Peru`
        return bool(said - subject) or (topic.names(predicate) and (not topic.names(head) or _is_only(predicate, topic)))
    return bool((said - _DIRECTION_STEMS) | (content(predicate) & NEGATIONS)) and not (
        topic.names(predicate) and topic.names(head)
    )


def _is_only(predicate: str, topic: Topic) -> bool:
    """Whether a predicate says that its subject is the topic, and no more."""
    return (
        re.fullmatch(rf"(?:is|are|was|were) (?:called )?(?:the )?{re.escape(topic.bare)}", predicate, re.IGNORECASE) is not None
    )


def _other_names(predicate: str, topic: Topic) -> bool:
    return any(name not in topic.name for name in re.findall(r"(?<=[a-z,] )[A-Z][\w'’-]+", predicate))


def _is_of_itself(statement: str, topic: Topic) -> bool:
    """`Peru is a member of the nation of Peru`, `Peru lies between Peru and Chile`; not `Guinea lies in Equatorial Guinea`"""
    if not topic or len(statement.split()) > MAX_OF_ITSELF:
        return False
    name = rf"(?:the )?{re.escape(topic.bare)}"
    return bool(
        re.match(
            rf"{name} [^,:;]*\b(?:located|situated|lies|member|part|"
            rf"piece|home|providing|contributing)\b[^,:;]* (?:(?:in|of|to) (?:the )?"
            rf"(?:(?:[\w-]+ )*of |(?-i:[a-z][\w-]* )*){name}$|between {name} and\b"
            rf"|between [^,:;]* and {name}$)",
            statement,
            re.IGNORECASE,
        )
    )


_VAGUE_STEMS = frozenset().union(*(content(word) for word in VAGUE))
_DIRECTION_STEMS = frozenset().union(*(content(word) for word in DIRECTIONS))
