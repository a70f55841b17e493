"""Reads a short answer with its question: `Quito` to `What is the capital of Ecuador?` says what that capital is."""

import re

from flame_ray.rewards.factuality.decompose.dedup import content
from flame_ray.rewards.factuality.decompose.leads import ATTRIBUTE, KEY, is_statement, of_attribute
from flame_ray.rewards.factuality.decompose.subjects import PROPER_NAME, Topic
from flame_ray.rewards.factuality.decompose.verbs import VERB

LONGEST_ANSWER, SHORTEST_ANSWER = 12, 6  # words
# A question that its answer follows where no rule makes a sentence of the two: `How many people live in Peru: 33 million`
SHORT = re.compile(
    r"^(?:how (?:many|much|long|old|far|high|tall|big|large|often)|when|where|in (?:what|which))(?: [^ ,]+){2,13}$",
    re.I,
)
_END = r"(?=,? *(?:[?.]|$))"
BE = r"(is|are|was|were)"
WHAT_IS = re.compile(rf"^(?:what|which|who)(?:['’]?s| {BE}) (?!.*\blike\b)(.+?){_END}", re.IGNORECASE)
WHICH = re.compile(
    rf"^(?:what|which) (?!.*\b(?:does|do|did)\b)((?:[a-z-]+ ){{0,3}}?[a-z-]+) "
    rf"((?:{VERB.pattern}|(?!of\b|in\b|and\b|or\b|to\b)[a-z]+s?) (?!{BE} ).+?){_END}",
    re.IGNORECASE,
)
WHO = re.compile(rf"^who ((?!is|are|was|were|did|does|do\b)[a-z]+ .+?){_END}", re.IGNORECASE)
WHEN_WHERE = re.compile(
    rf"^(when|where|(?:in|on|at) (?:what|which) [a-z]+) {BE} (.+?){_END}",
    re.IGNORECASE,
)
# `Can you tell me who wrote Hamlet?`, `Q: What is ..`, `Answer briefly: what is ..`: what stands before the question
OPENING = re.compile(
    r"^(?:[^.?!:]{1,40}:\s+)?(?:(?:please|(?:can|could|would) you|tell me|do you know|i(?:['’]d)? (?:want|would like"
    r"|like|need) to know|i wonder),? )*"
    r"(?=(?:what|which|who|whom|when|where|how|in|on|is|are|was|were|does|do|did)\b)",
    re.IGNORECASE,
)
# `what the capital of Peru is`, `when Lima was founded`, after such an opening
INDIRECT = re.compile(rf"^(what|who|when|where) (?!is\b|are\b|was\b|were\b|do)(.+?) {BE}( [a-z]+)?[?. ]*$", re.IGNORECASE)
NOUN_OF = re.compile(
    r"^(?!describe|explain|discuss|summari|compare|write|outline|introduce|name|list|give|state|identify|mention|tell)"
    r"(?:the )?([\w -]+) of [\w' -]+[?.]?$",
    re.IGNORECASE,
)
PREPOSITION = r"(?:in|on|at|with|from|to|by|for|of|through|into|under|over|after|about|against)"
# Whom or what a question is about, where a verb or an adjective follows: `Peru`, `the Berlin Wall`, `penguins`
SUBJECT = (
    rf"(?:(?:[Tt]he )?{PROPER_NAME}(?= [a-z])"
    rf"|(?!(?:this|his|its|as|us)\b)(?:[a-z]+s|people|men|women|children)(?= (?!{PREPOSITION}\b)))"
)
# `Which elements did Marie Curie discover?`, `With whom does Peru trade?`
DONE = re.compile(
    rf"^(?:((?i:{PREPOSITION})) )?(?i:what|which|whom?)(?: ((?:[a-z-]+ )?[a-z-]+))?? (does|do|did) ({SUBJECT})"
    rf" (?!{PREPOSITION}\b|do\b|[a-z]+(?:al|in|nt|ri|st|us|ve)ly\b)([a-z]+)(?: (.+?))?{_END}"
)
# What may follow the verb of such a question, so that the verb is one: `share the prize with`
_OBJECT = rf"(?:(?:(?:the|an?|his|her|its|their|{PREPOSITION})\b|[A-Z]).*)?"
NAME = re.compile(
    rf"^(?:please )?(?:name|list|give|state|tell me|identify|mention) (?:me )?(?:the names? of )?(.+?){_END}", re.IGNORECASE
)
YES_NO = re.compile(rf"^(is|are|was|were|does|do|did|has|have|can) (?!.*, or )(.+?){_END}", re.IGNORECASE)
COUNTED = re.compile(
    r"^(?:the |a |an |one |two |three |four |five |six |seven |eight |nine |ten |some |all |any "
    r"|\d+ )*",
    re.IGNORECASE,
)
_IT_IS = r"(?:it|they|he|she|that|this|there|[Ii]t['’]s|[Tt]hat['’]s)"
_DOES = r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would)"
_SURELY = r"(?:yes|yep|yeah|yup|correct|true|right|indeed|absolutely|definitely|certainly|of course)"
_NEVER = r"(?:no|nope|nah|false|incorrect|wrong|not at all|definitely not|absolutely not|of course not|not true)"
YES = re.compile(
    rf"^(?:{_SURELY}|{_IT_IS}(?: is)? {_SURELY})(?:[,.!]? (?:{_IT_IS}(?: is)? {_SURELY}|{_IT_IS} {_DOES}))?[,.! ]*$"
    rf"|^yes, (?=(?:in|on|at|by|for|since|from|with|until)\b)(?P<at>[^,.]+)[.! ]*$",
    re.IGNORECASE,
)
NO = re.compile(
    rf"^(?:{_NEVER}|{_IT_IS}(?: is)? {_NEVER})(?:[,.!]? (?:{_IT_IS}(?: is)? {_NEVER}|{_IT_IS} {_DOES}(?:n['’]t"
    rf"| ?not)))?[,.! ]*$",
    re.IGNORECASE,
)
# `Is it true that Lima is in Peru?`
THAT = re.compile(r"^is it (?:really |actually )?(?:true|correct|right|the case|a fact) that (.+?)[?. ]*$", re.IGNORECASE)
OPTIONS = re.compile(r"[\s,:]*\(?\bA[).:]\s.*\bB[).:]\s.*$", re.DOTALL)  # of a question with several answers to choose from
BLANK = re.compile(r"_{2,}|\[blank\]", re.IGNORECASE)


