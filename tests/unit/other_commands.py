"""Checks commands of others, as the documents tell a person to type them, without running any.

Ray, pip, the client of the hub and our own scripts parse their own words. Of other tools the options are listed here; the files
that they read, and the objects of `clusters/kubernetes` that they name, must be there.
"""

import importlib
import re
import shlex
import subprocess
import sys
import tomllib
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import typer
import yaml
from packaging.requirements import InvalidRequirement, Requirement

from tests.unit.shell import simple_commands
from tests.unit.test_readme import UNFINISHED

REPOSITORY = Path(__file__).resolve().parents[2]
KUBERNETES = REPOSITORY / "clusters" / "kubernetes"
# Without a check of their words: the shell's own commands, and those that every Linux has.
BASICS = {
    ".",
    "[",
    "awk",
    "base64",
    "chmod",
    "echo",
    "export",
    "for",
    "grep",
    "head",
    "install",
    "rm",
    "set",
    "source",
    "tail",
    "test",
}
BASICS |= {"ulimit", "umask", "useradd", "wc"}
WRAPPERS = {"sudo": 0, "setsid": 0, "timeout": 1, "flock": 1, "srun": 0}  # by how many words follow their options
# The options that the documents use, by command.
# sbatch, srun, squeue, scancel, scontrol: https://slurm.schedmd.com/man_index.html; aws: https://docs.aws.amazon.com/cli/latest/
# docker: https://docs.docker.com/reference/cli/docker/; gcloud: https://cloud.google.com/sdk/gcloud/reference
# kubectl: https://kubernetes.io/docs/reference/kubectl/generated/; helm: https://helm.sh/docs/helm/
# prometheus: https://prometheus.io/docs/prometheus/latest/command-line/prometheus/
# prometheus-node-exporter: https://github.com/prometheus/node_exporter; grafana: `grafana server --help`
# uv: https://docs.astral.sh/uv/reference/cli/; apt-get, openssl, ssh, systemctl: their pages of `man`;
# nvidia-smi, tensorboard, wandb: their `--help`
ANYWHERE = {"apt-get": "-o", "kubectl": "-n"}  # options with a value that may stand before the command
OPTIONS = {
    "apt-get install": "-y -qq --no-install-recommends",
    "apt-get update": "-qq",
    "aws ssm get-parameter": "--name --query --output",
    "docker build": "-f -t",
    "docker buildx imagetools inspect": "",
    "docker push": "",
    "docker run": "--rm --gpus --shm-size",
    "gcloud auth application-default login": "",
    "gcloud compute firewall-rules create": "--network --allow --source-ranges",
    "gcloud compute images list": "--project --no-standard-images --filter --format",
    "gcloud compute networks create": "--subnet-mode",
    "gcloud compute networks subnets create": "--network --region --range",
    "gcloud container node-pools create": "--cluster --machine-type --enable-autoscaling --num-nodes --min-nodes --max-nodes "
    "--accelerator --spot",
    "gcloud iam service-accounts add-iam-policy-binding": "--role --member",
    "gcloud iam service-accounts create": "",
    "gcloud projects add-iam-policy-binding": "--role --member",
    "gcloud storage buckets add-iam-policy-binding": "--role --member",
    "grafana server": "--homepath --config",
    "helm install": "--version --namespace --create-namespace",
    "helm repo add": "",
    "kubectl apply": "-f",
    "kubectl create secret generic": "--from-literal --from-file",
    "kubectl delete": "-f",
    "kubectl drain": "",
    "kubectl get": "-o",
    "kubectl logs": "--follow --container --selector",
    "kubectl port-forward": "",
    "nvidia-smi": "--list-gpus",
    "openssl rand": "-hex",
    "prometheus": "--config.file --web.listen-address",
    "prometheus-node-exporter": "--collector.disable-defaults --collector.textfile --collector.textfile.directory "
    "--web.listen-address",
    "sbatch": "--nodes --gpus-per-node",
    "scancel": "--batch --signal",
    "scontrol requeue": "",
    "scontrol show hostnames": "",
    "squeue": "--noheader --format --jobs",
    "srun": "--nodes --ntasks-per-node --exclude --cpus-per-task",
    "ssh": "-L",
    "systemctl disable": "--now",
    "tensorboard": "--logdir",
    "uv pip compile": "--extra --constraint --python-version --python-platform",
    "wandb login": "",
    "wandb sync": "",
}


def check(words: Sequence[str], is_whole: bool = True) -> None:
    """Raises AssertionError for a command that its tool would not take. `is_whole`: False where a sentence only names it.

    Raises AssertionError for a tool without a check here, so that a new one gets one.
    """
    name, rest = words[0], list(words[1:])
    for word in words:
        _check_file(word)
    if name in WRAPPERS:
        _check_wrapped(name, rest)
    elif name in CHECKS:
        CHECKS[name](rest, is_whole)
    elif name not in BASICS:
        _check_options(words)


def known() -> set[str]:
    """The names of tools that have a check of their words."""
    return {*CHECKS, *(each.split()[0] for each in OPTIONS)}


