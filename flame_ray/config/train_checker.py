"""How the small checker is trained, by `flame-ray train-checker`."""

from typing import Annotated

from pydantic import Field

from flame_ray.config.base import Fraction, Positive, Settings


class TrainCheckerConfig(Settings):
    """Twins made from corpora come first, then people's labels, among them `mixed` of the twins again.

    `twins`: how many of each corpus, as `factuality.corpus` names it. `labels`: files as `flame-ray agreement --kind claims`
    reads them. `aside`: the share of them that is not trained on. `licences`: of each, for the card.
    """

    twins: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=lambda: {"factbook": 3000})
    labels: tuple[str, ...] = ()
    licences: dict[str, str] = Field(default_factory=dict)
    aside: Fraction = 0.3
    mixed: Annotated[int, Field(ge=0)] = 600
    epochs: Positive = 2
    lr: Annotated[float, Field(gt=0)] = 2e-4
    lr_twins: Annotated[float, Field(gt=0)] = 2e-4
    batch: Positive = 16
    batch_twins: Positive = 16
