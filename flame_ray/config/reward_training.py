"""How `flame-ray train-checker` and `flame-ray train-judge` train the small reward models."""

from typing import Annotated

from pydantic import Field

from flame_ray.config.base import Fraction, Positive, Settings


class RecordTrainingConfig(Settings):
    """How the model that reads records is trained: on people's labels of what a policy says, and on statements made here."""

    # Files of labelled facts: `claim`, `prompt` (which names a title of the corpus), and `label` (supported, contradicted,
    # not_found). None: the model is not trained, and the one that ships is kept.
    labels: tuple[str, ...] = ()
    corpus: str = "factbook"
    made: Annotated[int, Field(ge=0)] = 20  # statements that are made from each record
    made_weight: Annotated[float, Field(ge=0)] = 0.3  # of such a statement, beside 1 of a label
    aside: Fraction = 0.2  # the share of the titles whose labels are kept for evaluation
    epochs: Positive = 1
    lr: Annotated[float, Field(gt=0)] = 3e-4
    # The threshold is set so that this share of the held-out facts that are not supported is refused.
    specificity: Annotated[float, Field(gt=0, lt=1)] = 0.89


class TrainCheckerConfig(Settings):
    """The model of prose is trained on statements made from corpora, then on people's labels and some statements again."""

    records: RecordTrainingConfig = Field(default_factory=RecordTrainingConfig)

    # How many statements to make from each corpus; names as in `factuality.corpus`.
    twins: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=lambda: {"factbook": 3000})
    labels: tuple[str, ...] = ()  # files in the format of `flame-ray agreement --kind claims`
    licences: dict[str, str] = Field(default_factory=dict)  # of each corpus and file, for the card
    aside: Fraction = 0.3  # the share of the labels that is kept for evaluation
    mixed: Annotated[int, Field(ge=0)] = 600  # statements that are trained on again, beside the labels
    epochs: Positive = 2
    lr: Annotated[float, Field(gt=0)] = 2e-4
    lr_twins: Annotated[float, Field(gt=0)] = 2e-4
    batch: Positive = 16
    batch_twins: Positive = 16


class TrainJudgeConfig(Settings):
    """The judge of preferences is trained on pairs of answers, in the format of `flame-ray agreement --kind preferences`."""

    labels: tuple[str, ...] = ()
    aside: Fraction = 0.2  # the share of the prompts whose pairs are kept for evaluation
    off_topic: Annotated[int, Field(ge=0)] = 1  # pairs made for each prompt, with an answer to another one as the worse side
    epochs: Positive = 3
    lr: Annotated[float, Field(gt=0)] = 3e-4
    batch: Positive = 8  # instructions of an optimizer step
