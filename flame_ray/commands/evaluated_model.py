"""Finds the model that `flame-ray evaluate` is given: by name, by folder, or what a run delivered."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from flame_ray.cluster.submitted import require_lasting
from flame_ray.config import Config, RunConfig
from flame_ray.config.load import parse_config
from flame_ray.engines.base import StoredModel
from flame_ray.engines.models import KnownModel, fingerprint, look_up
from flame_ray.errors import StorageError
from flame_ray.journal.run_folder import CONFIG, RunFolder
from flame_ray.learner.checkpoints import BEST, MODELS, Checkpoints
from flame_ray.storage.atomic import MANIFEST, sha256_of
from flame_ray.storage.filesystem import Storage
from flame_ray.storage.local_copy import Folder, RemoteFolder, folder_of

ADAPTER_WEIGHTS = "adapter_model.safetensors"


@dataclass(frozen=True, slots=True)
class EvaluatedModel:
    """A model as the samplers serve it: `base`, or the weights in `stored` over it.

    `name` is what the user wrote; `fingerprint` tells the weights from any others.
    """

    name: str
    base: KnownModel
    stored: StoredModel | None
    fingerprint: str


def find_model(name: str, config: Config) -> tuple[EvaluatedModel, Config]:
    """The model, and the settings with which it is served: those of its run where it is a run's.

    A run is given by its folder, or by its id under run.root's default. Its `best/` is taken, or else the last round that is
    trained. Raises ModelError or StorageError.
    """
    run = _run_folder(name)
    if run is None:
        base = look_up(name, config.model, "MODEL")
        return EvaluatedModel(name, base, None, fingerprint(base.folder)), config
    began = parse_config(run.settings(), run.storage.at(CONFIG))
    fields = ("policy", "revision", "dtype", "trust_remote_code", "chat_template", "chat_template_kwargs")
    kept = {field: getattr(began.model, field) for field in fields}
    config = config.replaced("model", **kept)
    base = look_up(run.models().get("model.policy", began.model.policy), config.model)
    stored = _delivered(run, began.learner.dtype)
    identity = fingerprint(base.folder) if stored is None else _identity(base, stored)
    return EvaluatedModel(name, base, stored, identity), config


def _run_folder(name: str) -> RunFolder | None:
    """The run of this name; None if a model is meant."""
    for place in (name, f"{RunConfig().root}/{name}"):
        if "://" in place or (Path(place).expanduser() / CONFIG).is_file():
            require_lasting("the run to evaluate", place, "/shared/path/RUN, or s3://bucket/path/RUN")
            return RunFolder(Storage(place.rstrip("/")))
    return None


def _delivered(run: RunFolder, dtype: str) -> StoredModel | None:
    """What the run delivers; None if that is its initial model. Raises StorageError if it has trained nothing."""
    checkpoints = Checkpoints(run.checkpoints)
    best = run.read_json(f"{BEST}/{BEST}.json", None)
    if best is not None and not best["models"]:
        return None
    folder = folder_of(run.storage) / BEST if best is not None else checkpoints.round(checkpoints.trained())
    if best is None and not checkpoints.trained():
        fix = "give a run that has trained a round, or resume this one"
        raise StorageError("a run with a trained model", f"none in {run.storage.url}", fix)
    at = run.storage.at("").rstrip("/")
    kind = next((each for each in MODELS if run.storage.exists(f"{str(folder).removeprefix(at).strip('/')}/{each}")), None)
    if kind is None:
        raise StorageError(f"{' or '.join(MODELS)} in {folder}", "neither", "give another run, or the folder of a model")
    return StoredModel(folder / kind, dtype if kind == "adapter" else None)


def _identity(base: KnownModel, stored: StoredModel) -> str:
    weights = f"{fingerprint(base.folder)} {stored.adapter_dtype} {_digest(stored.folder)}"
    return hashlib.sha256(weights.encode()).hexdigest()


def _digest(folder: Folder) -> str:
    """What identifies stored weights: an adapter's content, a model's files, on an object store the manifest."""
    if isinstance(folder, RemoteFolder):
        return hashlib.sha256(Storage(folder.url).read(MANIFEST)).hexdigest()
    adapter = folder / ADAPTER_WEIGHTS
    return sha256_of(adapter) if adapter.is_file() else fingerprint(folder)
