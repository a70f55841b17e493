"""Both cluster files are accepted by what will read them, agree with pyproject.toml, and open nothing to the world.

Ray's own code reads both files, offline: the launcher's validator for AWS, the autoscaler's reading of a RayCluster for
KubeRay. Ray does not look inside pods, so the models below do: they name exactly the fields of Kubernetes and of ray.io/v1
that the manifest uses, and a key outside them is an error.
"""

import copy
import logging
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import pytest
import yaml
from jsonschema import ValidationError as RaySchemaError
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr
from ray.autoscaler._private.util import prepare_config, validate_config

import flame_ray
from flame_ray.config.load import load_config

REPOSITORY = Path(__file__).parents[3]
AWS, KUBERAY = REPOSITORY / "clusters" / "aws.yaml", REPOSITORY / "clusters" / "kuberay.yaml"
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
RAY = next(pin.partition("==")[2] for pin in PYPROJECT["project"]["dependencies"] if pin.startswith("ray["))

Text = Annotated[str, Field(min_length=1)]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(m|Mi|Gi|Ti)?$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=0)]
Labels = dict[Text, Text]


class Kubernetes(BaseModel):
    """An object of the Kubernetes API: camelCase keys, no coercion, nothing that is not named."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Metadata(Kubernetes):
    name: Text
    namespace: Text


class Resources(Kubernetes):
    requests: dict[Literal["cpu", "memory", "nvidia.com/gpu"], Quantity]
    limits: dict[Literal["cpu", "memory", "nvidia.com/gpu"], Quantity]


class Capabilities(Kubernetes):
    drop: list[Literal["ALL"]]


class Seccomp(Kubernetes):
    type: Literal["RuntimeDefault"]


class ContainerSecurity(Kubernetes):
    allow_privilege_escalation: Literal[False]
    run_as_non_root: Literal[True]
    capabilities: Capabilities
    seccomp_profile: Seccomp


class PodSecurity(Kubernetes):
    run_as_non_root: Literal[True]
    run_as_user: Annotated[int, Field(ge=1)]
    run_as_group: Annotated[int, Field(ge=1)]
    fs_group: Annotated[int, Field(ge=1)]
    fs_group_change_policy: Literal["OnRootMismatch", "Always"]


class ContainerPort(Kubernetes):
    container_port: Port
    name: Text


class VolumeMount(Kubernetes):
    name: Text
    mount_path: Text


class Container(Kubernetes):
    name: Text
    image: Text
    image_pull_policy: Literal["IfNotPresent"]
    security_context: ContainerSecurity
    resources: Resources
    ports: list[ContainerPort] = []
    volume_mounts: list[VolumeMount]


class Claim(Kubernetes):
    claim_name: Text


class EmptyDir(Kubernetes):
    size_limit: Quantity


class Volume(Kubernetes):
    name: Text
    persistent_volume_claim: Claim | None = None
    empty_dir: EmptyDir | None = None


class Toleration(Kubernetes):
    key: Text
    operator: Literal["Exists"]
    effect: Literal["NoSchedule"]


class PodSpec(Kubernetes):
    restart_policy: Literal["Never"]
    automount_service_account_token: bool | None = None
    termination_grace_period_seconds: Count | None = None
    security_context: PodSecurity
    node_selector: Labels = {}
    tolerations: list[Toleration] = []
    containers: list[Container]
    volumes: list[Volume]


class PodTemplate(Kubernetes):
    spec: PodSpec


class HeadGroup(Kubernetes):
    service_type: Literal["ClusterIP"]
    labels: Labels
    ray_start_params: dict[Literal["num-cpus", "dashboard-host"], str]
    template: PodTemplate


class WorkerGroup(Kubernetes):
    group_name: Text
    labels: Labels
    replicas: Count
    min_replicas: Count
    max_replicas: Count
    ray_start_params: dict[Literal["num-cpus"], str]
    template: PodTemplate


class AuthOptions(Kubernetes):
    mode: Literal["token"]


class AutoscalerOptions(Kubernetes):
    version: Literal["v2"]
    upscaling_mode: Literal["Default", "Conservative", "Aggressive"]
    idle_timeout_seconds: Count
    image_pull_policy: Literal["IfNotPresent"]
    resources: Resources
    security_context: ContainerSecurity


class RayClusterSpec(Kubernetes):
    ray_version: Text
    auth_options: AuthOptions
    enable_in_tree_autoscaling: Literal[True]
    autoscaler_options: AutoscalerOptions
    head_group_spec: HeadGroup
    worker_group_specs: list[WorkerGroup]


class RayCluster(Kubernetes):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: RayClusterSpec


class StorageRequest(Kubernetes):
    requests: dict[Literal["storage"], Quantity]


class VolumeClaimSpec(Kubernetes):
    access_modes: list[Literal["ReadWriteMany"]]
    resources: StorageRequest


class VolumeClaim(Kubernetes):
    api_version: Literal["v1"]
    kind: Literal["PersistentVolumeClaim"]
    metadata: Metadata
    spec: VolumeClaimSpec


class Selector(Kubernetes):
    match_labels: Labels


class Peer(Kubernetes):
    pod_selector: Selector | None = None
    namespace_selector: Selector | None = None


class PolicyPort(Kubernetes):
    protocol: Literal["TCP"]
    port: Port


class IngressRule(Kubernetes):
    peers: Annotated[list[Peer], Field(alias="from", min_length=1)]
    ports: list[PolicyPort] | None = None


class NetworkPolicySpec(Kubernetes):
    pod_selector: Selector
    policy_types: list[Literal["Ingress"]]
    ingress: list[IngressRule]


class NetworkPolicy(Kubernetes):
    api_version: Literal["networking.k8s.io/v1"]
    kind: Literal["NetworkPolicy"]
    metadata: Metadata
    spec: NetworkPolicySpec


KINDS = {"RayCluster": RayCluster, "PersistentVolumeClaim": VolumeClaim, "NetworkPolicy": NetworkPolicy}


def aws() -> dict:
    return yaml.safe_load(AWS.read_text(encoding="utf-8"))


def launched() -> dict:
    """The AWS file as `ray up` would use it: with Ray's defaults merged in."""
    config = prepare_config(aws())
    validate_config(config)
    return config


