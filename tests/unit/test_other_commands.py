"""What the documents and the files of `clusters` and `jobs` tell a person to type into other tools is what these tools take."""

import doctest
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain

import pytest
import yaml

from tests.unit import shell
from tests.unit.clusters.kubernetes import manifests
from tests.unit.clusters.launches import ray_cluster
from tests.unit.other_commands import BASICS, REPOSITORY, WRAPPERS, check, known
from tests.unit.shell import simple_commands
from tests.unit.test_readme import DOCUMENTS, blocks_of, spans_of

LAUNCHERS = ("aws.yaml", "gcp.yaml", "on-premises.yaml")
SECTIONS = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray", "worker_start_ray")
FILES = [
    path
    for folder in ("clusters", "jobs")
    for path in sorted((REPOSITORY / folder).rglob("*"))
    if path.suffix in (".yaml", ".sh", ".lock") or path.name == "Dockerfile"
]
# What a person puts in: the same name for the same thing throughout.
PLACEHOLDER = r"<[a-z][^<>|&]*>|(?<![\w$\-{\"])[A-Z]{3,}(?:-[A-Z]+)*(?![\w=}\"-])"
PLACEHOLDERS = {"<another run id>", "<another sft run>", "<run id or folder>", "<run id>", "<sft run>"}
PLACEHOLDERS |= {"BUCKET", "CLUSTER", "FACTS", "FILE", "FOLDER", "HEAD", "JOB", "JOBID", "PINS"}
PLACEHOLDERS |= {"PROJECT-REPLACE-ME", "RUN", "SET", "YOUR-ADDRESS"}
SIGNALS = {"TERM"}


def head_lines(text: str) -> Iterator[str]:
    """The commands among the comments of a file: those that are indented, and any other line that begins with a known tool."""
    comments = "\n".join(line for line in text.replace("#!", "").splitlines() if line.startswith("#"))
    for line in re.sub(r"\\\n#\s*", "", comments).splitlines():
        if command := re.match(r"#   ([a-z(][^ ]* .*|[a-z]+)$", line):
            if not re.match(r"\S+ {2,}\S", command[1]):  # a name and what it is
                yield re.sub(r"\s+# .*", "", command[1])
        elif line.lstrip("# ").partition(" ")[0] in known() and re.match(r"#  +", line):
            yield line.lstrip("# ")


def spans_of_comments(text: str) -> Iterator[str]:
    comments = " ".join(line.lstrip("# ") for line in text.splitlines() if line.lstrip().startswith("#"))
    yield from re.findall(r"`([^`]+)`", comments)


def bodies() -> Iterator[str]:
    """What the launchers, the image and the batch job of Slurm run."""
    for name in LAUNCHERS:
        tree = yaml.safe_load((REPOSITORY / "clusters" / name).read_text(encoding="utf-8"))
        yield from (line for section in SECTIONS for line in tree.get(f"{section}_commands", ()))
    image = (REPOSITORY / "clusters" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    yield from re.findall(r"^RUN (.*)$", image, flags=re.MULTILINE)


def script_lines() -> Iterator[str]:
    text = (REPOSITORY / "clusters" / "slurm.sh").read_text(encoding="utf-8").replace("\\\n", " ")
    yield from (line for line in text.splitlines() if not line.startswith("#") and line.count('"') % 2 == 0)


def typed() -> list[str]:
    """Each line to type: of the documents' blocks, of the heads of files, and of what a cluster's nodes run."""
    of_documents = (line for name in DOCUMENTS for block in blocks_of(name) for line in block)
    of_heads = (line for path in FILES for line in head_lines(path.read_text(encoding="utf-8")))
    return sorted({*of_documents, *of_heads, *bodies()})


def named() -> list[str]:
    """Inline code that is a command: it begins with a known tool, or has an option."""
    spans = {
        *(span for name in DOCUMENTS for span in spans_of(name)),
        *(span for path in FILES for span in spans_of_comments(path.read_text(encoding="utf-8"))),
    }
    first = r"(?:\w+=\S+ )*([a-z][\w.-]*) "
    tools = {*known(), *WRAPPERS}
    kept = (span for span in spans if (found := re.match(first, span)) and (found[1] in tools or re.search(r" --?[a-z]", span)))
    return sorted(kept)


def plain(text: str) -> str:
    """Without what a person puts in, or may leave out."""
    return re.sub(r"\[[A-Z-][^\]]*\]", "", re.sub(r"<[^>]*>", "x", text)).replace(" ...", "")


@cache
def commands() -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(words) for line in typed() for words in simple_commands(plain(line)))


