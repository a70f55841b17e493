"""Sentences among the tokens of a response: ids are decoded, and sentences found by their words."""

import pytest

from flame_ray.learner.masks import decoded, sentence_spans, token_mask
from tests.doubles import ByteTokens


def found(text: str, *sentences: str) -> list[str | None]:
    """What stands in the text where each sentence was found."""
    return [span and text[slice(*span)] for span in sentence_spans(text, sentences)]


def test_each_token_stands_where_its_text_is():
    tokens = ByteTokens("Lima", " is", " big", ".", "<end>")
    text = decoded(tokens.ids, tokens.decode)
    assert text.text == "Lima is big."
    assert text.spans_T == ((0, 4), (4, 7), (7, 11), (11, 12), (12, 12))


def test_tokens_that_share_a_character_share_its_place():
    first, second = "é".encode()[:1], "é".encode()[1:]
    tokens = ByteTokens("Caf", first, second, " now")
    text = decoded(tokens.ids, tokens.decode)
    assert (text.text, text.spans_T) == ("Café now", ((0, 3), (3, 4), (3, 4), (4, 8)))


def test_bytes_that_are_no_text_at_all_have_a_place_too():
    tokens = ByteTokens("Hm", "é".encode()[:1])
    assert decoded(tokens.ids, tokens.decode).spans_T == ((0, 2), (2, 3))


def test_a_tokenizer_that_drops_the_first_blank_loses_none_within_the_text():
    tokens = ByteTokens(" Lima", " is", " big")
    text = decoded(tokens.ids, lambda ids: tokens.decode(ids).removeprefix(" "))
    assert (text.text, text.spans_T) == ("Lima is big", ((0, 4), (4, 7), (7, 11)))


def test_a_token_without_text_takes_no_blank_from_the_next_one():
    """As ids beyond the tokenizer, which a model with a larger embedding may sample."""
    tokens = ByteTokens("<end>", " Lima", "<end>", "<end>", " is", " big")
    text = decoded(tokens.ids, lambda ids: tokens.decode(ids).removeprefix(" "))
    assert (text.text, text.spans_T) == ("Lima is big", ((0, 0), (0, 4), (4, 4), (4, 4), (4, 7), (7, 11)))


def test_a_sentence_is_found_without_its_markup_and_with_the_marks_that_end_it():
    text = "Sure! **Peru** borders\n Chile.) It has _ports_."
    assert found(text, "Sure!", "Peru borders Chile", "It has ports.") == [
        "Sure!",
        "Peru** borders\n Chile.)",
        "It has _ports_.",
    ]


def test_a_list_item_is_found_where_it_stands_though_its_sentence_repeats_the_introduction():
    text = "Peru borders:\n1. Chile\n2. Brazil, and\n3. Ecuador."
    sentences = ["Peru borders: Chile", "Peru borders: Brazil, and", "Peru borders: Ecuador."]
    assert found(text, *sentences) == ["Peru borders:\n1. Chile", "Brazil, and", "Ecuador."]


def test_what_was_left_out_of_a_sentence_belongs_to_it():
    text = "Lima [1] is the (see https://a.b) capital. It lies on the coast."
    assert found(text, "Lima is the capital.", "It lies on the coast.") == [text[:42], text[43:]]


def test_of_two_equal_sentences_each_is_found_at_its_own_place():
    assert sentence_spans("It is big. It is big.", ["It is big.", "It is big."]) == ((0, 10), (11, 21))


def test_a_sentence_of_other_words_is_not_found_and_the_next_one_is():
    assert found("Lima is big.", "Nothing", "Lima is big.", "") == [None, "Lima is big.", None]


def test_a_token_counts_if_any_of_its_characters_is_in_a_sentence():
    spans = [(0, 4), (4, 5), (5, 9), (9, 9), (9, 14)]
    assert token_mask(spans, [(4, 5), (10, 12)]) == (False, True, False, False, True)
    assert token_mask(spans, [(3, 6)]) == (True, True, True, False, False)
    assert token_mask(spans, []) == (False,) * 5
    assert token_mask([(6, 6)], [(5, 9)]) == (False,)  # it has no character


@pytest.mark.parametrize("text", ["", " \n", "..."])
def test_a_text_without_words_has_no_sentence(text):
    assert sentence_spans(text, ["Lima"]) == (None,)