def manifest() -> list[dict]:
    return list(yaml.safe_load_all(KUBERAY.read_text(encoding="utf-8")))


def kuberay() -> RayCluster:
    return RayCluster.model_validate(manifest()[0])


def pods() -> dict[str, PodSpec]:
    spec = kuberay().spec
    workers = {group.group_name: group.template.spec for group in spec.worker_group_specs}
    return {"head": spec.head_group_spec.template.spec, **workers}


def gpus_of_the_largest_paper_job() -> float:
    configs = [load_config(path) for path in sorted((REPOSITORY / "jobs" / "paper").glob("*.yaml"))]
    return max(sum(group.workers * group.gpus for group in (c.rollout, c.judge, c.learner)) for c in configs)


def paths_of(tree: object, path: tuple = ()) -> list[tuple]:
    """The path of every key of every mapping in a document, except the free-form ones (labels, quantities, Ray's flags)."""
    if isinstance(tree, list):
        return [found for place, item in enumerate(tree) for found in paths_of(item, (*path, place))]
    if not isinstance(tree, dict) or (path and path[-1] in FREE_FORM):
        return []
    return [found for key, value in tree.items() for found in [(*path, key), *paths_of(value, (*path, key))]]


FREE_FORM = ("labels", "matchLabels", "nodeSelector")


def mistyped(document: dict, path: tuple) -> dict:
    """A copy in which one key has a letter too many."""
    document = copy.deepcopy(document)
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    parent[f"{path[-1]}x"] = parent.pop(path[-1])
    return document


# AWS