@pytest.mark.parametrize("line", typed())
def test_a_line_to_type_is_one_that_its_tools_take(line):
    for words in simple_commands(plain(line)):
        check(words)


@pytest.mark.parametrize("span", named())
def test_a_command_that_a_sentence_names_is_one_that_its_tool_takes(span):
    for words in simple_commands(plain(span)):
        check(words, is_whole=False)


def test_the_batch_job_starts_ray_and_slurms_tools_by_options_that_they_take():
    found = [words for line in script_lines() for words in simple_commands(line) if words[0] in {*known(), *WRAPPERS}]
    for words in found:
        check(words)
    assert {"ray", "srun", "scontrol", "squeue"} <= {words[0] for words in found}


@pytest.mark.parametrize("name", ["raycluster.yaml", "rayjob.yaml"])
def test_what_the_operator_gives_to_ray_start_are_options_of_it(name):
    spec = ray_cluster(manifests(name)[0])["spec"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    for given in (each["rayStartParams"] for each in groups):
        check(["ray", "start", *(f"--{option}={value}" for option, value in given.items())])
    assert len(groups) > 2 and groups[0]["rayStartParams"]


def test_a_chart_is_of_a_repository_that_is_added_and_has_one_version():
    helm = [words for words in commands() if words[0] == "helm"]
    added = {words[3]: words[4] for words in helm if words[1:3] == ("repo", "add")}
    assert {words[3].partition("/")[0] for words in helm if words[1] == "install"} == added.keys()
    assert len({words[1:] for words in helm}) == 4, "two ways to install one chart"


def test_what_is_pinned_has_one_version_throughout():
    lines = chain(typed(), named())
    pinned = {tuple(found) for line in lines for found in re.findall(r"([\w-]+)(?:\[\w+\])?==([\w.]+)", line)}
    assert len({name for name, _ in pinned}) == len(pinned) > 2, sorted(pinned)


def test_what_a_person_puts_in_has_the_same_name_throughout():
    found = {each for line in (*typed(), *named()) for each in re.findall(PLACEHOLDER, line)}
    assert found - SIGNALS == PLACEHOLDERS


@pytest.mark.parametrize(
    "line",
    [
        "ray upp clusters/aws.yaml",
        "ray up clusters/azure.yaml",
        "ray up clusters/kubernetes/rayjob.yaml",
        "ray job submit --working-directory . -- python -m flame_ray doctor jobs/quickstart.yaml",
        "ray job submit --working-dir . -- python -m flame_ray doctorr jobs/quickstart.yaml",
        "ray exec clusters/aws.yaml 'ray state'",
        "pip install --no-dependency -r clusters/gpu.lock",
        "pip instal ray",
        "pip install ray=2",
        "make tests",
        'make bench ARGS="--only nothing"',
        "python tests/benchmarks/convert.py nobody",
        "python -m tests.benchmarks.nothing",
        "pytest -m longer tests/integration",
        "hf auth log-in",
        "kubectl -n flame-rays get rayjob paper-dpo-flame",
        "kubectl -n flame-ray get rayjob paper-dpo",
        "kubectl -n flame-ray port-forward service/flame-ray-head 8265:8265",
        "kubectl -n flame-ray create secret generic hubs --from-file=token",
        "kubectl apply -f clusters/kubernetes/cluster.yaml",
        "kubectl apply -f clusters/aws.yaml",
        "helm install kuberay-operator kuberay/kuberay-operator --namespace default",
        "docker build --tag x .",
        "docker run --rm registry.example.com/flame-ray:0.1 flame-ray doctors",
        "sbatch --node=2 clusters/slurm.sh",
        "sbatch clusters/slurm.sh",
        "sbatch clusters/slurm.sh jobs/quickstart.yaml /shared/runs --sets run.rounds=1",
        "sudo apt install prometheus",
        "grafana server --config clusters/dashboards/grafana.yaml",
        "gcloud container node-pools make cpu",
        "newtool --flag",
        "terraform apply",
        "ray job submit --working-dir .",
        "ray start --head --num-cpu=0",
        "srun --node=2 ray start --block",
        "docker run --rm",
    ],
)
def test_a_command_that_its_tool_would_not_take_is_found(line):
    with pytest.raises(AssertionError):
        for words in simple_commands(line):
            check(words)


def test_the_example_of_a_split_line_is_what_it_shows():
    assert doctest.testmod(shell) == (0, 1)


def test_the_tools_without_a_check_of_their_words_come_with_every_shell():
    assert not BASICS & known()
