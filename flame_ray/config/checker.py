"""How the small checker is trained, by `flame-ray train-checker`."""

from typing import Annotated

from pydantic import Field

from flame_ray.config.base import Fraction, Positive, Settings


class TrainCheckerConfig(Settings):
    """Twins made from a corpus come first, then people's labels, among them `mixed` of the twins again.

    `labels`: files as `flame-ray agreement --kind claims` reads them. `aside`: the share of them that is not trained on.
    """

    corpus: str = "factbook"
    labels: tuple[str, ...] = ()
    aside: Fraction = 0.5
    twins: Annotated[int, Field(ge=0)] = 6000
    mixed: Annotated[int, Field(ge=0)] = 800
    epochs: Positive = 2
    lr: Annotated[float, Field(gt=0)] = 5e-5
    lr_twins: Annotated[float, Field(gt=0)] = 1e-4
    batch: Positive = 16
    batch_twins: Positive = 32
