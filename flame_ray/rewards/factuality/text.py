"""Text as retrieval and checking compare it."""

import unicodedata

MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"


def fold(text: str) -> str:
    """Without accents, so that São Tomé and Sao Tome are one."""
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
