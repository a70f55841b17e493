"""The manifests are accepted by what will read them, belong together, and open nothing to the world."""

import copy
import logging
import re
import shlex
import subprocess

import pytest
import typer
import yaml
from pydantic import ValidationError
from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

from flame_ray.cli import app
from tests.unit.clusters.kubernetes import FILES, FOLDER, KINDS, Selector, cluster_spec, manifests, of_kind, pods
from tests.unit.clusters.launches import ray_cluster

OBJECTS = [(name, document) for name in FILES for document in manifests(name)]
RAY_FILES = ("raycluster.yaml", "rayjob.yaml")
FREE_FORM = ("labels", "matchLabels", "nodeSelector", "parameters")
RAY_PODS = Selector(matchLabels={"ray.io/is-ray-node": "yes"})  # the operator gives it to every pod of Ray
GPU_LABELS = {"raycluster.yaml": "nvidia.com/gpu.product", "rayjob.yaml": "cloud.google.com/gke-accelerator"}

of_each_object = pytest.mark.parametrize("document", [each for _, each in OBJECTS], ids=[each["kind"] for _, each in OBJECTS])
of_each_cluster = pytest.mark.parametrize("name", RAY_FILES)


def paths_of(tree: object, path: tuple = ()) -> list[tuple]:
    """The path of every key of every mapping in a document, except the free-form ones (labels, quantities, Ray's flags)."""
    if isinstance(tree, list):
        return [found for place, item in enumerate(tree) for found in paths_of(item, (*path, place))]
    if not isinstance(tree, dict) or (path and path[-1] in FREE_FORM):
        return []
    return [found for key, value in tree.items() for found in [(*path, key), *paths_of(value, (*path, key))]]


def mistyped(document: dict, path: tuple) -> dict:
    """A copy in which one key has a letter too many."""
    document = copy.deepcopy(document)
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    parent[f"{path[-1]}x"] = parent.pop(path[-1])
    return document


@of_each_object
def test_the_strict_schema_accepts_each_object(document):
    KINDS[document["kind"]].model_validate(document)


@of_each_object
def test_the_strict_schema_refuses_each_object_with_any_one_key_mistyped(document):
    paths = paths_of(document)
    assert len(paths) >= 5
    for path in paths:
        with pytest.raises(ValidationError):
            KINDS[document["kind"]].model_validate(mistyped(document, path))


@of_each_cluster
def test_rays_autoscaler_reads_the_manifest_as_it_is_meant(name, caplog):
    with caplog.at_level(logging.WARNING):
        config = _derive_autoscaling_config_from_ray_cr(ray_cluster(manifests(name)[0]))
    head, learner, rollout = (config["available_node_types"][group] for group in ("headgroup", "learner", "rollout"))
    assert head["resources"]["CPU"] == 0 and "GPU" not in head["resources"]
    assert (learner["resources"]["GPU"], learner["min_workers"], learner["max_workers"]) == (8, 0, 1)
    assert (rollout["resources"]["GPU"], rollout["min_workers"], rollout["max_workers"]) == (1, 0, 4)
    assert learner["labels"] == {"flame-ray/role": "learner"}
    assert config["idle_timeout_minutes"] == 10
    assert not caplog.records


def test_the_ray_job_has_the_cluster_of_the_ray_cluster_but_for_what_it_says():
    def without_the_differences(name: str) -> dict:
        tree = cluster_spec(name).model_dump(exclude={"gcs_fault_tolerance_options"})
        tree["head_group_spec"]["ray_start_params"].pop("dashboard-host", None)
        for group in tree["worker_group_specs"]:
            del group["template"]["spec"]["node_selector"], group["template"]["spec"]["tolerations"]
        return tree

    assert without_the_differences("rayjob.yaml") == without_the_differences("raycluster.yaml")


def test_the_ray_cluster_is_reached_inside_kubernetes_and_its_dashboard_on_loopback():
    head = cluster_spec("raycluster.yaml").head_group_spec
    assert head.service_type == "ClusterIP"
    assert head.ray_start_params["dashboard-host"] == "127.0.0.1"


@of_each_cluster
def test_pods_of_gpu_groups_are_placed_on_gpu_nodes_and_others_are_not(name):
    for group, pod in pods(name).items():
        has_gpu = "nvidia.com/gpu" in pod.containers[0].resources.limits
        tolerated = {toleration.key for toleration in pod.tolerations}
        assert has_gpu == ("nvidia.com/gpu" in tolerated) == (GPU_LABELS[name] in pod.node_selector), group


