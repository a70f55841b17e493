"""Which files of a model hold its weights, whether they are whole or can be written, and what its settings are: without
loading weights.
"""

import errno
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from flame_ray.errors import ModelError
from flame_ray.shown import kind_of
from flame_ray.storage.text_files import reason

SETTINGS = ("config.json", "generation_config.json")
LOADED = (
    "*.json",
    "*.jinja",
    "*.model",
    "*.tiktoken",
    "*.py",
    "vocab.txt",
    "merges.txt",
)  # settings, tokenizer, template, code
SHARD = re.compile(r"(.*)-(\d+)-of-(\d+)\.safetensors")
ADAPTER = "adapter_model"  # what the name of an adapter's weights begins with, which are no model
HEADER_BYTES, MOST_HEADER = 8, 100_000_000  # the length of a header comes before it; the format's own limit


def is_weights(file: str) -> bool:
    """Whether transformers and vLLM read the file.

    >>> [is_weights(file) for file in ("model-00001-of-00002.safetensors", "consolidated.safetensors", "onnx/a.safetensors")]
    [True, False, False]
    """
    return file.endswith(".safetensors") and "/" not in file and not file.startswith("consolidated")


@contextmanager
def disk_errors() -> Iterator[None]:
    """Raises what safetensors could not write as an OSError with the disk's own code, such as that of no space."""
    try:
        yield
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        raise OSError(int(code[1]) if code else errno.EIO, str(error)) from error


def loaded_files(folder: Path) -> list[Path]:
    """The files of a model beside its weights that decide what it answers, in the order of their names.

    Templates and modules may be in folders of their own; what is hidden, such as .git, is no part of the model.
    """
    found = {path for pattern in LOADED for below in (pattern, f"*/{pattern}") for path in folder.glob(below)}
    hidden = {path for path in found if path.parent != folder and path.parent.name.startswith(".")}
    return sorted(path for path in found - hidden if path.is_file())


def check_names(files: Iterable[str], where: str) -> None:
    """Raise ModelError unless there are settings, and weights in the one format that is read, with every part of them."""
    names = tuple(files)
    if "config.json" not in names:
        fix = "give the folder that save_pretrained wrote"
        raise ModelError("a model folder with config.json", f"none in {where}", fix)
    weights = [name for name in names if is_weights(name) and not name.startswith(ADAPTER)]
    if not weights:
        fix = "save the model with safe_serialization=True"
        raise ModelError("weights as *.safetensors (no other format is read)", f"none in {where}", fix)
    for part in filter(None, map(SHARD.fullmatch, weights)):
        name, number, count = part.groups()
        wanted = (f"{name}-{index:0{len(number)}}-of-{count}.safetensors" for index in range(1, int(count) + 1))
        if missing := next((each for each in wanted if each not in names), None):
            fix = "save the model again, or download the rest of it"
            raise ModelError(f"all {int(count)} files of the weights", f"no {missing} in {where}", fix)


def check_whole(folder: Path) -> None:
    """Raise ModelError for a file of weights that ends before its last tensor, or has no header."""
    for file in sorted(path for path in folder.iterdir() if is_weights(path.name) and path.is_file()):
        size, wanted = file.stat().st_size, _size_by_header(file)
        if wanted is None or size < wanted:
            found = f"{file} of {size} bytes" + (f", of which its header names {wanted}" if wanted else ", without a header")
            raise ModelError("files of weights that are whole", found, "download or save that file again")


def check_settings(folder: Path) -> None:
    """Raise ModelError for a damaged file of settings. Samplers pass over a damaged second one, and then stop elsewhere."""
    for name in SETTINGS:
        if (folder / name).is_file():
            read_settings(folder / name)


def read_settings(path: Path) -> dict[str, Any]:
    """The object in a JSON file of a model. Raises ModelError, naming the file."""
    expected, fix = f"a model's {path.name}", "save the model anew"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(expected, f"{path}: {reason(error)}", fix) from error
    if not isinstance(found, dict):
        raise ModelError(expected, f"{path}: {kind_of(found)}", fix)
    return found


def _size_by_header(file: Path) -> int | None:
    """How long the file is by its own header; None if it has none that can be read."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(HEADER_BYTES), "little")
        content = opened.read(length) if 0 < length <= MOST_HEADER else b""
    try:
        tensors = json.loads(content)
        ends = [each["data_offsets"][1] for name, each in tensors.items() if name != "__metadata__"]
        return HEADER_BYTES + length + max(ends, default=0) if len(content) == length else None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return None