def test_rays_launcher_accepts_the_aws_file():
    assert launched()["provider"]["type"] == "aws"


@pytest.mark.parametrize("section", [(), ("auth",), ("available_node_types", "learner")])
def test_rays_launcher_refuses_the_aws_file_with_a_key_that_it_does_not_know(section):
    config = prepare_config(aws())
    place = config
    for step in section:
        place = place[step]
    place["min_wrokers"] = 1
    with pytest.raises(RaySchemaError, match="min_wrokers"):
        validate_config(config)


def test_the_aws_file_states_every_setting_so_that_no_default_of_ray_slips_in():
    assert set(launched()) == set(aws())


def test_aws_nodes_come_when_asked_for_and_go_when_idle():
    config = launched()
    head = config["available_node_types"].pop(config["head_node_type"])
    workers = config["available_node_types"].values()
    assert head["resources"]["CPU"] == 0 and "GPU" not in head["resources"]
    assert all(node["min_workers"] == 0 < node["max_workers"] for node in workers)
    assert config["max_workers"] == sum(node["max_workers"] for node in workers)
    assert 0 < config["idle_timeout_minutes"] <= 30


def test_a_paper_job_fits_the_learner_node_of_either_cluster():
    needed = gpus_of_the_largest_paper_job()
    assert needed <= aws()["available_node_types"]["learner"]["resources"]["GPU"]
    assert needed <= int(pods()["learner"].containers[0].resources.limits["nvidia.com/gpu"])


def test_both_clusters_label_the_same_roles():
    key = "flame-ray/role"
    spec = kuberay().spec
    on_kubernetes = {spec.head_group_spec.labels[key]} | {group.labels[key] for group in spec.worker_group_specs}
    on_aws = {node["labels"][key] for node in aws()["available_node_types"].values()}
    assert on_aws == on_kubernetes == {"head", "learner", "rollout", "cpu"}


def test_the_dashboard_of_the_aws_head_listens_on_loopback_alone():
    (start,) = [command for command in launched()["head_start_ray_commands"] if "ray start" in command]
    assert "--dashboard-host=127.0.0.1" in start


@pytest.mark.parametrize("kind", ["head", "worker"])
def test_ray_starts_with_token_authentication_on_every_aws_node(kind):
    starts = [command for command in launched()[f"{kind}_start_ray_commands"] if "ray start" in command]
    assert starts and all("RAY_AUTH_MODE=token ray start" in command for command in starts)


def test_the_token_is_copied_from_the_users_machine_and_kept_private():
    config = launched()
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert "chmod 600 ~/.ray/auth_token" in config["worker_setup_commands"][0]
    assert config["worker_setup_commands"][0] in config["head_setup_commands"]


def test_every_aws_node_names_its_own_security_group_because_rays_opens_ssh_to_the_world():
    for node in aws()["available_node_types"].values():
        assert node["node_config"]["SecurityGroupIds"]
    assert "security_group" not in aws()["provider"]


def test_no_aws_node_takes_rays_old_image_or_its_role_with_full_rights():
    nodes = aws()["available_node_types"]
    assert all(node["node_config"]["ImageId"] not in ("", "latest_dlami") for node in nodes.values())
    assert nodes["head"]["node_config"]["IamInstanceProfile"]
    assert all(node["node_config"]["MetadataOptions"]["HttpTokens"] == "required" for node in nodes.values())


def test_every_aws_disk_is_encrypted_and_deleted_with_its_node():
    for node in aws()["available_node_types"].values():
        for disk in node["node_config"]["BlockDeviceMappings"]:
            assert disk["Ebs"]["Encrypted"] and disk["Ebs"]["DeleteOnTermination"]


