"""The paper's figures are those of its tables, and each has a row and a column that shows it."""

from flame_ray.reproduction.figures import PAPER
from flame_ray.reproduction.tables import TABLES

BESIDE_PRECISION = {f"biography.{each}" for each in ("correct", "erroneous", "abstentions", "length")}
AT_EQUAL_LENGTH = {f"win over {each} at equal length" for each in ("SFT", "SFT + DPO")}
NOT_IN_TABLE_3 = {f"{suite}.{each}" for suite in ("biography", "alpaca-fact", "fava") for each in ("abstentions", "length")}
ONLY_OURS = {"3": NOT_IN_TABLE_3, "6": BESIDE_PRECISION, "7": BESIDE_PRECISION | {"fact pairs"}}
ONLY_OURS = {table: names | AT_EQUAL_LENGTH for table, names in ONLY_OURS.items()}


def test_a_row_holds_what_the_paper_prints():
    """Tables 3, 4, 5 and 8."""
    assert PAPER["SFT + DPO^flame"] == {
        "biography.fs": 44.9,
        "biography.correct": 23.7,
        "biography.erroneous": 30.3,
        "alpaca-fact.fs": 45.0,
        "alpaca-fact.correct": 23.1,
        "alpaca-fact.erroneous": 28.7,
        "fava.fs": 56.4,
        "fava.correct": 27.1,
        "fava.erroneous": 23.3,
        "win over SFT + DPO": 51.7,
        "truthfulqa.bleu": 0.15,
        "truthfulqa.rouge": 0.80,
        "mc1": 30.8,
        "mc2": 46.0,
        "mc3": 23.6,
        "alpaca-eval.length": 1474,
        "biography.length": 1395,
        "alpaca-fact.length": 1528,
        "fava.length": 1422,
        "instruction pairs": 18454,
        "fact pairs": 3315,
    }


def test_every_figure_of_the_paper_is_shown_in_a_table():
    shown = {(system.name, each.name) for table in TABLES.values() for system in table.rows for each in table.measures}
    known = {(system, measure) for system, figures in PAPER.items() for measure in figures}
    assert known <= shown
    assert len(known) == 204


def test_all_rows_and_columns_of_the_main_tables_have_the_papers_figure():
    for name in ("3", "4", "5", "6-sft", "6-dpo", "7", "8", "9", "10"):
        for system in TABLES[name].rows:
            missing = {each.name for each in TABLES[name].measures} - PAPER[system.name].keys()
            assert missing <= ONLY_OURS.get(name[0], set()), (name, system.name)


def test_no_precision_of_answers_stands_alone():
    for name, table in TABLES.items():
        measures = {each.name for each in table.measures}
        for suite in (each.removesuffix(".fs") for each in measures if each.endswith(".fs")):
            beside = ("correct", "erroneous", "abstentions", "length")
            assert {f"{suite}.{each}" for each in beside} <= measures, name
