"""`flame-ray push`: uploads a model that a run has saved to the hub, with its card and lineage, and nothing else of the run."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from rich.console import Console

from flame_ray.engines.hub import CARD, is_id
from flame_ray.engines.model_files import check_whole, is_weights
from flame_ray.engines.origin import LINEAGE
from flame_ray.errors import ConfigError, StorageError
from flame_ray.journal.lineage import described, lineage_of
from flame_ray.journal.run_folder import RunFolder, find_run
from flame_ray.journal.run_status import check_record
from flame_ray.learner.checkpoints import BEST, MODELS, Checkpoints
from flame_ray.storage.local_copy import Folder, folder_of, local_copy
from flame_ray.types import BaseModel, Lineage, Where

ADAPTER_WEIGHTS, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
MODEL_FILES = (
    *("model*.safetensors", "model.safetensors.index.json", ADAPTER_WEIGHTS, ADAPTER_CONFIG, "config.json"),
    *("generation_config.json", "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab.*", "merges.txt"),
    *("chat_template.*", "spiece.model", "sentencepiece.bpe.model"),
)
OF_A_NEW_REPO = {".gitattributes", CARD, "LICENSE"}
REASONS = {
    401: ("a token that the hub accepts", "put a valid one into HF_TOKEN, or log in again by `hf auth login`"),
    403: ("a token with the right to write there", "make one with write access in the hub's settings, or name your own repo"),
    409: ("a repo that is new, or yours", "run the command again, or choose another name"),
}


class Hub(Protocol):
    """The part of huggingface_hub's HfApi that is used here."""

    def repo_info(self, repo_id: str) -> Any: ...

    def create_repo(self, repo_id: str, *, private: bool) -> Any: ...

    def hf_hub_download(self, repo_id: str, filename: str, *, revision: str) -> str: ...

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str, delete_patterns: list[str]) -> Any: ...


@dataclass(frozen=True, slots=True)
class PushRequest:
    """`round`: its number, or best; None: the best one, or the last if the run chose none. `merged`: the whole model.

    `base`: the repo that holds the base model of an adapter that was trained on a folder.
    """

    run: str
    repo: str
    round: str | None = None
    private: bool = True
    merged: bool = False
    base: str | None = None


def push(request: PushRequest, console: Console, hub: Hub | None = None) -> None:
    """A second call replaces what the first uploaded. Raises a FlameError before anything is sent, or if the hub refuses."""
    for repo in (request.repo, request.base):
        _check_repo(repo)
    run = find_run(request.run, "the run whose model is pushed")
    check_record(run)
    round, folder, kind = saved_model(run, request)
    lineage = lineage_of(run, round)
    check_base(lineage.base, kind, request.base)
    hub = hub or connected()
    if request.base:
        with _asking(request.base):
            lineage = replace(lineage, base=base_on_hub(hub, lineage, request.base))
    with local_copy(folder) as here, TemporaryDirectory(prefix="flame-ray-") as made:
        assert here is not None
        stage(here, Path(made), described(lineage, kind) | (_on_base(here, lineage.base) if request.base else {}))
        with _asking(request.repo):
            _prepare(hub, request, lineage)
            message = f"Round {round} of run {lineage.run}"
            patterns = [*MODEL_FILES, LINEAGE]  # the files of another push that this one lacks
            done = hub.upload_folder(
                repo_id=request.repo, folder_path=Path(made), commit_message=message, delete_patterns=patterns
            )
    seen = "private" if request.private else "public"
    console.print(f"round {round}, {kind}: {getattr(done, 'repo_url', request.repo)} ({seen})", markup=False, soft_wrap=True)


def check_base(base: BaseModel, kind: str, named: str | None) -> None:
    """Raises ConfigError for an adapter on a folder if no repo is named in its place, and for a name that nothing needs."""
    needs = kind == "adapter" and base.where is Where.FOLDER
    if needs and named is None:
        expected, found = "an adapter whose base model others can load", f"one on {base.name}, a folder of whoever trained it"
        fix = "push that model too and name its repo by --base OWNER/NAME, or push the whole model by --merged"
        raise ConfigError(expected, found, fix)
    if named is not None and not needs:
        found = f"--base {named} for " + (
            f"an adapter on {base.name}" if kind == "adapter" else "a whole model, which needs none"
        )
        raise ConfigError("--base only for an adapter that was trained on a folder", found, "leave --base out")


def base_on_hub(hub: Hub, lineage: Lineage, repo: str) -> BaseModel:
    """The base model as its repo has it now. Raises StorageError unless that is a whole model, and the one that was trained on.

    The second is only known of a model that flame-ray made and pushed, by its lineage.
    """
    from huggingface_hub.errors import RepositoryNotFoundError

    fix = "push the model that the adapter was trained on, whole (--merged), and name that repo"
    try:
        info = hub.repo_info(repo)
    except RepositoryNotFoundError:
        raise StorageError(f"the base model in {repo}", "no such repo, or no right to read it", fix) from None
    names = {each.rfilename for each in info.siblings or ()}
    if "config.json" not in names or not any(map(is_weights, names - {ADAPTER_WEIGHTS})):
        raise StorageError(f"a whole model in {repo}", "an adapter" if ADAPTER_CONFIG in names else "none", fix)
    made = next((each for each in lineage.ancestors if each.run != lineage.run), None)
    if made is not None and LINEAGE in names:
        found = _lineage_in(Path(hub.hf_hub_download(repo, LINEAGE, revision=info.sha)))
        if (found.get("run"), found.get("round")) != (made.run, made.round):
            other = f"round {found.get('round')} of the run {found.get('run')}"
            raise StorageError(f"round {made.round} of the run {made.run} in {repo}", other, fix)
    return BaseModel(repo, Where.HUB, info.sha, lineage.base.license)


