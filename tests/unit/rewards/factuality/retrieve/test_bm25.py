"""Evidence: the country that an instruction names comes first, and the same query always gives the same passages."""

import subprocess
import sys

import bm25s
import pytest
import Stemmer

from flame_ray.rewards.factuality.corpus import load_corpus
from flame_ray.rewards.factuality.retrieve import Bm25Retriever
from flame_ray.rewards.factuality.retrieve.arrow_files import Passages, Words, write_passages
from flame_ray.rewards.factuality.retrieve.bm25_build import TERMS, TITLE_REPEATS, write_bm25
from flame_ray.types import Passage

TEXTS = [
    ("Peru", "Peru is a country. Its capital is Lima, and Lima is a large city."),
    ("Chile", "A long country with a long coast"),
    ("", "cities, countries and coasts of the world"),
    ("Lima", ""),
    ("Peru", "the of and"),
]


@pytest.fixture(scope="module")
def factbook():
    return Bm25Retriever(load_corpus("factbook"))


@pytest.mark.parametrize(
    "country",
    [
        *("Peru", "Niger", "Nigeria", "Guinea", "Guinea-Bissau", "Equatorial Guinea", "Dominica", "Dominican Republic"),
        *("The Bahamas", "Republic of the Congo", "Democratic Republic of the Congo", "Sudan", "South Sudan", "Côte d'Ivoire"),
    ],
)
def test_the_country_that_a_prompt_names_fills_the_evidence(factbook, country):
    passages = factbook.retrieve([f"In two sentences, describe the climate of {country}."], 20)[0]
    assert {passage.title for passage in passages} == {country}


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("Which countries border Peru?", "Land boundaries, border countries: Bolivia"),
        ("Describe the government of Kenya", "Government type: presidential republic"),
        ("In two sentences, describe the climate of Niger", "Climate: desert"),
        ("Which religions do people in France follow?", "Religions: "),
    ],
)
def test_the_passage_that_answers_comes_among_the_first(factbook, query, line):
    assert any(line in passage.text for passage in factbook.retrieve([query], 5)[0])


def test_both_countries_of_a_comparison_are_found(factbook):
    assert {passage.title for passage in factbook.retrieve(["Compare the economy of Peru with that of Chile."], 20)[0]} == {
        "Peru",
        "Chile",
    }


@pytest.mark.parametrize(
    ("query", "title"),
    [("the peruvian capital", "Peru"), ("the climate of Myanmar", "Burma"), ("the Ivory Coast", "Côte d'Ivoire")],
)
def test_other_names_find_the_country(factbook, query, title):
    assert title in [passage.title for passage in factbook.retrieve([query], 5)[0]]


def test_a_prompt_that_asks_for_nothing_in_particular_gets_the_first_sections(factbook):
    sections = {passage.id.split("/")[1] for passage in factbook.retrieve(["Mongolia"], 20)[0]}
    assert {"introduction", "geography"} <= sections


def test_a_query_without_a_known_word_finds_nothing(factbook):
    assert factbook.retrieve(["", "zzxqy", "?!"], 5) == [(), (), ()]


def test_ties_keep_the_order_of_the_corpus():
    passages = [Passage(str(i), "Peru", "the same words") for i in range(8)]
    assert [passage.id for passage in Bm25Retriever(passages).retrieve(["same words"], 5)[0]] == ["0", "1", "2", "3", "4"]


def test_a_corpus_smaller_than_k_gives_what_there_is():
    assert len(Bm25Retriever([Passage("a", "", "Lima is a city")]).retrieve(["Lima"], 20)[0]) == 1


def test_a_corpus_on_disk_gives_what_one_in_memory_gives(tmp_path):
    passages = load_corpus("factbook")
    for folder, write in ((tmp_path / "p", write_passages), (tmp_path / "b", write_bm25)):
        folder.mkdir()
        write(passages, folder)
    stored = Bm25Retriever(Passages(tmp_path / "p"), tmp_path / "b")
    queries = ["Which countries border Peru?", "the peruvian capital", "", "Compare the economy of Peru with that of Chile."]
    assert stored.retrieve(queries, 20) == Bm25Retriever(passages).retrieve(queries, 20)


def test_scores_are_those_of_bm25s(tmp_path):
    passages = [Passage(str(i), title, text) for i, (title, text) in enumerate(TEXTS)]
    write_bm25(passages, tmp_path)
    words, reference = Words(tmp_path / TERMS), bm25s.BM25()
    texts = [" ".join([title] * TITLE_REPEATS + [text]) for title, text in TEXTS]
    stemmer = Stemmer.Stemmer("english")
    reference.index(
        bm25s.tokenize(texts, stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False), show_progress=False
    )
    ours = bm25s.BM25()
    ours.load_scores(tmp_path, num_docs=len(TEXTS), mmap=True)
    ours.nonoccurrence_array = None
    for word in words:
        assert ours.get_scores_from_ids([words.find(word)]) == pytest.approx(reference.get_scores([word]), rel=1e-5)


def test_batches_of_a_large_corpus_meet_in_one_index(tmp_path):
    """20,000 passages are three batches: postings of one term come from all of them, in the order of the corpus."""
    passages = [Passage(str(i), "", f"common word{i % 7000}") for i in range(20_000)]
    retriever = Bm25Retriever(passages)
    assert [p.id for p in retriever.retrieve(["word5"], 5)[0]] == ["5", "7005", "14005"]
    assert [p.id for p in retriever.retrieve(["common"], 3)[0]] == ["0", "1", "2"]


@pytest.mark.parametrize("text", ["the of and", "!?", "a"])
def test_a_corpus_without_a_word_to_search_for_finds_nothing(text):
    assert Bm25Retriever([Passage("a", "", text)]).retrieve(["Lima", "the"], 5) == [(), ()]


def test_a_word_that_opens_a_question_is_no_name():
    passages = [Passage("a", "The Who", "An English band."), Passage("b", "Telephone", "It was invented by Bell.")]
    retriever = Bm25Retriever(passages)
    assert [p.id for p in retriever.retrieve(["Who invented the telephone?"], 1)[0]] == ["b"]
    assert [found[0].id for found in retriever.retrieve(["When did the Who, that band, begin?", "Who"], 1)] == ["a", "a"]


def test_a_title_is_found_without_what_qualifies_it():
    passages = [
        Passage("a", "Mercury (planet)", "The planet nearest to the Sun."),
        Passage("b", "Mercury (element)", "A metal that is liquid."),
        Passage("c", "Sun", "The nearest planet is Mercury, and Mercury is the smallest planet."),
    ]
    assert [p.id for p in Bm25Retriever(passages).retrieve(["Is Mercury a metal?"], 3)[0]] == ["b", "a"]


def test_importing_retrieval_brings_no_numba():
    """vLLM 0.32 cannot start in a process that has imported it."""
    heavy = "{'numba', 'bm25s', 'faiss', 'torch', 'sentence_transformers'}"
    modules = "flame_ray.rewards.factuality.evidence, flame_ray.rewards.factuality.actor"
    program = f"import sys, {modules}; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "[]"
