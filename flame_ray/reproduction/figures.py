"""The figures of the FLAME paper (Lin et al., NeurIPS 2024, arXiv 2405.01525), each once: by system, then by measure.

Precisions (FS), win rates and accuracies are in points of 100; facts are counted a response, lengths in characters. A figure
that the paper does not give is None, or absent.
"""

from collections.abc import Mapping, Sequence

Figures = Mapping[str, float]
Values = Sequence[float | None]

_FACTS = ("fs", "correct", "erroneous")


def _named(names: Sequence[str], rows: Mapping[str, Values]) -> dict[str, dict[str, float]]:
    """
    >>> _named(("a", "b"), {"SFT": (1.0, None)})
    {'SFT': {'a': 1.0}}
    """
    return {
        system: {name: value for name, value in zip(names, row, strict=True) if value is not None}
        for system, row in rows.items()
    }


def _joined(*parts: Mapping[str, Figures]) -> dict[str, Figures]:
    systems = dict.fromkeys(system for part in parts for system in part)
    return {system: {name: value for part in parts for name, value in part.get(system, {}).items()} for system in systems}


# Tables 1, 2 and 3: FS, and correct and erroneous facts, of biographies; then of Alpaca Fact; then of FAVA.
_BIOGRAPHY = _named(
    [f"biography.{each}" for each in _FACTS],
    {
        "7B PT": (39.1, 14.4, 22.0),
        "7B PT + RAG": (55.4, 18.6, 15.9),
        "7B SFT on PT": (37.9, 13.4, 21.8),
        "7B SFT on RAG": (35.7, 13.5, 23.7),
        "7B DPO, FS ranks own samples": (41.6, 15.4, 20.7),
        "7B DPO, RAG over PT": (23.5, 12.7, 34.9),
        "PT": (53.1, 15.3, 13.5),
    },
)
_THREE_SETS = _named(
    [f"{suite}.{each}" for suite in ("biography", "alpaca-fact", "fava") for each in _FACTS],
    {
        "SFT": (44.7, 21.1, 26.8, 38.6, 16.7, 29.0, 54.4, 21.2, 25.8),
        "SFT^fact": (48.5, 19.6, 20.6, 42.0, 17.5, 28.4, 53.3, 18.3, 24.2),
        "SFT^flame": (49.5, 19.9, 19.5, 41.4, 18.3, 27.7, 54.2, 19.3, 22.4),
        "Llama-2-Chat": (33.2, 23.4, 43.6, 39.3, 22.3, 36.4, 47.5, 28.0, 31.3),
        "SFT + DPO": (42.3, 24.6, 35.0, 41.6, 22.9, 34.6, 52.9, 28.1, 26.8),
        "SFT + DPO^fact": (47.1, 19.8, 23.9, 48.2, 17.5, 19.0, 57.9, 20.0, 15.9),
        "SFT + DPO^flame": (44.9, 23.7, 30.3, 45.0, 23.1, 28.7, 56.4, 27.1, 23.3),
        "SFT^flame + DPO": (46.3, 24.0, 28.7, 43.9, 21.6, 28.8, 55.0, 25.4, 22.0),
        "SFT^flame + DPO^flame": (47.9, 25.9, 28.5, 48.7, 24.1, 25.5, 58.9, 29.0, 22.2),
    },
)
_WINS = _named(
    ("win over SFT", "win over SFT + DPO"),
    {
        "SFT": (50.0, 27.1),
        "SFT^fact": (48.1, None),
        "SFT^flame": (51.2, 29.1),
        "Llama-2-Chat": (None, 66.2),
        "SFT + DPO": (None, 50.0),
        "SFT + DPO^fact": (None, 40.8),
        "SFT + DPO^flame": (None, 51.7),
        "SFT^flame + DPO": (None, 50.4),
        "SFT^flame + DPO^flame": (None, 51.2),
    },
)
# Tables 4 and 5: BLEU and ROUGE of free answers, then MC1, MC2 and MC3.
_TRUTHFUL = _named(
    ("truthfulqa.bleu", "truthfulqa.rouge", "mc1", "mc2", "mc3"),
    {
        "Llama-2-Chat": (0.21, 1.16, 32.2, 50.2, 25.4),
        "SFT": (0.37, 0.20, 30.8, 45.7, 23.9),
        "SFT + DPO": (0.03, 0.54, 30.5, 46.0, 23.4),
        "SFT + DPO^fact": (0.30, 1.12, 31.8, 46.8, 24.3),
        "SFT + DPO^flame": (0.15, 0.80, 30.8, 46.0, 23.6),
        "SFT^flame": (0.39, 0.51, 29.9, 44.8, 22.5),
        "SFT^flame + DPO": (0.07, 0.91, 31.5, 47.0, 24.0),
        "SFT^flame + DPO^flame": (0.20, 0.96, 30.5, 45.4, 23.1),
    },
)
# Tables 6 and 7. The same model has 44.9 in table 7 and 45.0 in table 6, so that these rows have names of their own.
_CLASSES_AND_PAIRS = _joined(
    _named(
        ("win over SFT", "biography.fs"),
        {"SFT, mixed without classes": (47.6, 48.4), "SFT, by instruction": (51.2, 49.5)},
    ),
    _named(
        ("win over SFT + DPO", "biography.fs", "fact pairs"),
        {
            "DPO^flame, no classes": (46.8, 46.8, None),
            "DPO^flame, by instruction": (51.7, 45.0, None),
            "DPO^flame, by instruction and sentence": (51.3, 42.9, None),
            "max/min": (51.7, 44.9, 3315),
            "every pair with a gap of 0.2": (50.7, 45.0, 5126),
            "one weighted reward": (50.1, 45.1, 6340),
        },
    ),
)
_LENGTHS = _named(  # table 8
    ("alpaca-eval.length", "biography.length", "alpaca-fact.length", "fava.length"),
    {
        "SFT": (897, 1221, 969, 912),
        "SFT + DPO": (1470, 1494, 1586, 1540),
        "SFT + DPO^fact": (1160, 1166, 1192, 1104),
        "SFT + DPO^flame": (1474, 1395, 1528, 1422),
    },
)
_KNOWLEDGE = _named(("mmlu", "gsm8k"), {"SFT + DPO": (69.3, 59.3), "SFT^flame + DPO^flame": (69.1, 58.2)})  # table 9
_TAUS = _named(  # table 10
    ("tau",),
    {
        "7B atomic facts, 5 supports": (0.32,),
        "7B atomic facts, 10 supports": (0.34,),
        "70B atomic facts, 5 supports": (0.28,),
        "70B atomic facts, 10 supports": (0.31,),
        "7B sentences, 5 supports": (0.20,),
        "7B sentences, 10 supports": (0.25,),
    },
)
_DATA = _joined(  # table 11, whose 2,187 other seeds are what is left of the 3,200
    _named(("seeds", "fact-based seeds"), {"SFT^flame": (3200, 1013)}),
    _named(
        ("instruction pairs", "fact pairs"),
        {"SFT + DPO^flame": (18454, 3315), "SFT^flame + DPO^flame": (18603, 4211)},
    ),
)

PAPER: Mapping[str, Figures] = _joined(
    _BIOGRAPHY, _THREE_SETS, _WINS, _TRUTHFUL, _CLASSES_AND_PAIRS, _LENGTHS, _KNOWLEDGE, _TAUS, _DATA
)
