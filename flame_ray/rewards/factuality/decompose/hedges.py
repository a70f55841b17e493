"""What a sentence says of the talk rather than of the world: hedges, courtesies, who speaks and to whom.

In: a sentence. Out: what it claims once that is gone; nothing, if that was all. A remark takes only its own clause along: a
falsehood is not hidden by `I believe` behind it. Pure.
"""

import re

NUMERAL = re.compile(r"(?<=[\w'’.] )([A-Z][\w'’-]+) I\b(?!['’])")
QUOTED = re.compile(r'(?<!\w)(?:"[^"]{1,120}"|“[^“”]{1,120}”)(?!\w)')
SPEAKER = r"(?<![\w.’'-])(?:I|[Ww]e)(?:['’](?:m|ve|d|ll|re))?(?![\w’'-]|\.\w)"
SAYING = r"(?:think|believe|guess|feel|suppose|know|hope|say|tell you|assure you|confirm|recall|find|learned|read|checked)"
OPENING = re.compile(
    rf"^(?:{SPEAKER} (?:(?:can|could|will|would|must|should|have) )?{SAYING}(?: that)?|{SPEAKER} am (?:sure|certain)(?: that)?"
    rf"|[Aa]s {SPEAKER} [^,]*,|[Ii]n my (?:opinion|view),?|(?:[Aa]s far as|[Tt]o the best of)[^,]*,"
    r"|(?i:(?:please )?(?:note|remember|keep in mind|be aware)(?: that|,)"
    r"|it(?: is|['’]s) (?:important|interesting|worth noting|worth mentioning)(?: to (?:note|know|mention|remember))? that"
    r"|did you know(?: that|,)|(?:additionally|furthermore|moreover|however|overall|in conclusion|in addition|also|finally"
    r"|unfortunately|sadly|fortunately),|(?:sure|yes|no)[!,.]|(?:certainly|of course)[!,.]?(?= |$))) ?"
)
TURN = r"[,;:(]\s*(?:(?:but|and|so|as|though|or|which|where|that) )?|\s+(?:but|so) "
ASIDE = re.compile(rf"(?:^|{TURN}){SPEAKER}[^,;)]*\)?")
NOTHING = re.compile(
    r"\bas an? (?:AI|language model|artificial)|\b(?:available|known) to me\b|\bmy (?:knowledge|training|data)\b"
    r"|^here (?:is|are)\b(?!.*\b(?:which|that|who)\b)"
    r"|^(?:sorry|apologies|please|hello|hi|hey|thank you|thanks(?! to)|sure|certainly|of course"
    r"|let me|let's|feel free)(?![\w-])",
    re.IGNORECASE,
)
ADDRESSED = re.compile(r"^(?:this|that|it|these)\b[^,;]*\byour?\b")  # `I hope that it answers your question`
WAITING = re.compile(r"^(?:If|When|While|As|Although|Though|Since|Because|Whether|Before|After|Until|So|And|But)\b[^,;]*$")


def without_remarks(sentence: str) -> str:
    """
    >>> without_remarks("Unfortunately, Peru borders Kenya, I believe."), without_remarks("I'm sorry, but I cannot say.")
    ('Peru borders Kenya', '')
    """
    rest = sentence
    while (match := OPENING.match(rest)) and match.end():
        rest = rest[match.end() :]
    asked = rest.endswith(("?", "？", "؟")) and not re.match(r"did you know", sentence, re.IGNORECASE)
    bare = NUMERAL.sub(r"\1", QUOTED.sub("", rest))
    if asked or NOTHING.search(bare) or (rest != sentence and ADDRESSED.match(bare)):
        return ""
    if not re.search(SPEAKER, bare):
        return rest.rstrip("?") if rest != sentence else rest
    rest = ASIDE.sub("", rest).strip(" ,;:.!?")
    return "" if WAITING.match(rest) else rest