def test_on_gke_samplers_alone_are_on_spot_nodes():
    spot = "cloud.google.com/gke-spot"
    selected = {group for group, pod in pods("rayjob.yaml").items() if pod.node_selector.get(spot) == "true"}
    tolerated = {group for group, pod in pods("rayjob.yaml").items() if spot in {each.key for each in pod.tolerations}}
    assert selected == tolerated == {"rollout"}


def test_on_gke_the_pods_without_a_gpu_fit_a_pool_of_nodes_that_the_comments_make():
    text = (FOLDER / "rayjob.yaml").read_text(encoding="utf-8").replace(" \\\n#", "")
    made = re.findall(r"node-pools create (\w+) .*--enable-autoscaling(.*)", text)
    (options,) = [options for _, options in made if "--accelerator" not in options]
    assert "--machine-type=n2-standard-8" in text
    without = {group: pod for group, pod in pods("rayjob.yaml").items() if GPU_LABELS["rayjob.yaml"] not in pod.node_selector}
    assert set(without) == {"head", "cpu"}
    spec = cluster_spec("rayjob.yaml")
    replicas = sum(each.max_replicas for each in spec.worker_group_specs if each.group_name in without)
    assert f"--max-nodes={1 + replicas}" in options
    sidecar = spec.autoscaler_options.resources.requests
    for group, pod in without.items():  # of 8 CPUs and 32 GiB, Kubernetes leaves 7.9 and 28
        asked = [pod.containers[0].resources.requests, *([sidecar] if group == "head" else [])]
        assert sum(float(each["cpu"].removesuffix("m")) / (1000 if "m" in each["cpu"] else 1) for each in asked) <= 7.5
        assert sum(int(each["memory"].removesuffix("Gi")) for each in asked) <= 26


@of_each_cluster
@pytest.mark.parametrize("group", ["rollout", "cpu"])
def test_a_pod_that_stops_tells_ray_first_and_leaves_its_workers_time_to_move(name, group):
    pod = pods(name)[group]
    shell, option, script = pod.containers[0].lifecycle.pre_stop.exec.command
    leave, sleep = (shlex.split(part) for part in script.split(";"))
    assert (shell, option, leave[:1], leave[2:4]) == ("bash", "-c", ["timeout"], ["flame-ray", "leave-node"])
    given = typer.main.get_command(app).commands["leave-node"].make_context("leave-node", leave[4:]).params
    assert given["within"] == pod.termination_grace_period_seconds
    assert int(leave[1]) + int(sleep[1]) < pod.termination_grace_period_seconds


@of_each_cluster
def test_what_a_pod_asks_for_is_what_it_may_use(name):
    for group, pod in pods(name).items():
        assert pod.containers[0].resources.requests == pod.containers[0].resources.limits, group


@of_each_cluster
def test_every_mount_of_a_pod_has_its_volume_and_every_claim_exists(name):
    claims = {claim.metadata.name: claim.spec.access_modes for claim in of_kind("PersistentVolumeClaim")}
    for group, pod in pods(name).items():
        volumes = {volume.name: volume for volume in pod.volumes}
        assert {mount.name for mount in pod.containers[0].volume_mounts} == set(volumes), group
        assert claims[volumes["runs"].persistent_volume_claim.claim_name] == ["ReadWriteMany"], group


@of_each_cluster
def test_only_the_head_can_talk_to_kubernetes(name):
    mounted = {group for group, pod in pods(name).items() if pod.automount_service_account_token is not False}
    assert mounted == {"head"}


@of_each_cluster
def test_a_pod_that_ends_stays_ended_because_the_autoscaler_replaces_it(name):
    assert all(pod.restart_policy == "Never" for pod in pods(name).values())


def test_run_folders_outlive_all_that_is_deleted():
    (storage,) = of_kind("StorageClass")
    (runs,) = [claim for claim in of_kind("PersistentVolumeClaim") if claim.metadata.name == "runs"]
    assert runs.spec.storage_class_name == storage.metadata.name
    assert storage.reclaim_policy == "Retain"


def test_rays_control_store_is_kept_in_the_redis_that_is_there():
    options = cluster_spec("raycluster.yaml").gcs_fault_tolerance_options
    (service,), (deployment,) = of_kind("Service"), of_kind("Deployment")
    (container,) = deployment.spec.template.spec.containers
    assert options.redis_address == f"{service.metadata.name}:{service.spec.ports[0].port}"
    assert options.redis_password.value_from == container.env[0].value_from
    labels = deployment.spec.template.metadata.labels
    assert {"app": service.spec.selector.app} == deployment.spec.selector.match_labels == labels
    (mount,), (volume,) = container.volume_mounts, deployment.spec.template.spec.volumes
    assert mount.name == volume.name and f"--dir {mount.mount_path}" in container.command[-1]


