"""The text of a card: its block for the hub, its tables, and what hostile text does to neither."""

from dataclasses import replace

import pytest
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from flame_ray.report.model_card import code, model_card
from flame_ray.types import Ancestor, BaseModel, Interval, Lineage, Measured, TrainedOn, Where

LINEAGE = Lineage(
    run="mine",
    round=2,
    method="dpo",
    trained_on=TrainedOn.OWN_PAIRS,
    settings="e" * 64,
    command="flame-ray run job.yaml",
    base=BaseModel("owner/name", Where.HUB, "a" * 40, "llama2"),
    training={"loss": 0.5},
    heldout=(Measured("factual_precision", Interval(0.5, 0.25, 0.75, 40), Interval(0.25, 0.125, 0.375, 39)),),
    datasets=("owner/set",),
)
HOSTILE = [
    "</code><script>alert(1)</script>",
    "``` \n---\nlicense: mit\n---\n# Pwned",
    "a | b\n| c | d |\n\n[x](javascript:alert(1)) ![x](https://host/x)",
    "`` a ` b ```` c",
    "\x1b]52;c;aGk=\x07 \u202egnp.exe",
    "",
]


def rendered(text: str):
    """The tokens of the text below the block, as a page is made of them."""
    return MarkdownIt("commonmark", {"html": True}).enable("table").parse(ModelCard(text).text)


def kinds(text: str) -> set[str]:
    tokens = rendered(text)
    return {each.type for each in tokens} | {child.type for each in tokens for child in each.children or ()}


def test_the_block_at_the_top_is_what_the_hub_reads():
    data = ModelCard(model_card(LINEAGE, "adapter")).data.to_dict()
    assert data == {
        "base_model": "owner/name",
        "library_name": "peft",
        "license": "llama2",
        "datasets": ["owner/set"],
        "tags": ["flame-ray", "factuality", "alignment", "dpo", "lora"],
        "pipeline_tag": "text-generation",
    }


def test_a_figure_stands_with_its_interval_its_n_and_its_change():
    text = model_card(LINEAGE, "adapter")
    assert "| factual precision | 0.50 [0.25, 0.75] | 40 | +0.25 [0.12, 0.38] | 39 |" in text


def test_a_card_says_what_its_model_was_made_from_and_by_what():
    text = model_card(replace(LINEAGE, ancestors=(Ancestor("mine", 1), Ancestor("sft", 1))), "merged")
    assert "| made from | round 1 of the run `mine`; round 1 of the run `sft` |" in text
    assert f"| base model | `owner/name` at `{'a' * 40}` |" in text and f"| settings (SHA-256) | `{'e' * 64}` |" in text
    assert "| command | `flame-ray run job.yaml` |" in text


def test_a_card_says_whose_answers_its_model_learned_from():
    said = {each: model_card(replace(LINEAGE, trained_on=each), "adapter").splitlines() for each in TrainedOn}
    trained = {each: next(line for line in lines if line.startswith("A LoRA adapter")) for each, lines in said.items()}
    assert len(set(trained.values())) == len(TrainedOn)
    assert "pairs of the model's own answers" in trained[TrainedOn.OWN_PAIRS]
    assert "not of the model's own answers" in trained[TrainedOn.GIVEN_PAIRS]
    assert "the best of the model's own answers" in trained[TrainedOn.BEST]


def test_without_a_license_the_card_says_that_it_is_not_known():
    card = ModelCard(model_card(replace(LINEAGE, base=BaseModel("owner/name", Where.HUB)), "adapter"))
    assert "license" not in card.data.to_dict() and "license of the base model is not known" in card.text


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_of_a_person_or_a_model_leaves_its_code_span_or_reaches_the_block(text):
    """Two rows of each table stay two, and no link, image or tag comes into being."""
    hostile = replace(
        LINEAGE,
        run=text,
        command=text,
        commit=text,
        flame_ray=text,
        base=BaseModel(text, Where.FOLDER, text),
        ancestors=(Ancestor(text, 1),),
        training={text: 1.0},
    )
    plain = replace(LINEAGE, base=BaseModel("x", Where.FOLDER, "x"), commit="x", flame_ray="x", ancestors=(Ancestor("x", 1),))
    for kind in ("adapter", "merged"):
        made, expected = model_card(hostile, kind), model_card(plain, kind)
        assert ModelCard(made).data.to_dict() | {"license": None} == ModelCard(expected).data.to_dict() | {"license": None}
        assert [each.type for each in rendered(made)] == [each.type for each in rendered(expected)]
        assert kinds(made) <= kinds(expected) | {"code_inline"}
        assert not {"\x1b", "\x07", "\u202e"} & set(made)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_code_span_holds_all_of_its_text(text):
    (span,) = [child for each in MarkdownIt().parse(code(text)) for child in each.children or ()]
    assert span.type == "code_inline"
