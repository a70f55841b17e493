"""Removes from a sentence what is about the conversation and not about the world: hedges, courtesies, the speaker.

Only the clause of a hedge is removed, so that `I believe` at the end of a sentence does not hide a false claim.
"""

import re

# `World War I`: the numeral is not the pronoun.
NUMERAL = re.compile(r"(?<=[\w'’.] )([A-Z][\w'’-]+) I\b(?!['’])")
QUOTED = re.compile(r'(?<!\w)(?:"[^"]{1,120}"|“[^“”]{1,120}”)(?!\w)')
# `I`, `we`, `I'm`, `we've`; not `I-95` or `i.e.`
SPEAKER = r"(?<![\w.’'-])(?:I|[Ww]e)(?:['’](?:m|ve|d|ll|re))?(?![\w’'-]|\.\w)"
SAYING = (
    r"(?:only say|say|think|believe|guess|feel|suppose|know|hope|tell you|assure you|confirm|recall|find|learned|read|checked)"
)
# What a model was given to read, or asked; `the text` and `the article` only where a sentence begins.
_GIVEN = (
    r"(?:(?:the |any of the |none of the |all of the |these |this |your |my )?(?:(?:given|provided|above|available"
    r"|following|supplied|retrieved|search"
    r"|reference|source|relevant|two|three|four|five|other|current) )*(?:passages?|contexts?|documents?|texts?"
    r"|articles?|information|sources?|snippets?|excerpts?"
    r"|paragraphs?|evidence|search results?|results|prompt|question|query|reference|references|content|data"
    r"|materials?|statements?|knowledge base"
    r"|text passages?|training data)(?: (?:provided|given|above|available))?(?: #?\d+(?:(?:,| and|, and| or) #?\d+)*)?)"
)
# `I think that`, `In my opinion,`, `Please note that`, `Unfortunately,`, `Sure!`
HEDGE = re.compile(
    r"^(?:(?i:(?:(?:the|my) )?(?:(?:final|short|correct|right) )*answer(?: is(?! not\b|n?['’])(?: that)?|:)|A:)|"
    rf"{SPEAKER} (?:(?:can|could|will|would|must|should|have) )?{SAYING}(?: that)?|{SPEAKER} am (?:sure"
    rf"|certain)(?: that)?"
    rf"|(?:[Aa]s|[Ww]hile|[Aa]lthough|[Tt]hough|[Ss]ince|[Bb]ecause|[Ii]f) {SPEAKER}(?! (?:and|or)\b) [^,]*,"
    rf"|[Ii]f memory serves[^,]*,|[Mm]y (?:knowledge|training|data)\b[^,]*, (?:but|so|and|though)|[Aa]s an? (?:AI"
    rf"|artificial|(?:large )?language model)\b(?:[^,]*,|(?: \w+){{0,4}}? (?=I\b))"
    rf"|(?i:as of|based on|according to|from) my (?:last |latest |current )*(?:knowledge|training|update|data"
    rf"|information|understanding|sources)\b[^,]*,"
    r"|(?i:according to (?:the )?(?:wikipedia|britannica|encyclop[a-z]+|sources|most sources|reports|experts),)"
    r"|According to (?:[A-Z][\w'’.-]+,? (?:(?:and|&|et al\.) )?)+\((?:1[5-9]|20)\d\d[a-z]?\),"
    rf"|(?i:based (?:solely |only )?(?:up)?on|according to|from) {_GIVEN}(?: (?:provided|given|available)(?: to me)?)?,"
    rf"|[Ii]n my (?:opinion|view),?|(?:[Aa]s far as|[Tt]o the best of)[^,]*,"
    r"|(?i:(?:please )?(?:note|remember|keep in mind|be aware)(?: that|,)"
    r"|it(?: is|['’]s) (?:important|interesting|worth noting|worth mentioning)(?: to (?:note|know|mention|remember))? that"
    r"|did you know(?: that|,)|(?:additionally|furthermore|moreover|however|overall|in conclusion|in addition|also|finally"
    r"|unfortunately|sadly|fortunately|lastly|secondly|firstly|thirdly|first|second|third|thus|therefore|hence"
    r"|in summary|to put it simply|in short|simply put),|(?:sure|yes|no)[!,.]|(?:certainly|of course)[!,.]?(?= |$))) ?"
)
# A clause of the speaker's after a claim: `, I believe`, `(I checked)`, ` but I may be wrong`.
CLAUSE_START = r"[,;:(]\s*(?:(?:but|and|so|as|though|or|which|where|that) )?|\s+(?:but|so) "
ASIDE = re.compile(rf"(?:^|{CLAUSE_START}){SPEAKER}[^,;)]*\)?")
# Apologies, greetings, announcements and what a model says of itself: such a sentence claims nothing.
NO_CLAIM = re.compile(
    r"\b(?:available|known) to me\b|\bmy (?:knowledge|training|data)\b"
    r"|^here(?:['’]s| (?:is|are))\b(?!.*\b(?:which|that|who)\b)"
    r"|^(?:sorry|apologies|please|hello|hi|hey|thank you|thanks(?! to)|sure|certainly|of course"
    r"|let me|let's|feel free)(?![\w-])",
    re.IGNORECASE,
)
# `I hope that it answers your question`
TO_READER = re.compile(r"^(?:this|that|it|these)\b[^,;]*\byour?\b")
# `If you have questions, I ...`: what is left is a clause without its main clause.
DANGLING = re.compile(r"^(?:If|When|While|As|Although|Though|Since|Because|Whether|Before|After|Until|So|And|But)\b[^,;]*$")