def test_the_password_of_redis_is_made_by_a_command_and_stands_in_no_file():
    (container,) = of_kind("Deployment")[0].spec.template.spec.containers
    secret = container.env[0].value_from.secret_key_ref
    made = f"create secret generic {secret.name} --from-literal={secret.key}="
    assert made in (FOLDER / "namespace.yaml").read_text(encoding="utf-8")
    assert all(document["kind"] != "Secret" for _, document in OBJECTS)


def test_the_lines_that_give_containers_the_hubs_token_are_ones_of_a_container_and_name_the_secret_that_is_made():
    readme = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", readme, flags=re.DOTALL)
    lines = yaml.safe_load(block)
    for name in RAY_FILES:
        for group, pod in pods(name).items():
            container = pod.containers[0]
            assert container.env == [] and container.name in ("ray-head", "ray-worker"), group
            given = type(container).model_validate(container.model_dump(by_alias=True, exclude_unset=True) | lines)
            (variable,) = given.env
            secret = variable.value_from.secret_key_ref
            assert variable.name == "HF_TOKEN"
            assert f"create secret generic {secret.name} --from-file={secret.key}=" in readme


def test_network_policies_let_in_rays_own_pods_and_to_others_only_metrics_and_a_jobs_state():
    policies = {policy.metadata.name: policy.spec for policy in of_kind("NetworkPolicy")}
    assert policies["ray"].pod_selector == RAY_PODS
    inside, prometheus, operator = policies["ray"].ingress
    assert [peer.pod_selector for peer in inside.peers] == [RAY_PODS]
    opened = {
        rule.peers[0].namespace_selector.match_labels["kubernetes.io/metadata.name"]: rule for rule in (prometheus, operator)
    }
    assert {name: [port.port for port in rule.ports] for name, rule in opened.items()} == {
        "monitoring": [8080],
        "kuberay": [8265],
    }
    (redis,) = policies["redis"].ingress
    assert policies["redis"].pod_selector.match_labels == {"app": "redis"}
    assert [peer.pod_selector for peer in redis.peers] == [RAY_PODS] and [port.port for port in redis.ports] == [6379]


def test_prometheus_reads_the_metrics_port_of_all_ray_pods():
    (monitor,) = of_kind("PodMonitor", "podmonitor.yaml")
    (endpoint,) = monitor.spec.pod_metrics_endpoints
    assert monitor.spec.selector == RAY_PODS
    ports = {port.name: port.container_port for port in pods("raycluster.yaml")["head"].containers[0].ports}
    assert ports[endpoint.port] == 8080


@pytest.mark.parametrize(
    ("exists", "words"), [(False, ["--set", "run.id=paper-dpo-flame"]), (True, ["--resume", "paper-dpo-flame"])]
)
def test_a_ray_job_begins_its_run_and_resumes_it_when_it_is_tried_again(tmp_path, exists, words):
    """As the operator does: a shell reads the entrypoint, `ray job submit` joins its words again, and a shell runs them."""
    (tmp_path / "flame-ray").write_text('#!/bin/bash\nprintf "%s\\n" "$@"\n')
    (tmp_path / "flame-ray").chmod(0o755)
    (tmp_path / "flame-ray-folder").mkdir()
    (tmp_path / "runs").mkdir()
    if exists:
        (tmp_path / "runs" / "paper-dpo-flame").mkdir()
    entrypoint = manifests("rayjob.yaml")[0]["spec"]["entrypoint"]
    moved = re.sub(r"/home/ray/flame-ray\b", str(tmp_path / "flame-ray-folder"), entrypoint).replace("/home/ray", str(tmp_path))
    submitted = subprocess.list2cmdline(shlex.split(moved))
    path = f"{tmp_path}:/usr/bin:/bin"
    done = subprocess.run(["bash", "-c", submitted], env={"PATH": path}, capture_output=True, text=True, check=True)
    root = ["--set", f"run.root={tmp_path}/runs"]
    assert done.stdout.splitlines() == ["run", "jobs/paper/dpo-flame.yaml", *root, *words]


def test_a_ray_job_and_its_run_have_one_name():
    document = manifests("rayjob.yaml")[0]
    assert set(re.findall(r"run\.id=(\S+?);|--resume (\S+?);", document["spec"]["entrypoint"])) == {
        (document["metadata"]["name"], ""),
        ("", document["metadata"]["name"]),
    }
