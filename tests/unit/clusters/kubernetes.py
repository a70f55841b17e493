"""Strict models of the manifests: exactly the fields that they use, so that a mistyped key is an error."""

from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from tests.unit.clusters.launches import REPOSITORY

FOLDER = REPOSITORY / "clusters" / "kubernetes"
FILES = tuple(sorted(path.name for path in FOLDER.glob("*.yaml")))

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
    namespace: Literal["flame-ray"]


class LabelledMetadata(Metadata):
    labels: Labels


class ClusterMetadata(Kubernetes):
    """Of what belongs to no namespace."""

    name: Text
    labels: Labels = {}


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


class SecretKey(Kubernetes):
    name: Text
    key: Text


class FromSecret(Kubernetes):
    secret_key_ref: SecretKey


class Secret(Kubernetes):
    value_from: FromSecret


class SecretVariable(Secret):
    name: Text


class Exec(Kubernetes):
    command: list[Text]


class Handler(Kubernetes):
    exec: Exec


class Lifecycle(Kubernetes):
    pre_stop: Handler


class Container(Kubernetes):
    name: Text
    image: Text
    image_pull_policy: Literal["IfNotPresent"]
    command: list[Text] = []
    env: list[SecretVariable] = []
    security_context: ContainerSecurity
    lifecycle: Lifecycle | None = None
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
    restart_policy: Literal["Never"] | None = None
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


class GcsFaultTolerance(Kubernetes):
    redis_address: Text
    redis_password: Secret


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
    gcs_fault_tolerance_options: GcsFaultTolerance | None = None
    enable_in_tree_autoscaling: Literal[True]
    autoscaler_options: AutoscalerOptions
    head_group_spec: HeadGroup
    worker_group_specs: list[WorkerGroup]


class RayCluster(Kubernetes):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayCluster"]
    metadata: Metadata
    spec: RayClusterSpec


class RayJobSpec(Kubernetes):
    submission_mode: Literal["SidecarMode"]
    backoff_limit: Count
    shutdown_after_job_finishes: Literal[True]
    ttl_seconds_after_finished: Count
    entrypoint: Text
    ray_cluster_spec: RayClusterSpec


class RayJob(Kubernetes):
    api_version: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: Metadata
    spec: RayJobSpec


class Namespace(Kubernetes):
    api_version: Literal["v1"]
    kind: Literal["Namespace"]
    metadata: ClusterMetadata


class StorageClass(Kubernetes):
    api_version: Literal["storage.k8s.io/v1"]
    kind: Literal["StorageClass"]
    metadata: ClusterMetadata
    provisioner: Text
    parameters: Labels
    reclaim_policy: Literal["Retain"]
    volume_binding_mode: Literal["Immediate", "WaitForFirstConsumer"]
    allow_volume_expansion: bool


class StorageRequest(Kubernetes):
    requests: dict[Literal["storage"], Quantity]


class VolumeClaimSpec(Kubernetes):
    storage_class_name: Text | None = None
    access_modes: list[Literal["ReadWriteMany", "ReadWriteOnce"]]
    resources: StorageRequest


class VolumeClaim(Kubernetes):
    api_version: Literal["v1"]
    kind: Literal["PersistentVolumeClaim"]
    metadata: Metadata
    spec: VolumeClaimSpec


class Selector(Kubernetes):
    match_labels: Labels


class PodLabels(Kubernetes):
    labels: Labels


class LabelledPod(Kubernetes):
    metadata: PodLabels
    spec: PodSpec


class Strategy(Kubernetes):
    type: Literal["Recreate"]


class DeploymentSpec(Kubernetes):
    replicas: Literal[1]
    strategy: Strategy
    selector: Selector
    template: LabelledPod


class Deployment(Kubernetes):
    api_version: Literal["apps/v1"]
    kind: Literal["Deployment"]
    metadata: Metadata
    spec: DeploymentSpec


class ServicePort(Kubernetes):
    name: Text
    port: Port
    protocol: Literal["TCP"]


class AppLabel(Kubernetes):
    app: Text


class ServiceSpec(Kubernetes):
    type: Literal["ClusterIP"]
    selector: AppLabel
    ports: list[ServicePort]


class Service(Kubernetes):
    api_version: Literal["v1"]
    kind: Literal["Service"]
    metadata: Metadata
    spec: ServiceSpec


class Relabeling(Kubernetes):
    source_labels: list[Text]
    target_label: Text


class MetricsEndpoint(Kubernetes):
    port: Text
    interval: Annotated[str, Field(pattern=r"^[0-9]+s$")]
    relabelings: list[Relabeling]


class PodMonitorSpec(Kubernetes):
    selector: Selector
    pod_metrics_endpoints: list[MetricsEndpoint]


class PodMonitor(Kubernetes):
    api_version: Literal["monitoring.coreos.com/v1"]
    kind: Literal["PodMonitor"]
    metadata: LabelledMetadata
    spec: PodMonitorSpec


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


KINDS: dict[str, type[Kubernetes]] = {
    kind.model_fields["kind"].annotation.__args__[0]: kind
    for kind in (RayCluster, RayJob, Namespace, StorageClass, VolumeClaim, NetworkPolicy, Deployment, Service, PodMonitor)
}


def manifests(name: str) -> list[dict[str, Any]]:
    """The objects of a file of clusters/kubernetes."""
    return list(yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")))


def of_kind(kind: str, name: str = "namespace.yaml") -> list[Any]:
    """The objects of a kind that a file has, as models."""
    return [KINDS[kind].model_validate(each) for each in manifests(name) if each["kind"] == kind]


def cluster_spec(name: str) -> RayClusterSpec:
    """What a file says of its Ray cluster."""
    (document,) = manifests(name)
    model = KINDS[document["kind"]].model_validate(document)
    return model.spec.ray_cluster_spec if isinstance(model, RayJob) else model.spec


def pods(name: str) -> dict[str, PodSpec]:
    """The pods of a Ray cluster, by group."""
    spec = cluster_spec(name)
    workers = {group.group_name: group.template.spec for group in spec.worker_group_specs}
    return {"head": spec.head_group_spec.template.spec, **workers}