def without_hedges(sentence: str) -> str:
    """What a sentence claims; empty for a question and for a sentence that claims nothing.

    >>> without_hedges("Unfortunately, Peru borders Kenya, I believe."), without_hedges("I'm sorry, but I cannot say.")
    ('Peru borders Kenya', '')
    """
    rest, before = sentence, ""
    while rest != before:
        before = rest
        rest = _without_refusal(HEDGE.sub("", rest, count=1))
    asked = rest.endswith(("?", "？", "؟")) and not re.match(r"did you know", sentence, re.IGNORECASE)
    bare = NUMERAL.sub(r"\1", QUOTED.sub("", rest))
    if asked or NO_CLAIM.search(bare) or (rest != sentence and TO_READER.match(bare)):
        return ""
    if not re.search(SPEAKER, bare):
        return rest.rstrip("?") if rest != sentence else rest
    rest = ASIDE.sub("", rest).strip(" ,;:.!?")
    return "" if DANGLING.match(rest) else rest


# --- refusals -------------------------------------------------------------------------------------------------------

_NOT = r"(?:do(?:es)? not|don['’]t|doesn['’]t|did not|didn['’]t|cannot|can['’]t|fails? to|never|none of them)"
_TELL = (
    r"(?:provide|mention|state|specify|contain|include|say|indicate|give|discuss|address|answer|reveal|disclose"
    r"|clarify|offer|list|have|tell|describe"
    r"|identify|explain|make (?:it )?clear|name|cover|refer|present|show|support|determine|directly|explicitly"
    r"|specifically|clearly|seem|appear|talk)"
)
_FOUND = (
    r"(?:determined?|answered|found|known|said|identified|established|verified|inferred|ascertained|confirmed"
    r"|provided|concluded|deduced|derived"
    r"|given|answer|determine|say|tell|identify|provide|know|find|establish|verify|confirm|conclude|infer|ascertain)"
)
_HAS = r"(?:has|have|makes?|gives?|contains?|provides?|offers?|includes?|holds?)"
REFUSAL = re.compile(
    rf"^(?:as of (?:now|today|yet), |currently, |at (?:this|the) (?:time|moment), |at present, |without (?:more|further"
    rf"|additional|any)\b[^,]*, |(?:based|relying|going|according|depending) (?:solely |only |up)?(?:on"
    rf"|to) {_GIVEN}[^,]*, |unfortunately, "
    rf"|sorry, |however, |from {_GIVEN},? |from {_GIVEN}[^,]*, "
    rf"|in {_GIVEN}[^,]*, )*"
    rf"(?:{_GIVEN}(?: (?:that|which|you|about|on|in|from)\b[^,.]*?)? (?:{_NOT}|only"
    rf"|alone {_NOT}) (?:\w+ly )?(?:(?:to )?{_TELL}|enough)\b"
    rf"|(?:(?:none of|neither(?: of)?|nothing in) {_GIVEN}|no (?:passage|text|context)s?) (?:\w+ly )?{_TELL}s?\b"
    rf"|{_GIVEN} (?:(?:says?|tells?(?: us)?|mentions?|contains?|reveals?) nothing\b|(?:is|are) (?:silent\b"
    rf"|about (?:other|different|unrelated)))"
    rf"|{_GIVEN} (?:(?:{_HAS} no|lacks?)\b[^,.]*\b(?:information|answers?|mention|details?|data|evidence|reference)"
    rf"|(?:is|are) (?:not |ir|un)(?:relevant|related) to (?:the|this|that|your) question)\b"
    rf"|(?:cannot|can['’]t|could not|couldn['’]t|unable to|not possible to) (?:be )?(?:\w+ly )?{_FOUND}\b[^,]*$"
    rf"|no (?:specific |clear |direct |relevant |further |such |explicit "
    rf"|definitive |reliable )*(?:information|answer|mention|details?|data|evidence|reference)\b"
    rf"[^,.]* (?:provided|given|available|found|mentioned|made)\b|there(?:['’]s| is| are| was| were| isn['’]t"
    rf"| aren['’]t) (?:any|no"
    rf"|not|not any|insufficient|not enough)"
    rf" (?:\w+ )*?(?:information|mention|answer|evidence|details?|data|reference|indication|way (?:to|of) (?:know"
    rf"|tell|determin)\w*|context)\b"
    rf"|(?:it|that|this|the (?:answer|question|exact \w+|specific \w+|current \w+)(?: (?:to|of|for|in)\b[^,.]*?)?)"
    rf" (?:cannot|can['’]t|can not|could not|couldn['’]t|is impossible to|is not possible to|isn['’]t possible to"
    rf"|is difficult to|is unable to) (?:be )?(?:\w+ly )?{_FOUND}\b"
    rf"|it(?: is|['’]s) (?:impossible|not possible|hard|difficult) to {_FOUND}\b"
    rf"|it(?: is|['’]s) (?:not |un)(?:clear|known|specified|stated|mentioned|certain|determined)\b"
    rf"(?=\W*$|.*(?:\b{_GIVEN}\b|who\b|what\b|when\b|where\b|how\b|which\b|whether\b))"
    rf"|[^,.]{{0,90}} (?:is|are|was|were) not (?:\w+ly )?(?:specified|mentioned|provided|stated|given|disclosed|indicated)\W*$"
    rf"|[^,.]{{0,90}} (?:is |are |was |were |ha(?:s|ve) )(?:not |un)(?:been )?(?:\w+ly )?(?:specified|mentioned|provided|stated"
    rf"|given|clear|known|available|included|discussed|disclosed|addressed|found|answered|present|contained|covered|listed)"
    rf" (?:in|by|from|within|based on) {_GIVEN}"
    rf"|[^,.]{{0,90}} (?:cannot|can['’]t|could not|couldn['’]t) be (?:\w+ly )?{_FOUND} (?:from|based|by|with|using|in"
    rf"|due|without|given)\b"
    rf"|(?:the|this|that|such|any) (?:information|answer) (?:is|was)(?:n['’]t| not| un) ?(?:\w+ly )?"
    rf"(?:public|available|given|provided|specified|mentioned|stated|known|included|found|clear|in {_GIVEN})\W*$"
    rf"|not (?:\w+ )?in {_GIVEN}\W*$|(?:insufficient|not enough) (?:information|info|context|data|evidence)"
    rf"|(?:more|further|additional) (?:information|context|details?|data) (?:is|are|would be) (?:needed|required|necessary)"
    rf"|(?:n/a|none|idk|no(?:body| one) knows|hard to (?:say|tell)|unknown|unanswerable|no (?:answer|information|info"
    rf"|data)(?: (?:found|given|available|provided))?"
    rf"|not (?:available|specified|mentioned|known|provided|given|stated|applicable))\W*$"
    rf"|(?-i:{SPEAKER})(?: \w+)?(?: not| no|n['’]t| unable| sorry| afraid| apologi[sz]e|not)\b)",
    re.IGNORECASE,
)
# Every refusal has one of these; without one, the longer pattern need not be tried.
DENIAL = re.compile(
    r"\b(?:(?:more|further|additional) (?:information|context|details?|data)|nobody|silent|hard|idk|about (?:other|different)"
    r"|not|cannot|no|none|never|only|enough|insufficient|neither|nothing|lacks?|irrelevant"
    r"|impossible|difficult|unable|sorry|afraid"
    r"|fails?|un[a-z]+|n/a|apolog\w+)\b|n['’]t\b",
    re.I,
)
# After a refusal the sentence may go on with a claim.
GOES_ON = re.compile(r"(?:, |; |\. )?\b(?:but|however|although|though|nevertheless|that said)\b,? |; ", re.IGNORECASE)


def _without_refusal(sentence: str) -> str:
    """What a sentence claims after a refusal: `As an AI, I cannot browse, but the capital is Lima` -> `the capital is Lima`

    >>> _without_refusal("The passages do not provide the current time in Morocco.")
    ''
    """
    if not DENIAL.search(sentence) or not REFUSAL.match(sentence):
        return sentence
    goes_on = GOES_ON.search(sentence)
    return _without_refusal(sentence[goes_on.end() :]) if goes_on else ""
