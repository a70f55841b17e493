"""What tells the content of the files and folders that a job's settings only name, beside its prompts and its pairs."""

from pathlib import Path

from flame_ray.cluster.capacity import sft_roles
from flame_ray.config import Config
from flame_ray.engines.chat_template import chat_template
from flame_ray.engines.embedder import MINILM
from flame_ray.engines.models import JUDGE_WEIGHTS, SMOLLM2
from flame_ray.prompts.embedding_classifier import SENTENCE_LABELS, labels_digest
from flame_ray.rewards.factuality.check import rules_version
from flame_ray.rewards.factuality.corpus import resumed_with
from flame_ray.rewards.factuality.names import folder_contents
from flame_ray.storage.atomic import content_digest, json_digest, sha256_of


def run_contents(config: Config) -> dict[str, str]:
    """What must not change while a run compares its rounds with each other: by setting, what tells the content of the models in
    folders and of the files that score answers and classify prompts, and the version of the checker's rules.
    """
    factuality, judge = config.factuality, config.judge
    contents = {
        "factuality.corpus": _corpus(config),
        "factuality.checker": rules_version(factuality),
        **folder_contents(factuality),
        **_policy(config),
        **_folder("judge.model", judge.model),
        **_classifier(config),
    }
    if factuality.asks_verifier:
        contents |= _folder("factuality.checker_model", factuality.verifier_model)
    if factuality.sentence_labels:
        contents["factuality.sentence_labels"] = labels_digest(factuality.sentence_labels, SENTENCE_LABELS)
    if judge.kind.is_trained and judge.preferences:
        contents["judge.preferences"] = sha256_of(Path(judge.preferences).expanduser() / JUDGE_WEIGHTS)
    return contents


def sft_contents(config: Config) -> dict[str, str]:
    """The same of a fine-tuning, beside its demonstrations: only what it reads."""
    elicit, contents = config.sft.elicit, _policy(config)
    if config.sft.classifies:
        contents |= _classifier(config)
    if "judge" in sft_roles(config):
        contents |= _folder("judge.model", config.judge.model)
    if config.sft.elicits and elicit.similarity == "dense":
        contents |= _folder("sft.elicit.embedder", elicit.embedder)
    if config.sft.elicits and elicit.passages:
        found = folder_contents(config.factuality)
        contents |= {name: found[name] for name in ("factuality.embedder", "factuality.reranker") if name in found}
        contents["factuality.corpus"] = _corpus(config)
    return contents


def _policy(config: Config) -> dict[str, str]:
    template = chat_template(config.model)
    return _folder("model.policy", config.model.policy) | ({"model.chat_template": json_digest(template)} if template else {})


def _classifier(config: Config) -> dict[str, str]:
    """What classifies prompts by their meaning."""
    if config.classify.by != "embedding":
        return {}
    return {"classify.labels": labels_digest(config.classify.labels)} | _folder("classify.embedder", config.classify.embedder)


def _corpus(config: Config) -> str:
    factuality = config.factuality
    return resumed_with(factuality.corpus, factuality.title_column, factuality.text_column)


def _folder(setting: str, name: str | None) -> dict[str, str]:
    """Of a model in a folder. A hub id or a URL has its commit, and a built-in model never changes."""
    folder = Path(name or "").expanduser()
    is_folder = name not in (None, SMOLLM2, MINILM) and folder.is_dir()
    return {setting: content_digest(folder, samples=True)} if is_folder else {}
