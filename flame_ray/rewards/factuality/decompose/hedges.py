"""Removes from a sentence what is about the conversation and not about the world: hedges, courtesies, the speaker.

Only the clause of a hedge is removed, so that `I believe` at the end of a sentence does not hide a false claim.
"""

import re

# `World War I`: the numeral is not the pronoun.
NUMERAL = re.compile(r"(?<=[\w'’.] )([A-Z][\w'’-]+) I\b(?!['’])")
QUOTED = re.compile(r'(?<!\w)(?:"[^"]{1,120}"|“[^“”]{1,120}”)(?!\w)')
# `I`, `we`, `I'm`, `we've`; not `I-95` or `i.e.`
SPEAKER = r"(?<![\w.’'-])(?:I|[Ww]e)(?:['’](?:m|ve|d|ll|re))?(?![\w’'-]|\.\w)"
SAYING = r"(?:think|believe|guess|feel|suppose|know|hope|say|tell you|assure you|confirm|recall|find|learned|read|checked)"
# `I think that`, `In my opinion,`, `Please note that`, `Unfortunately,`, `Sure!`
HEDGE = re.compile(
    rf"^(?:{SPEAKER} (?:(?:can|could|will|would|must|should|have) )?{SAYING}(?: that)?|{SPEAKER} am (?:sure"
    rf"|certain)(?: that)?"
    rf"|[Aa]s {SPEAKER} [^,]*,|[Ii]n my (?:opinion|view),?|(?:[Aa]s far as|[Tt]o the best of)[^,]*,"
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
    r"\bas an? (?:AI|language model|artificial)|\b(?:available|known) to me\b|\bmy (?:knowledge|training|data)\b"
    r"|^here (?:is|are)\b(?!.*\b(?:which|that|who)\b)"
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
    rest = sentence
    while (match := HEDGE.match(rest)) and match.end():
        rest = rest[match.end() :]
    asked = rest.endswith(("?", "？", "؟")) and not re.match(r"did you know", sentence, re.IGNORECASE)
    bare = NUMERAL.sub(r"\1", QUOTED.sub("", rest))
    if asked or NO_CLAIM.search(bare) or (rest != sentence and TO_READER.match(bare)):
        return ""
    if not re.search(SPEAKER, bare):
        return rest.rstrip("?") if rest != sentence else rest
    rest = ASIDE.sub("", rest).strip(" ,;:.!?")
    return "" if DANGLING.match(rest) else rest