def _check_file(word: str) -> None:
    """A file of this repository, also as an option's value, or in the copy of it that the launchers put on a node."""
    path = re.sub(r"^(?:-[\w.-]+=)?(?:~/flame-ray/)?", "", word)
    if re.match(r"(?:clusters|jobs|tests)/\w", path) and not re.search(r"[*$<]", path):
        assert (REPOSITORY / path).exists(), f"no file {path}"


def _check_wrapped(name: str, rest: list[str]) -> None:
    at = next((place for place, word in enumerate(rest) if not word.startswith("-")), 0)
    if name in OPTIONS:
        _check_options([name, *rest[:at]])
    assert rest[at + WRAPPERS[name] :], f"{name} of no command"
    check(rest[at + WRAPPERS[name] :])


def _check_options(words: Sequence[str]) -> None:
    words = _without(words, ANYWHERE.get(words[0]))
    starts = [" ".join(words[:length]) for length in range(5, 0, -1)]
    command = next((each for each in starts if each in OPTIONS), None)
    assert command, f"no check of `{' '.join(words[:2])}` in {Path(__file__).name}: give it one"
    given = {word.partition("=")[0] for word in words if re.match(r"--?[A-Za-z]", word)}
    assert given <= set(OPTIONS[command].split()), f"{command} with {given - set(OPTIONS[command].split())}"


def _without(words: Sequence[str], option: str | None) -> list[str]:
    """Without an option and its value."""
    if option not in words:
        return list(words)
    at = list(words).index(option)
    return [*words[:at], *words[at + 2 :]]


def _check_click(group: Any, words: list[str], is_whole: bool) -> dict[str, Any]:
    """The values that a command of click takes from its words; {} where a sentence leaves some out."""
    command, name = group, "the command"
    while hasattr(command, "commands") and words:
        name, *words = words
        command = command.get_command(None, name)
        assert command, f"no command {name}"
    try:
        return dict(command.make_context(name, list(words)).params)
    except Exception as error:  # click's or Typer's copy of it
        if type(error).__name__ in UNFINISHED and not is_whole:
            return {}
        raise AssertionError(f"{name}: {error}") from error


def _check_ray(words: list[str], is_whole: bool) -> None:
    from ray.scripts.scripts import cli

    given = _check_click(cli, words, is_whole)
    if file := given.get("cluster_config_file"):
        assert "provider" in yaml.safe_load((REPOSITORY / file).read_text(encoding="utf-8")), f"{file} is for no launcher"
    if entrypoint := given.get("entrypoint"):
        check(entrypoint)
    for each in simple_commands(given.get("cmd") or ""):
        check(each)


def _check_flame_ray(words: list[str], is_whole: bool) -> None:
    from flame_ray.cli import app

    if words and not words[0].startswith(("-", "$")):
        _check_click(typer.main.get_command(app), words, is_whole)


def _check_hub(words: list[str], is_whole: bool) -> None:
    from huggingface_hub.cli.hf import app

    _check_click(app, words, is_whole)


PIP = """
import sys
from pip._internal.commands import create_command
options, packages = create_command(sys.argv[1]).parse_args(sys.argv[2:])
print(*packages, sep="\\n")
sys.exit(not (packages or getattr(options, "requirements", ()) or getattr(options, "editables", ())))
"""


def _check_pip(words: list[str], is_whole: bool) -> None:
    """Elsewhere, as pip brings a distutils that setuptools refuses to see beside its own."""
    done = subprocess.run([sys.executable, "-c", PIP, *words], capture_output=True, text=True)
    assert done.returncode == 0, f"pip does not take {shlex.join(words)}: {done.stderr[-200:]}"
    for each in done.stdout.split("\n"):
        if re.match(r"[^.~/]", each):
            _check_requirement(each)


def _check_requirement(text: str) -> None:
    try:
        Requirement(text)
    except InvalidRequirement as error:
        raise AssertionError(f"pip does not know {text}") from error


def _check_python(words: list[str], is_whole: bool) -> None:
    if words[0] == "-":  # a script on its input
        return None
    if words[0] != "-m":
        return _check_script(REPOSITORY / words[0], words[1:])
    _, module, *rest = words
    if module in ("pip", "flame_ray", "pytest"):
        return CHECKS[module.replace("_", "-")](rest, is_whole)
    if module == "venv":
        assert len(rest) == 1, f"venv with {rest}"
        return None
    path = REPOSITORY / module.replace(".", "/")
    return _check_script(path / "__main__.py" if path.is_dir() else path.with_suffix(".py"), rest)


class Parsed(BaseException):
    """Ends a script once it has read its words."""