def read_with_question(fragment: str, question: str, at: int, topic: Topic) -> str:
    """What the list item or short answer `at` of a response says; the fragment itself where that cannot be told.

    >>> read_with_question("Quito", "What is the capital of Ecuador?", 0, Topic("Ecuador"))
    'The capital of Ecuador is Quito'
    >>> read_with_question("Norway", "Which countries border Peru?", 1, Topic("Peru"))
    'The countries that border Peru include Norway'
    >>> read_with_question("No", "Is Peru landlocked?", 0, Topic("Peru"))
    'Peru is not landlocked'
    """
    answer, question = fragment.strip(" .!"), OPTIONS.sub("", question)
    if (key := KEY.match(answer)) and ATTRIBUTE.match(key[1]):
        return of_attribute(key[1], key[2], topic.name)
    if len(BLANK.findall(question)) == 1 and len(answer.split()) <= SHORTEST_ANSWER:
        return BLANK.sub(lambda _: answer, question.strip())
    asked = _asked(question)
    if asked and is_yes_or_no(answer):
        said = _yes_or_no(asked[0], bool(NO.match(answer)), topic)
        yes = YES.match(answer)
        return f"{said} {yes['at']}" if said and yes and yes["at"] else said or fragment
    if (last := LAST.match(question.strip())) and content(answer) - content(question):
        return f"{last[1]} {answer}"
    if (
        not asked
        or ":" in answer
        or not content(answer) - content(question)
        or len(answer.split()) > LONGEST_ANSWER
        or is_statement(answer)
    ):
        return fragment
    told = _answered(asked[min(at, len(asked) - 1)], answer)
    if not told and SHORT.match(asked[0]) and len(answer.split()) <= SHORTEST_ANSWER:
        told = f"{asked[0].rstrip('?. ')}: {answer}"
    return told if told and (at < len(asked) or " include " in told or DONE.match(asked[0])) else fragment


def is_yes_or_no(sentence: str) -> bool:
    return bool(YES.match(sentence) or NO.match(sentence))


def _asked(question: str) -> list[str]:
    """The questions in the first sentence that asks something: `What is the capital, and what is the currency?` has two."""
    parts = [_direct(part) for part in re.split(r"(?<=[.?!])\s+", question.strip())]
    first = next((part for part in parts if ASKS.match(part)), "")
    return [part for part in re.split(r",? and (?=(?:what|which|who|when|where|how)\b)", first) if part]


def _direct(question: str) -> str:
    """`Can you tell me what the capital of Peru is?`, `capital of Peru` -> `what is the capital of Peru?`"""
    if (noun := NOUN_OF.match(question)) and ATTRIBUTE.match(noun[1]):
        return f"what is the {re.sub('^the ', '', question, flags=re.IGNORECASE)}"
    asked = OPENING.sub("", question)
    if (told := WANTED.match(question)) and (noun := NOUN_OF.match(told[1])) and ATTRIBUTE.match(noun[1]):
        return f"what is {told[1]}"
    if asked == question:
        return question
    return INDIRECT.sub(lambda found: f"{found[1]} {found[3]} {found[2]}{found[4] or ''}?", asked)


WANTED = re.compile(r"^i(?:['’]d| would)? (?:want|like|need) to know (the .+)$", re.IGNORECASE)
ASKS = re.compile(
    rf"^(?:whats?|which|whos?|whom|whose|when|where|how|{PREPOSITION} (?:what|which|whom)|is|are|was|were|does|do|did"
    r"|has|have|can|name|list|give|state|identify|(?:please )?tell me the)\b",
    re.IGNORECASE,
)


