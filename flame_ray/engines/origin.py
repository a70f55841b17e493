"""Says where a model comes from, for the card of what is trained on it: its public name, its license, and its own lineage."""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from flame_ray.engines.hub import CARD
from flame_ray.engines.models import SMOLLM2, KnownModel, ModelRef
from flame_ray.types import Ancestor, BaseModel, Origin, Where

LINEAGE = "lineage.json"
SMOLLM2_LICENSE = "apache-2.0"  # of the package, and of the model that it carries
LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")  # the hub's own identifiers
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(?:/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
MOST_ANCESTORS, MOST_TEXT = 20, 200
log = logging.getLogger(__name__)


def origin_of(model: KnownModel) -> Origin:
    """A folder or a hub's model that flame-ray has trained carries its own lineage; others have none."""
    ref = model.ref
    license = SMOLLM2_LICENSE if ref.name == SMOLLM2 else license_of(model.folder)
    return Origin(BaseModel(ref.public_name, _where(ref), ref.revision, license), ancestors_of(model.folder))


def _where(ref: ModelRef) -> Where:
    if ref.name == SMOLLM2:
        return Where.BUILT_IN
    return Where.HUB if ref.path is None and not ref.is_stored else Where.FOLDER


def license_of(folder: Path) -> str | None:
    """What the model's card says; None without a card, and for a card that cannot be read: people write them by hand."""
    from huggingface_hub import ModelCard

    path = folder / CARD
    if not path.is_file():
        return None
    try:
        found = ModelCard.load(path, ignore_metadata_errors=True).data.to_dict().get("license")
    except (ValueError, OSError, yaml.YAMLError, RecursionError) as error:
        log.info("the license in %s cannot be read: %s", path, error)
        return None
    return found if isinstance(found, str) and LICENSE.fullmatch(found) else None


def ancestors_of(folder: Path) -> tuple[Ancestor, ...]:
    """The runs that made a model, by the lineage beside it. It may be anybody's: what is no lineage counts as none."""
    path = folder / LINEAGE
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
        base = tree["base"]
        found = [tree | {"base": base["name"] if base["where"] != Where.FOLDER else None}, *tree["ancestors"]]
        return tuple(_ancestor(each) for each in found[:MOST_ANCESTORS])
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        log.info("%s is no lineage of flame-ray: %r", path, error)
        return ()


def _ancestor(tree: Mapping[str, Any]) -> Ancestor:
    base, settings = tree.get("base"), tree.get("settings")
    return Ancestor(
        run=str(tree["run"])[:MOST_TEXT],
        round=int(tree["round"]),
        settings=None if settings is None else str(settings)[:MOST_TEXT],
        base=base if isinstance(base, str) and HUB_ID.fullmatch(base) else None,
    )
