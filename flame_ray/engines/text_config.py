"""What a model's config.json says of the part that reads text, whatever its family calls it."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from flame_ray.config import ModelConfig
from flame_ray.engines.model_files import read_settings
from flame_ray.errors import ModelError

# As vLLM reads them; transformers maps some families' own names, such as GPT-2's n_positions, to the first.
POSITIONS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "max_target_positions",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
SCALED = ("linear", "dynamic")  # rotary embeddings whose factor the number of positions does not contain yet
ANY = 2**31  # positions of a model that names none, as one whose attention knows no positions


@dataclass(frozen=True, slots=True)
class Longest:
    """The most tokens that a model reads at a time: what the setting asks for, or its positions where it has fewer.

    >>> print(Longest("model.max_length", 512, 2048)), print(Longest("model.max_length", 2048, 1024))
    model.max_length 512
    the model's 1024 positions, fewer than model.max_length 2048
    (None, None)
    """

    setting: str
    asked: int
    positions: int

    @property
    def tokens(self) -> int:
        return min(self.asked, self.positions)

    @property
    def fix(self) -> str:
        """What gives it more."""
        return "name a model with more positions" if self.positions < self.asked else f"raise {self.setting}"

    def __str__(self) -> str:
        asked = f"{self.setting} {self.asked}"
        return f"the model's {self.positions} positions, fewer than {asked}" if self.positions < self.asked else asked


def longest(folder: Path, config: ModelConfig, setting: str = "model.max_length") -> Longest:
    """What the model in this folder reads at a time. `setting`: the one that `config.max_length` is from."""
    return Longest(setting, config.max_length, positions(folder))


def positions(folder: Path) -> int:
    """The most tokens that the model was made for, as vLLM finds it, which refuses to serve more. Raises ModelError."""
    return positions_of(text_config(folder))


def positions_of(text: Any) -> int:
    """The same for these settings of the part that reads text."""
    named = [int(number) for name in POSITIONS if (number := getattr(text, name, None)) and number > 0]
    found = int(getattr(text, "model_max_length", None) or min(named, default=ANY))
    return found if "gemma3" in str(getattr(text, "model_type", "")) else int(found * _scale(text))


def check_positions(folder: Path, least: int, setting: str) -> None:
    """Raise ModelError for a model, named by `setting`, that has not as many positions as its work takes."""
    if (found := positions(folder)) < least:
        raise ModelError(f"a model of at least {least} positions at {setting}", f"{found} ({folder})", "name another model")


def attention_heads(folder: Path) -> int | None:
    """None for a model that names no number of them. Raises ModelError."""
    return getattr(text_config(folder), "num_attention_heads", None)


def text_config(folder: Path) -> Any:
    """The settings of the part that reads text, with transformers' names and defaults for a family that it knows.

    Of other families they are as config.json has them: no code from the model's folder is run. Raises ModelError.
    """
    settings = read_settings(folder / "config.json")
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    if settings.get("model_type") in CONFIG_MAPPING:
        with suppress(Exception):  # each family refuses settings in its own way, and what loads them says so
            return AutoConfig.for_model(**settings).get_text_config()
    return SimpleNamespace(**(settings.get("text_config") or settings))


def _scale(text: Any) -> float:
    """By how much rotary embeddings are stretched beyond the positions that are named."""
    rope = getattr(text, "rope_parameters", None) or {}
    layers = [each for each in rope.values() if isinstance(each, dict)] or [rope]
    factors = [each.get("factor") or 1.0 for each in layers if each.get("rope_type") in SCALED]
    return float(factors[-1]) if factors else 1.0
