"""Tells the workers of other nodes which corpus and which models the settings name."""

from collections.abc import Iterable
from pathlib import Path

from flame_ray.config import Config, FactualityConfig, ModelConfig
from flame_ray.engines.chat_template import model_with
from flame_ray.engines.embedder import MINILM
from flame_ray.engines.models import DEFAULT, fingerprint, reference
from flame_ray.errors import DataError, ModelError
from flame_ray.storage.atomic import content_digest
from flame_ray.storage.shared_paths import check_is_here, path_for_actors


def travelling(config: FactualityConfig) -> FactualityConfig:
    """The settings, with absolute paths and with the commits of hub ids: every node reads the same. Raises ModelError."""
    models = {name: _model_for_actors(f"factuality.{name}", getattr(config, name)) for name in _models(config)}
    corpus = config.corpus if config.corpus == "factbook" else path_for_actors(config.corpus)
    labels = tuple(each.model_copy(update={"source": path_for_actors(each.source)}) for each in config.sentence_labels)
    return config.model_copy(update={"corpus": corpus, "sentence_labels": labels, **models})


def pinned_models(config: FactualityConfig) -> dict[str, str]:
    """By setting, the models that this reward names, hub ids with their commits. Raises ModelError."""
    names = [*_models(config), *(["checker_model"] if config.verifier_model else [])]
    settings = {f"factuality.{name}": getattr(config, name) for name in names}
    return {setting: reference(name, ModelConfig(), setting).pinned for setting, name in settings.items()}


def model_contents(
    config: FactualityConfig, names: Iterable[str] = ("embedder", "reranker", "checker_model")
) -> dict[str, str]:
    """By setting, what tells the content of the models that these workers load themselves. Raises ModelError."""
    return {name: model_content(getattr(config, name), f"factuality.{name}") for name in _models(config) if name in names}


def folder_contents(config: FactualityConfig) -> dict[str, str]:
    """By setting, what tells the content of those of these models that lie in folders; a hub id has its commit."""
    named = {f"factuality.{name}": Path(getattr(config, name)).expanduser() for name in _models(config)}
    return {setting: content_digest(folder, samples=True) for setting, folder in named.items() if folder.is_dir()}


def verifier_content(config: Config) -> str:
    """What tells the content of the model that the verifier serves, with its chat template. Raises ModelError."""
    named = config.factuality.verifier_model
    setting = "factuality.checker_model" if named else "model.policy"
    template = reference(named or config.model.policy, config.model, setting).chat_template
    return model_with(model_content(named or config.model.policy, setting, config.model), {}, template)


def check_paths(config: FactualityConfig, needs_corpus: bool) -> None:
    """Raise DataError or ModelError if this node lacks a file or folder that the driver has."""
    if needs_corpus:
        check_is_here("factuality.corpus", config.corpus, DataError)
    for source in config.sentence_labels:
        check_is_here("factuality.sentence_labels", source.source, DataError)
    for name in _models(config):
        check_is_here(f"factuality.{name}", getattr(config, name), ModelError)


def _models(config: FactualityConfig) -> list[str]:
    """The settings that name a model which these workers load themselves."""
    used = {
        "embedder": (config.retriever != "bm25" or bool(config.sentence_labels)) and config.embedder != MINILM,
        "reranker": config.reranker is not None,
        "checker_model": config.checker in ("small", "nli") and config.checker_model is not None,
    }
    return [name for name, is_used in used.items() if is_used]


def model_content(name: str, setting: str, model: ModelConfig = DEFAULT) -> str:
    """A folder's fingerprint, or the commit of a hub id."""
    folder = Path(name).expanduser()
    return fingerprint(folder) if folder.is_dir() else reference(name, model, setting).pinned


def _model_for_actors(setting: str, name: str) -> str:
    ref = reference(name, ModelConfig(), setting)
    return ref.path or ref.pinned
