"""Which files of a model hold its weights, and whether they are whole: read from names and headers alone."""

import json
from collections.abc import Iterable
from pathlib import Path

from flame_ray.errors import ModelError

HEADER_BYTES, MOST_HEADER = 8, 100_000_000  # the length of a header comes before it; the format's own limit


def is_weights(file: str) -> bool:
    """Whether transformers and vLLM read the file.

    >>> [is_weights(file) for file in ("model-00001-of-00002.safetensors", "consolidated.safetensors", "onnx/a.safetensors")]
    [True, False, False]
    """
    return file.endswith(".safetensors") and "/" not in file and not file.startswith("consolidated")


def check_names(files: Iterable[str], where: str) -> None:
    """Raise ModelError unless there are settings, and weights in the one format that is read."""
    names = tuple(files)
    if "config.json" not in names:
        fix = "give the folder that save_pretrained wrote"
        raise ModelError("a model folder with config.json", f"none in {where}", fix)
    if not any(map(is_weights, names)):
        fix = "save the model with safe_serialization=True"
        raise ModelError("weights as *.safetensors (no other format is read)", f"none in {where}", fix)


def check_whole(folder: Path) -> None:
    """Raise ModelError for a file of weights that ends before its last tensor, or has no header."""
    for file in sorted(path for path in folder.iterdir() if is_weights(path.name)):
        size, wanted = file.stat().st_size, _size_by_header(file)
        if wanted is None or size < wanted:
            found = f"{file} of {size} bytes" + (f", of which its header names {wanted}" if wanted else ", without a header")
            raise ModelError("files of weights that are whole", found, "download or save that file again")


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