def _on_base(adapter: Path, base: BaseModel) -> dict[str, str]:
    """The adapter's configuration, which names its base model by that repo and commit."""
    config = json.loads((adapter / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    return {ADAPTER_CONFIG: json.dumps(config | {"base_model_name_or_path": base.name, "revision": base.revision}, indent=2)}


def saved_model(run: RunFolder, request: PushRequest) -> tuple[int, Folder, str]:
    """The round, the folder of its model, and which kind it is. Raises StorageError if the run has no such model.

    Raises ConfigError for a round that is none of its trained ones.
    """
    best = run.read_json(f"{BEST}/{BEST}.json", None)
    is_best = request.round == BEST or (request.round is None and best is not None)
    if is_best and (best is None or not best["models"]):
        found = "none, as run.select is last" if best is None else "round 0, the model that the run began with"
        raise StorageError(f"a trained best round in {run.storage.url}", found, "name a round by --round")
    round = best["round"] if is_best and best else _number(run, request.round)
    folder = folder_of(run.storage) / BEST if is_best else Checkpoints(run.checkpoints).round(round)
    wanted = "merged" if request.merged else None
    place = BEST if is_best else f"checkpoints/{folder.name}"
    kinds = [kind for kind in MODELS if wanted in (None, kind) and run.storage.exists(f"{place}/{kind}")]
    if not kinds:
        fix = "name a round that the run keeps, or for --merged a run with run.save_merged=true"
        raise StorageError(f"{wanted or ' or '.join(MODELS)} of round {round}", f"none in {folder}", fix)
    return round, folder / kinds[0], kinds[0]


def _number(run: RunFolder, round: str | None) -> int:
    found = Checkpoints(run.checkpoints).trained() if round is None else int(round) if round.isdecimal() else 0
    if not found:
        expected = "--round with the number of a trained round, or best" if round else "a run that has trained a round"
        raise ConfigError(expected, repr(round) if round else f"none in {run.storage.url}", "give such a round or run")
    return found


def stage(source: Path, target: Path, texts: Mapping[str, str]) -> None:
    """Fill `target` with links to the files of the model, and with `texts`, which replace files of their names. What else lies
    beside them stays here.

    Raises StorageError for links, and for weights that are missing or damaged.
    """
    files = [path for path in sorted(source.iterdir()) if any(fnmatch(path.name, each) for each in MODEL_FILES)]
    if odd := [path for path in files if path.is_symlink() or not path.is_file()]:
        raise StorageError("the files of a model as the run wrote them", f"{odd[0]}, which is a link or no file", "remove it")
    if not any(is_weights(path.name) for path in files):
        raise StorageError("weights as *.safetensors", f"none in {source}", "resume the run, which saves the model again")
    check_whole(source)
    for path in (each for each in files if each.name not in texts):
        (target / path.name).symlink_to(path.absolute())
    for name, text in texts.items():
        (target / name).write_text(text, encoding="utf-8")


def connected() -> Hub:
    """The hub's own client. Raises ConfigError without a token or a network, of which it would say less."""
    from huggingface_hub import HfApi, constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise ConfigError("a hub to push to", "HF_HUB_OFFLINE is set", "unset it")
    if not (token := get_token()):
        fix = "export HF_TOKEN with a token that may write, or log in by `hf auth login`"
        raise ConfigError("a token for the hub", "no HF_TOKEN, and no login", fix)
    return HfApi(token=token)


def _prepare(hub: Hub, request: PushRequest, lineage: Lineage) -> None:
    """Make the repo, or see that it is as asked for, and empty or this run's: no other model is overwritten."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        info = hub.repo_info(request.repo)
    except RepositoryNotFoundError:
        hub.create_repo(request.repo, private=request.private)
        return
    if bool(info.private) != request.private:
        expected = f"a {_visible(request.private)} repo {request.repo}"
        fix = f"change it in the hub's settings, or give --{_visible(not request.private)}"
        raise StorageError(expected, f"one that is {_visible(not request.private)}", fix)
    names = {each.rfilename for each in info.siblings or ()}
    if names <= OF_A_NEW_REPO:
        return
    owner = None
    if LINEAGE in names:
        owner = _lineage_in(Path(hub.hf_hub_download(request.repo, LINEAGE, revision=info.sha))).get("run")
    if owner != lineage.run:
        found = f"a model of the run {owner}" if owner else "other files"
        fix = "choose another name, or empty that repo"
        raise StorageError(f"{request.repo} to be new, empty or of the run {lineage.run}", found, fix)


def _lineage_in(path: Path) -> dict[str, Any]:
    """What anybody may have written: {} for what is no lineage."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _visible(private: bool) -> str:
    return "private" if private else "public"


def _check_repo(repo: str | None) -> None:
    if repo is not None and not is_id(repo):
        raise ConfigError("a repo's name on the hub, such as owner/name", repr(repo), "use letters, digits, `-`, `_` and `.`")


@contextmanager
def _asking(repo: str) -> Iterator[None]:
    """Raises StorageError for every way in which the hub's client says that it was refused or got no answer."""
    try:
        yield
    except (ConfigError, StorageError):
        raise
    except Exception as error:  # the client raises the errors of several HTTP libraries
        status = getattr(getattr(error, "response", None), "status_code", None)
        expected, fix = REASONS.get(status or 0, ("an answer of the hub", "check the network and HF_ENDPOINT, and try again"))
        said = getattr(error, "server_message", None) or next(iter(str(error).strip().splitlines()), "no reason given")
        found = f"{type(error).__name__}{f' {status}' if status else ''}: {said}"
        raise StorageError(f"{expected}, for {repo}", found, fix) from error