def test_the_aws_file_copies_all_that_the_installation_needs():
    project = PYPROJECT["project"]
    needed = {"pyproject.toml", "flame_ray", project["readme"], *project["license-files"]}
    mounts = {local: remote for remote, local in aws()["file_mounts"].items()}
    assert needed <= set(mounts)
    assert all(mounts[name] == f"~/flame-ray/{name}" for name in needed)
    (install,) = [command for command in aws()["setup_commands"] if ".[gpu]" in command]
    assert install.startswith("cd ~/flame-ray && ") and "pip install" in install and '-e ".[gpu]"' in install


# KubeRay


def test_the_manifest_holds_exactly_the_objects_that_are_modelled():
    assert [document["kind"] for document in manifest()] == list(KINDS)


@pytest.mark.parametrize("document", manifest(), ids=lambda document: document["kind"])
def test_the_strict_schema_accepts_the_manifest(document):
    KINDS[document["kind"]].model_validate(document)


@pytest.mark.parametrize("document", manifest(), ids=lambda document: document["kind"])
def test_the_strict_schema_refuses_the_manifest_with_any_one_key_mistyped(document):
    paths = paths_of(document)
    assert len(paths) > 5
    for path in paths:
        with pytest.raises(ValidationError):
            KINDS[document["kind"]].model_validate(mistyped(document, path))


def test_rays_autoscaler_reads_the_manifest_as_it_is_meant(caplog):
    with caplog.at_level(logging.WARNING):
        config = _derive_autoscaling_config_from_ray_cr(manifest()[0])
    head, learner, rollout = (config["available_node_types"][name] for name in ("headgroup", "learner", "rollout"))
    assert head["resources"]["CPU"] == 0 and "GPU" not in head["resources"]
    assert (learner["resources"]["GPU"], learner["min_workers"], learner["max_workers"]) == (8, 0, 1)
    assert (rollout["resources"]["GPU"], rollout["min_workers"], rollout["max_workers"]) == (1, 0, 4)
    assert learner["labels"] == {"flame-ray/role": "learner"}
    assert config["idle_timeout_minutes"] == 10
    assert not caplog.records


def test_the_head_pod_is_reached_inside_the_cluster_and_its_dashboard_on_loopback():
    head = kuberay().spec.head_group_spec
    assert head.service_type == "ClusterIP"
    assert head.ray_start_params["dashboard-host"] == "127.0.0.1"


def test_pods_of_gpu_groups_are_placed_on_gpu_nodes_and_others_are_not():
    for name, pod in pods().items():
        has_gpu = "nvidia.com/gpu" in pod.containers[0].resources.limits
        tolerated = {toleration.key for toleration in pod.tolerations}
        assert has_gpu == ("nvidia.com/gpu" in tolerated) == ("nvidia.com/gpu.product" in pod.node_selector), name


def test_what_a_pod_asks_for_is_what_it_may_use():
    for name, pod in pods().items():
        assert pod.containers[0].resources.requests == pod.containers[0].resources.limits, name


def test_every_mount_of_a_pod_has_its_volume_and_every_claim_exists():
    claim = VolumeClaim.model_validate(manifest()[1])
    for name, pod in pods().items():
        volumes = {volume.name: volume for volume in pod.volumes}
        assert {mount.name for mount in pod.containers[0].volume_mounts} == set(volumes), name
        assert volumes["runs"].persistent_volume_claim.claim_name == claim.metadata.name, name


def test_only_the_head_can_talk_to_kubernetes():
    mounted = {name for name, pod in pods().items() if pod.automount_service_account_token is not False}
    assert mounted == {"head"}


def test_the_network_policy_lets_in_the_clusters_own_pods_and_only_metrics_to_others():
    cluster = kuberay().metadata
    policy = NetworkPolicy.model_validate(manifest()[2])
    own = Selector(matchLabels={"ray.io/cluster": cluster.name})
    assert policy.spec.pod_selector == own and policy.metadata.namespace == cluster.namespace
    inside, outside = policy.spec.ingress
    assert [peer.pod_selector for peer in inside.peers] == [own]
    assert [port.port for port in outside.ports] == [8080]


# Both


