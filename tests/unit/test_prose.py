"""The documents can be read once: no sentence is too long, and a long document says at its top what it has."""

import re

import pytest

from tests.unit.test_readme import DOCUMENTS


@pytest.mark.parametrize("name", ["jobs/README.md", "tests/benchmarks/README.md"])
def test_a_long_document_opens_with_a_table_of_all_its_sections(name):
    prose = re.sub(r"```.*?```", "", DOCUMENTS[name], flags=re.DOTALL)
    contents, *sections_ = re.split(r"^## ", prose, flags=re.MULTILINE)
    titles = [section.partition("\n")[0] for section in sections_]
    assert [title for title in titles if f"[{title}](#" not in contents] == []


def sentences(name: str) -> list[str]:
    """Those of a document's prose: no block, table, heading or indented lines."""
    prose = re.sub(r"```.*?```", "", DOCUMENTS[name], flags=re.DOTALL)
    paragraphs = re.split(r"\n\s*\n|\n(?=\s*(?:-|\d+\.) )", prose)
    kept = [each for each in paragraphs if not re.match(r"\s*(?:[#|<]|$)| {4}", each.lstrip("\n"))]
    return [part for each in kept for part in re.split(r"(?<=[.!?])\s+(?=[A-Z`*(\[])", each)]


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name != "tests/benchmarks/README.md"])
def test_no_sentence_of_a_document_is_so_long_that_one_reads_it_twice(name):
    without_figures = {each: len(re.findall(r"[A-Za-z]{2,}\S*", each)) for each in sentences(name)}
    assert [each for each, words in without_figures.items() if words > 40] == []
