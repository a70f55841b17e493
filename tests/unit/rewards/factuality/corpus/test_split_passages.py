"""Splitting: pieces of about a hundred words, between sentences, with nothing lost."""

import pytest

from flame_ray.rewards.factuality.corpus.split_passages import count_words, split_text

SENTENCE = "The river rises in the high Andes and it flows east to the sea."  # 14 words


def test_a_text_of_up_to_150_words_stays_whole():
    text = " ".join(["word"] * 150)
    assert split_text(text) == (text,)


def test_an_empty_text_is_one_empty_piece():
    assert split_text(" \n") == ("",)


def test_a_long_text_is_split_between_sentences_near_a_hundred_words():
    pieces = split_text(" ".join([SENTENCE] * 30))  # 420 words: seven sentences have 98, the eighth would make 112
    assert [len(piece.split()) for piece in pieces] == [98, 98, 98, 126]  # the last 28 words join the piece before
    assert all(piece.startswith("The river") and piece.endswith("sea.") for piece in pieces)


@pytest.mark.parametrize(
    "text",
    [
        " ".join([SENTENCE] * 30),
        "\n\n".join([f"Heading\n\n{SENTENCE} {SENTENCE}"] * 20),
        " ".join(f"word{i}" for i in range(1000)),
        "Dr. Smith paid $3.5 to the U.S. He left. " * 60,
        "Жил-был царь. " * 200,
        "A | B | C\n" * 300,
    ],
)
def test_no_word_is_lost_or_told_twice(text):
    pieces = split_text(text)
    assert len(pieces) > 1
    assert " ".join(pieces).split() == text.split()
    assert all(40 <= count_words(piece) <= 200 for piece in pieces)


def test_a_text_without_spaces_is_split_by_its_characters():
    pieces = split_text("秘鲁位于南美洲西部" * 1000)
    assert "".join(pieces) == "秘鲁位于南美洲西部" * 1000
    assert max(len(piece) for piece in pieces) <= 1800


def test_the_pieces_of_a_sentence_without_an_end_have_a_hundred_words():
    assert [len(piece.split()) for piece in split_text(" ".join(["word"] * 330))] == [100, 100, 130]