@pytest.mark.parametrize("path", [AWS, KUBERAY], ids=lambda path: path.name)
def test_every_version_of_ray_that_a_cluster_file_names_is_the_one_of_pyproject(path):
    text = path.read_text(encoding="utf-8")
    found = re.findall(r"(?:ray\[default\]==|rayproject/ray:|rayVersion: \"|-ray)(\d+\.\d+\.\d+)", text)
    assert found and set(found) == {RAY}


def test_ray_is_pinned_in_what_aws_nodes_install():
    assert any(f'"ray[default]=={RAY}"' in command for command in launched()["worker_setup_commands"])
    assert any(f'"ray[default]=={RAY}"' in command for command in launched()["head_setup_commands"])


def test_the_manifest_states_the_version_of_ray_and_one_image_that_carries_it_and_flame_rays():
    assert kuberay().spec.ray_version == RAY
    images = {container.image for pod in pods().values() for container in pod.containers}
    assert images == {f"registry.example.com/flame-ray:{flame_ray.__version__}-ray{RAY}"}
    assert f"docker build -t {images.pop()} " in KUBERAY.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [AWS, KUBERAY], ids=lambda path: path.name)
def test_the_first_lines_of_a_cluster_file_are_the_commands_that_use_it(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    head = lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))]
    commands = [line for line in head if re.search(r"ray (up|dashboard|exec|down) |kubectl (apply|delete) ", line)]
    assert len(commands) >= 2 and all(f" clusters/{path.name}" in line for line in commands)
    assert any("ray job submit --address http://127.0.0.1:8265" in line for line in head)


@pytest.mark.parametrize("path", [AWS, KUBERAY], ids=lambda path: path.name)
def test_a_job_that_a_cluster_file_names_exists(path):
    named = re.findall(r"jobs/[\w/-]+\.yaml", path.read_text(encoding="utf-8"))
    assert named and all((REPOSITORY / name).is_file() for name in named)


UNSAFE = [r"0\.0\.0\.0", "nightly", "ray-wheels", "dev0", r"image: \S+:latest", "LoadBalancer", "NodePort", "privileged"]


@pytest.mark.parametrize("unsafe", UNSAFE)
def test_no_cluster_file_holds_an_unsafe_default(unsafe):
    for text in (AWS.read_text(encoding="utf-8"), KUBERAY.read_text(encoding="utf-8"), yaml.safe_dump(launched())):
        assert not re.search(unsafe, text)


SECRETS = {
    "an AWS key id": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a Hugging Face token": r"\bhf_[A-Za-z0-9]{20,}",
    "a GitHub token": r"\bgh[pousr]_[A-Za-z0-9]{20,}",
    "a private key": r"-----BEGIN",
    "an account number": r"\b\d{12}\b",
    "a long random string": r"(?<![\w/.-])(?=[\w+-]*\d)(?=[\w+-]*[A-Za-z])[\w+-]{32,}",
    "a value beside a secret's name": r"(?i)(?:password|passwd|api_?key|secret_?key|auth_?token)\s*[:=]\s*['\"]?\w{6,}",
}
EXAMPLES = {
    "an AWS key id": "AKIA" + "ABCDEFGHIJKLMNOP",
    "a Hugging Face token": "hf_" + "abcdefghij" * 3,
    "a GitHub token": "ghp_" + "abcdefghij" * 3,
    "a private key": "-----" + "BEGIN RSA",
    "an account number": "arn:aws:iam::" + "123456789012" + ":role",
    "a long random string": "value: " + "a1b2c3d4" * 5,
    "a value beside a secret's name": "RAY_AUTH_TOKEN=" + "opensesame",
}


@pytest.mark.parametrize("what", SECRETS)
def test_no_cluster_file_holds_anything_that_looks_like_a_secret(what):
    assert re.search(SECRETS[what], EXAMPLES[what])
    for path in (AWS, KUBERAY):
        assert not re.search(SECRETS[what], path.read_text(encoding="utf-8")), path.name
