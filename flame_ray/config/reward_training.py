"""How `flame-ray train-checker` and `flame-ray train-judge` train the small reward models."""

from typing import Annotated

from pydantic import Field, model_validator

from flame_ray.config.base import Fraction, Positive, Settings


class RecordTrainingConfig(Settings):
    """How the model that reads records is trained: on people's labels of what a policy says, and on statements made here."""

    labels: tuple[str, ...] = ()
    """Files of labelled facts: `claim`, `prompt` (which names a title of the corpus), and `label` (supported, contradicted,
    not_found). Empty: the model is not trained, and the one that ships is kept.
    """
    corpus: str = "factbook"
    """The corpus of records, as in `factuality.corpus`."""
    made: Annotated[int, Field(ge=0)] = 20
    """Statements that are made from each record."""
    made_weight: Annotated[float, Field(ge=0)] = 0.3
    """How much such a statement counts, where a label counts 1."""
    aside: Fraction = 0.2
    """The share of the titles whose labels are kept for evaluation."""
    epochs: Positive = 1
    """How often training goes through labels and statements."""
    lr: Annotated[float, Field(gt=0)] = 3e-4
    """The learning rate at the start."""
    specificity: Annotated[float, Field(gt=0, lt=1)] = 0.89
    """The threshold is set so that this share of the held-out facts that are not supported is refused."""


class TrainCheckerConfig(Settings):
    """The model of prose is trained on statements made from corpora, then on people's labels and some statements again."""

    records: RecordTrainingConfig = Field(default_factory=RecordTrainingConfig)

    twins: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=lambda: {"factbook": 3000})
    """How many statements to make from each corpus; names as in `factuality.corpus`."""
    labels: tuple[str, ...] = ()
    """Files in the format of `flame-ray agreement --kind claims`."""
    licences: dict[str, str] = Field(default_factory=dict)
    """The licence of each corpus and file, for the card."""
    aside: Fraction = 0.3
    """The share of the labels that is kept for evaluation."""
    mixed: Annotated[int, Field(ge=0)] = 600
    """Statements that are trained on again, beside the labels."""
    epochs: Positive = 2
    """How often training goes through the labels."""
    lr: Annotated[float, Field(gt=0)] = 2e-4
    """The learning rate on labels."""
    lr_twins: Annotated[float, Field(gt=0)] = 2e-4
    """The learning rate on statements that were made."""
    batch: Positive = 16
    """Labels in an optimizer step."""
    batch_twins: Positive = 16
    """Statements that were made, in an optimizer step."""

    @model_validator(mode="after")
    def a_job_trains_one_model(self) -> "TrainCheckerConfig":
        prose = {name: field.get_default(call_default_factory=True) for name, field in type(self).model_fields.items()}
        del prose["records"]
        given = [name for name, default in prose.items() if getattr(self, name) != default]
        if self.records.labels and given:
            raise ValueError(
                f"records.labels trains the model of records, which does not read {', '.join(given)}: leave that out, or train "
                "the model of prose first, by a job of its own with the same --out"
            )
        return self


class TrainJudgeConfig(Settings):
    """The judge of preferences is trained on pairs of answers, in the format of `flame-ray agreement --kind preferences`."""

    labels: tuple[str, ...] = ()
    """Files of labelled pairs of answers."""
    aside: Fraction = 0.2
    """The share of the prompts whose pairs are kept for evaluation."""
    off_topic: Annotated[int, Field(ge=0)] = 1
    """Pairs made for each prompt, with an answer to another one as the worse side."""
    epochs: Positive = 3
    """How often training goes through the pairs."""
    lr: Annotated[float, Field(gt=0)] = 3e-4
    """The learning rate at the start."""
    batch: Positive = 8
    """Instructions in an optimizer step."""