def _check_script(path: Path, words: list[str]) -> None:
    """A script under tests reads its words. It is only looked for where a word is a name in capitals, as is another module."""
    assert path.is_file(), f"no script {path.relative_to(REPOSITORY)}"
    if (
        not path.is_relative_to(REPOSITORY / "tests")
        or "argparse" not in path.read_text(encoding="utf-8")
        or any(re.fullmatch("[A-Z]+|x", word) for word in words)
    ):
        return
    module = importlib.import_module(".".join(path.relative_to(REPOSITORY).with_suffix("").parts))
    parse = ArgumentParser.parse_args

    def parse_and_end(parser: ArgumentParser, args: Any = None, namespace: Any = None) -> None:
        parse(parser, args, namespace)
        raise Parsed

    try:
        with patch.object(sys, "argv", [str(path), *words]), patch.object(ArgumentParser, "parse_args", parse_and_end):
            module.main()
    except Parsed:
        return
    except SystemExit as error:
        raise AssertionError(f"{path.name} does not take {shlex.join(words)}") from error
    raise AssertionError(f"{path.name} has read no words")


def _check_make(words: list[str], is_whole: bool) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    assert words[0] in targets, f"no target {words[0]}"
    given = dict(each.split("=", 1) for each in words[1:])
    assert given.keys() <= {"ARGS", "PYTHON"}, f"make with {sorted(given)}"
    if words[0] == "bench":
        _check_python(["-m", "tests.benchmarks.bench", *shlex.split(given.get("ARGS", ""))], is_whole)


def _check_pytest(words: list[str], is_whole: bool) -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    marks = {each.partition(":")[0] for each in settings["markers"]}
    parser = ArgumentParser()
    parser.add_argument("-m", choices=marks)
    parser.add_argument("-k")
    parser.add_argument("paths", nargs="*")
    try:
        parser.parse_args(words)  # that the paths are there is checked of all words
    except SystemExit as error:
        raise AssertionError(f"pytest {shlex.join(words)}") from error


@cache
def _objects() -> dict[str, set[str]]:
    """By kind, the names of what the manifests make, and of what KubeRay makes for a RayCluster."""
    found: dict[str, set[str]] = {}
    for path in KUBERNETES.glob("*.yaml"):
        for each in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            found.setdefault(each["kind"].lower(), set()).add(each["metadata"]["name"])
    text = "".join(path.read_text(encoding="utf-8") for path in (*KUBERNETES.glob("*.yaml"), KUBERNETES.parent / "README.md"))
    secrets = set(re.findall(r"secretKeyRef: \{name: (\w+),", text))
    clusters = found["raycluster"]
    return found | {"service": {f"{each}-head-svc" for each in clusters}, "secret": secrets | clusters}


def _check_kubectl(words: list[str], is_whole: bool) -> None:
    given = _without(words, "-n")
    if "-n" in words:
        assert words[words.index("-n") + 1] in _objects()["namespace"], f"no namespace {words}"
    elif is_whole:
        assert given[1] == "-f", "kubectl without -n"
    _check_options(["kubectl", *given])
    pairs = {tuple(each.split("/")) for each in given if each.startswith("service/")}
    if given[0] == "get":
        pairs.add(tuple(given[1:3]))
    if given[:2] == ["create", "secret"]:
        pairs.add(("secret", given[3]))
    if "--selector" in given:
        pairs.add(("rayjob", given[given.index("--selector") + 1].removeprefix("ray.io/originated-from-cr-name=")))
    for kind, name in pairs:
        assert name in _objects().get(kind, ()), f"no {kind} {name}"
    for at, word in enumerate(given[:-1]):
        if word == "-f":
            assert given[at + 1].startswith("clusters/kubernetes/"), f"{given[at + 1]} is no manifest"


def _check_helm(words: list[str], is_whole: bool) -> None:
    """A release goes into a namespace that the network policies let in."""
    _check_options(["helm", *words])
    if "--namespace" in words:
        name = words[words.index("--namespace") + 1]
        policies = (KUBERNETES / "namespace.yaml").read_text(encoding="utf-8")
        assert f"kubernetes.io/metadata.name: {name}" in policies, f"no policy lets in the namespace {name}"


def _check_docker(words: list[str], is_whole: bool) -> None:
    """What a container runs is checked too."""
    options = ["docker", *words]
    at = next((place for place, word in enumerate(words) if "flame-ray:" in word), len(words))
    _check_options(options[: at + 2] if words[0] == "run" else options)
    if words[0] == "run":
        assert words[at:], "docker run without our image"
        check(words[at + 1 :] or ["flame-ray"])


def _check_sbatch(words: list[str], is_whole: bool) -> None:
    """The words after the script are a job, the folder of its runs, and options of `flame-ray run`."""
    at = words.index("clusters/slurm.sh") if "clusters/slurm.sh" in words else len(words)
    _check_options(["sbatch", *words[:at]])
    assert words[at + 2 :], "sbatch without our script, a job and a folder"
    _check_flame_ray(["run", words[at + 1], *words[at + 3 :]], is_whole)


CHECKS: dict[str, Callable[[list[str], bool], None]] = {
    "docker": _check_docker,
    "flame-ray": _check_flame_ray,
    "helm": _check_helm,
    "hf": _check_hub,
    "kubectl": _check_kubectl,
    "make": _check_make,
    "pip": _check_pip,
    "pytest": _check_pytest,
    "python": _check_python,
    "python3.11": _check_python,
    "python3.12": _check_python,
    "ray": _check_ray,
    "sbatch": _check_sbatch,
}
