"""Text helpers that retrieval, decomposition and checking share."""

import unicodedata

MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"


def fold(text: str) -> str:
    """The text without accents, so that `São Tomé` equals `Sao Tome`."""
    if text.isascii():
        return text
    return "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
