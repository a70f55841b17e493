"""Finds models on the hub or in its cache: the commit and the small files for a driver, the whole model for an actor."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from filelock import FileLock

from flame_ray.errors import ModelError
from flame_ray.storage.atomic import storage_errors
from flame_ray.storage.cache import cache_dir

TIMEOUT_S = 5.0  # of the hub's answer, not of a download
SMALL = ("*.json", "*.jinja", "tokenizer*", "*.txt")  # a model's settings, tokenizer and chat template
WEIGHTS = "*.safetensors"
DUPLICATES = ("consolidated*", "*/*.safetensors")  # the same weights again in another form, or those of other models
CODE = "*.py"
CARD = "README.md"  # says the license


@dataclass(frozen=True, slots=True)
class Listing:
    """A model on the hub without its weights: `folder` has the small files, `sizes` [bytes] those of all files by name."""

    commit: str
    folder: Path
    sizes: dict[str, int]


def is_id(name: str) -> bool:
    """Whether it may name a model on the hub: an id becomes part of the paths of its cache."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


@cache
def look_up(name: str, revision: str | None, code: bool) -> Listing:
    """The commit of a branch or tag (None: main), and the small files of the model at it, with its Python files if `code`.

    A process asks once, so that the commit stays the same while a branch moves. Without the hub, what its cache knows. Raises
    ModelError.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, RevisionNotFoundError

    try:
        info = HfApi().model_info(name, revision=revision, files_metadata=True, timeout=TIMEOUT_S)
        folder = _download(name, info.sha, [*SMALL, CARD, *([CODE] if code else [])])
        return Listing(folder.name, folder, {each.rfilename: each.size or 0 for each in info.siblings or ()})
    except (HFValidationError, RevisionNotFoundError) as error:
        raise _missing(name, error) from error
    except Exception as error:  # the hub's client raises the errors of several HTTP libraries
        return _cached(name, revision, error)


def fetch(name: str, revision: str | None, code: bool) -> Path:
    """The folder of the model on this node. The processes of a node download it one after another: the first one does.

    Raises ModelError.
    """
    lock = cache_dir() / "models" / f"{name.replace('/', '--')}.lock"
    with storage_errors(lock, setting="FLAME_RAY_CACHE"):
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = FileLock(lock).acquire()
    with held:
        try:
            return _download(name, revision, [*SMALL, WEIGHTS, *([CODE] if code else [])])
        except Exception as error:  # a hub or a disk that fails, in any library's words: the model is not there
            raise _missing(name, error) from error


def _cached(name: str, revision: str | None, unreached: Exception) -> Listing:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        wanted, ignored = [*SMALL, WEIGHTS], [*DUPLICATES]
        found = snapshot_download(
            name, revision=revision, local_files_only=True, allow_patterns=wanted, ignore_patterns=ignored
        )
        folder = Path(found)
    except LocalEntryNotFoundError:
        raise _missing(name, unreached) from unreached
    return Listing(folder.name, folder, {path.name: path.stat().st_size for path in folder.iterdir()})


def _download(name: str, revision: str | None, patterns: list[str]) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(name, revision=revision, allow_patterns=patterns, ignore_patterns=[*DUPLICATES]))


def _missing(name: str, error: Exception) -> ModelError:
    return ModelError(
        f"the model {name} on the hub or in its cache",
        ": ".join([type(error).__name__, *str(error).strip().splitlines()[:1]]),
        "check the id, HF_TOKEN and the network, or give a local folder",
    )
