"""How `flame-ray train-checker` trains the small checker."""

from typing import Annotated

from pydantic import Field

from flame_ray.config.base import Fraction, Positive, Settings


class TrainCheckerConfig(Settings):
    """Training has two parts: statements made from corpora, then people's labels with some of those statements again."""

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