HOW_MANY = re.compile(
    r"^how (?:many|much) ((?:[a-z-]+ )??[a-z-]+) (?:(?:does|do|did) (.+) (?:have|has)|((?!does|do|did)[a-z]+ .+))[?. ]*$", re.I
)
# `Lima is the capital of which country?`
LAST = re.compile(r"^((?!what|which|who|how|when|where).+) (?:which|what) (?:[a-z]+)\?$", re.IGNORECASE)


def _answered(asked: str, answer: str) -> str:
    if found := HOW_MANY.match(asked):
        found = HOW_MANY.match(asked.rstrip("?. ")) or found
        counted = answer if found[1].lower() in answer.lower() else f"{answer} {found[1]}"
        return f"{found[2]} has {counted}" if found[2] else f"{counted} {found[3]}"
    if found := WHEN_WHERE.match(asked):
        return _when_or_where(found[1].lower(), found[2].lower(), found[3], answer)
    if found := DONE.match(asked):
        return _done(found, answer)
    if found := WHAT_IS.match(asked):
        if open_ := re.match(rf"(?!.* that )(.+) ([a-z]+ ({PREPOSITION}))$", found[2]):  # `Who was Emma written by?`
            said = re.sub(f"^{open_[3]} ", "", answer, flags=re.IGNORECASE)
            return f"{open_[1][:1].upper()}{open_[1][1:]} {found[1] or 'is'} {open_[2]} {said}"
        return _called(found[2], answer, found[1] in ("are", "were"))
    if found := WHO.match(asked):
        return f"The one who {found[1]} is {answer}"
    if found := WHICH.match(asked):
        return _called(f"{found[1]} that {found[2]}", answer, found[1].endswith(("s", "people")))
    if (found := NAME.match(asked)) and not re.match(r"(?:a|an) (?:\w+ )?(?:summary|description|overview|list)\b", found[1]):
        many = re.match(r"(?:the )?[\w -]*?\w+s\b(?= that| which| of| in|$)", COUNTED.sub("", found[1]))
        return _called(found[1], answer, bool(many))
    return ""


def _called(thing: str, answer: str, many: bool) -> str:
    name = COUNTED.sub("", thing)
    if many and " and " not in answer:
        answer = re.sub(r", (?=[^,]+$)", " and ", answer)
    return f"The {name} {'include' if many else 'is'} {answer}"


def _when_or_where(asks: str, be: str, rest: str, answer: str) -> str:
    """`When was Lima founded?`, `1535` -> `Lima was founded in 1535`"""
    subject, _, verb = rest.rpartition(" ") if re.search(r" [a-z]+(?:ed|n|t|ld|de)$", rest) else (rest, "", "")
    said = re.sub(r"^(?:in|on|at) ", "", answer)
    is_day = asks.endswith(("when", "date", "day")) and re.match(r"[A-Z][a-z]+ [0-9]|[0-9]{1,2} [A-Z]", answer)
    at = answer if said != answer else f"{'on' if is_day else 'in'} {answer}"
    return " ".join(f"{subject} {be} {verb} {at}".split())


def _done(found: re.Match[str], answer: str) -> str:
    """`What does Peru export to Chile?`, `copper` -> `Peru exports copper to Chile`"""
    at, thing, do, subject, verb, rest = (each or "" for each in found.groups())
    at = "in" if thing in ("year", "month", "century", "decade", "continent") else at.lower()
    said = f"{subject[:1].upper()}{subject[1:]} {_conjugated(do, verb)}"
    if subject.casefold() in answer.casefold():  # a sentence of its own
        return ""
    if at or re.search(rf"(?:^| ){PREPOSITION}$", rest):
        told = f"{said} {rest} {at} {re.sub(f'^{at} ', '', answer, flags=re.IGNORECASE) if at else answer}"
        return " ".join(told.split()) if re.fullmatch(_OBJECT, rest) else ""
    if not rest or (re.match(rf"{PREPOSITION}\b", rest) and not re.match(rf"{PREPOSITION} {PREPOSITION}\b", rest)):
        return f"{said} {answer} {rest}".strip()
    return ""


def _conjugated(do: str, verb: str) -> str:
    """`does`, `export` -> `exports`; `did`, `export` -> `did export`"""
    return f"{do} {verb}" if do != "does" else "has" if verb == "have" else f"{verb}s"


def _yes_or_no(asked: str, denied: bool, topic: Topic) -> str:
    if that := THAT.match(asked):
        return "" if denied else f"{that[1][:1].upper()}{that[1][1:]}"
    found = YES_NO.match(asked)
    name = next(
        (each for each in (topic.name, topic.bare) if found and each and found[2].casefold().startswith(each.casefold())), ""
    )
    if found and not name and (subject := re.match(SUBJECT, found[2])):
        name = subject[0]
    if not found or not name:
        return ""
    verb, rest = found[1].lower(), found[2][len(name) :].strip()
    name = name[:1].upper() + name[1:]
    if not denied and verb in ("does", "do", "did"):
        first, _, more = rest.partition(" ")
        return f"{name} {_conjugated(verb, first)} {more}".strip()
    return f"{name} {verb} {'not ' if denied else ''}{rest}"
