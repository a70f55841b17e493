"""Writes the card of a saved model: what it is, how it is loaded, what was measured, and where it comes from.

The block at its top is read by the hub, so that only names of the hub's own form are in it. In the text, whatever a person or a
model has written stands in code spans, where neither Markdown nor HTML acts.
"""

import re
from collections.abc import Iterator
from typing import Any

from flame_ray.engines.models import SMOLLM2, UPSTREAM
from flame_ray.report.summary import EVALUATION_METRICS, interval_text
from flame_ray.shown import printable
from flame_ray.types import Lineage, TrainedOn, Where

TAGS = ("flame-ray", "factuality", "alignment")
ROUNDED = f"""\
It was trained on `{SMOLLM2}`, flame-ray's copy of `{UPSTREAM}`. The copy's weights were rounded to four bits (Q4_1),
then stored in bfloat16."""
ADAPTER_ON_UPSTREAM = f"""\
On the weights that `{UPSTREAM}` has, the adapter loads too, but the answers are not those that were
evaluated. A whole model, which `run.save_merged` asks for, needs no base."""
ON_FOLDER = "That is a folder of whoever trained it: the adapter loads only where such a folder is."
LOAD = {
    "adapter": """\
```python
from peft import AutoPeftModelForCausalLM

model = AutoPeftModelForCausalLM.from_pretrained("this folder, or its name on the hub")
```""",
    "merged": """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("this folder, or its name on the hub")
tokenizer = AutoTokenizer.from_pretrained("this folder, or its name on the hub")
```""",
}
MEASURED = "Greedy answers to held-out prompts; mean [95 % bootstrap interval]. Change: from before the run, by prompt."
NOTES = {
    TrainedOn.OWN_PAIRS: "preference pairs of the model's own answers",
    TrainedOn.GIVEN_PAIRS: "preference pairs that were given, and not of the model's own answers",
    TrainedOn.GRADED: "group-relative policy optimisation with a factuality reward",
    TrainedOn.BEST: "the best of the model's own answers to each prompt",
    TrainedOn.DEMONSTRATIONS: "supervised fine-tuning",
}


def model_card(lineage: Lineage, kind: str) -> str:
    """The text of a card. `kind`: adapter or merged."""
    parts = [
        _metadata(lineage, kind),
        f"# Round {lineage.round} of the run {code(lineage.run)}",
        _what(lineage, kind),
        LOAD[kind],
    ]
    return "\n\n".join([*parts, *_measured(lineage), *_training(lineage), "## Where it comes from", _origins(lineage)]) + "\n"


def code(text: str) -> str:
    """A code span that the text cannot leave, and that no cell of a table cuts.

    >>> print(code("a `b` | <i>"))
    `` a `b` \\| <i> ``
    """
    plain = printable(text).replace("|", "\\|") or " "
    longest = max(map(len, re.findall("`+", plain)), default=0)
    fence, blank = "`" * (longest + 1), " " if "`" in plain else ""
    return f"{fence}{blank}{plain}{blank}{fence}"


def _metadata(lineage: Lineage, kind: str) -> str:
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        base_model=lineage.hub_base,
        library_name="peft" if kind == "adapter" else "transformers",
        license=lineage.base.license,
        datasets=list(lineage.datasets) or None,
        tags=[*TAGS, lineage.method, *(["lora"] if kind == "adapter" else [])],
        pipeline_tag="text-generation",
    )
    return f"---\n{data.to_yaml()}\n---"


def _what(lineage: Lineage, kind: str) -> str:
    base, method = lineage.base, NOTES[lineage.trained_on]
    noun = "A LoRA adapter" if kind == "adapter" else "A whole model"
    said = [f"{noun}, trained by flame-ray from {code(base.name)}: {method}."]
    if base.where is Where.BUILT_IN:
        said.append(f"{ROUNDED}\n{ADAPTER_ON_UPSTREAM}" if kind == "adapter" else ROUNDED)
    if base.where is Where.FOLDER and kind == "adapter":
        said.append(ON_FOLDER)
    if base.license is None:
        said.append("The license of the base model is not known here; it holds for this model too.")
    return "\n".join(said)


def _measured(lineage: Lineage) -> Iterator[str]:
    """Intervals, with the number of prompts or responses behind each."""
    if not lineage.heldout:
        yield "## Measured\n\nNothing was measured on held-out prompts."
        return
    yield f"## Measured\n\n{MEASURED}"
    rows = ["| figure | value | n | change | n of the change |", "|---|---|---|---|---|"]
    for each in lineage.heldout:
        change = ("", "") if each.change is None else (interval_text(each.change, "+"), str(each.change.n))
        cells = (EVALUATION_METRICS[each.name], interval_text(each.value), str(each.value.n), *change)
        rows.append(f"| {' | '.join(cells)} |")
    yield "\n".join(rows)


def _training(lineage: Lineage) -> Iterator[str]:
    if lineage.training:
        rows = [f"| {code(name)} | {value:g} |" for name, value in lineage.training.items()]
        yield "\n".join(["## Training", "", "| figure | value |", "|---|---|", *rows])


def _origins(lineage: Lineage) -> str:
    base = lineage.base
    above = "; ".join(f"round {each.round} of the run {code(each.run)}" for each in lineage.ancestors)
    rows: dict[str, Any] = {
        "run": code(lineage.run),
        "round": lineage.round,
        "base model": code(base.name) + (f" at {code(base.revision)}" if base.revision else ""),
        "made from": above or "the base model itself",
        "command": code(lineage.command),
        "settings (SHA-256)": code(lineage.settings),
        "flame-ray": code(lineage.flame_ray or "unknown"),
        "commit": code(lineage.commit or "unknown"),
        "source (SHA-256)": code(lineage.source or "unknown"),
    }
    return "\n".join(["| what | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])
