"""Ray's launcher accepts its three files, which install the lock, bring nodes when asked for, and open nothing to the world."""

import copy
import re

import pytest
import yaml
from jsonschema import ValidationError as RaySchemaError
from packaging.version import Version
from ray.autoscaler._private.util import prepare_config, validate_config

from flame_ray.config.load import load_config
from tests.unit.clusters.kubernetes import cluster_spec, pods
from tests.unit.clusters.launches import LAUNCHED, REPOSITORY
from tests.unit.clusters.test_locks import PROJECT, lock

ON_PREMISES = "on-premises.yaml"
FILES = (*LAUNCHED, ON_PREMISES)
ROLE = "flame-ray/role"

of_each_file = pytest.mark.parametrize("name", FILES)
of_each_cloud = pytest.mark.parametrize("name", LAUNCHED)


def shipped(name: str) -> dict:
    return yaml.safe_load((REPOSITORY / "clusters" / name).read_text(encoding="utf-8"))


def launched(name: str) -> dict:
    """A file as `ray up` would use it: with Ray's defaults merged in."""
    config = prepare_config(shipped(name))
    validate_config(config)
    return config


def node_configs(name: str) -> dict[str, dict]:
    return {kind: node["node_config"] for kind, node in shipped(name)["available_node_types"].items()}


def gpus_of_the_largest_paper_job() -> float:
    configs = [load_config(path) for path in sorted((REPOSITORY / "jobs" / "paper").glob("*.yaml"))]
    return max(sum(group.workers * group.gpus for group in (c.rollout, c.judge, c.learner)) for c in configs)


@of_each_file
def test_rays_launcher_accepts_the_file(name):
    kind = {"aws.yaml": "aws", "gcp.yaml": "gcp", ON_PREMISES: "local"}[name]
    assert launched(name)["provider"]["type"] == kind


@of_each_cloud
@pytest.mark.parametrize("section", [(), ("auth",), ("available_node_types", "learner")])
def test_rays_launcher_refuses_a_clouds_file_with_a_key_that_it_does_not_know(name, section):
    config = prepare_config(shipped(name))
    place = config
    for step in section:
        place = place[step]
    place["min_wrokers"] = 1
    with pytest.raises(RaySchemaError, match="min_wrokers"):
        validate_config(config)


@of_each_file
def test_the_file_states_every_setting_so_that_no_default_of_ray_slips_in(name):
    derived = {"available_node_types", "head_node_type", "max_workers"} if name == ON_PREMISES else set()
    assert set(launched(name)) - derived == set(shipped(name))


@of_each_cloud
def test_nodes_of_a_cloud_come_when_asked_for_and_go_when_idle(name):
    config = launched(name)
    head = config["available_node_types"].pop(config["head_node_type"])
    workers = config["available_node_types"].values()
    assert head["resources"]["CPU"] == 0 and "GPU" not in head["resources"]
    assert all(node["min_workers"] == 0 < node["max_workers"] for node in workers)
    assert config["max_workers"] == sum(node["max_workers"] for node in workers)
    assert 0 < config["idle_timeout_minutes"] <= 30


def test_all_hosts_on_premises_are_started_and_stay():
    config = launched(ON_PREMISES)
    (kind,) = config["available_node_types"].values()
    assert kind["min_workers"] == kind["max_workers"] == len(config["provider"]["worker_ips"]) == 6


def test_a_paper_job_fits_the_learner_node_of_every_cluster():
    needed = gpus_of_the_largest_paper_job()
    for name in LAUNCHED:
        assert needed <= shipped(name)["available_node_types"]["learner"]["resources"]["GPU"]
    for name in ("raycluster.yaml", "rayjob.yaml"):
        assert needed <= int(pods(name)["learner"].containers[0].resources.limits["nvidia.com/gpu"])


def test_all_clusters_label_the_same_roles():
    for name in ("raycluster.yaml", "rayjob.yaml"):
        spec = cluster_spec(name)
        labelled = {spec.head_group_spec.labels[ROLE]} | {group.labels[ROLE] for group in spec.worker_group_specs}
        assert labelled == {"head", "learner", "rollout", "cpu"}
    for name in LAUNCHED:
        kinds = shipped(name)["available_node_types"]
        assert {kind: node["labels"] for kind, node in kinds.items()} == {kind: {ROLE: kind} for kind in kinds}
        assert set(kinds) == labelled


@of_each_file
def test_the_dashboard_of_the_head_listens_on_loopback_alone(name):
    (start,) = [command for command in launched(name)["head_start_ray_commands"] if "ray start" in command]
    assert "--dashboard-host=127.0.0.1" in start


@of_each_file
@pytest.mark.parametrize("kind", ["head", "worker"])
def test_ray_starts_with_token_authentication_on_every_node(name, kind):
    starts = [command for command in launched(name)[f"{kind}_start_ray_commands"] if "ray start" in command]
    assert starts and all("RAY_AUTH_MODE=token ray start" in command for command in starts)


@of_each_file
def test_the_token_is_copied_from_the_users_machine_and_kept_private(name):
    config = launched(name)
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert "chmod 600 ~/.ray/auth_token" in config["worker_setup_commands"][0]
    assert config["worker_setup_commands"][0] in config["head_setup_commands"]


@of_each_file
def test_the_file_copies_all_that_the_installation_needs(name):
    needed = {"pyproject.toml", "flame_ray", "jobs", "clusters/gpu.lock", PROJECT["readme"], *PROJECT["license-files"]}
    mounts = {local: remote for remote, local in shipped(name)["file_mounts"].items()}
    assert needed <= set(mounts)
    assert all(mounts[each] == f"~/flame-ray/{each}" for each in needed)


@of_each_file
@pytest.mark.parametrize("kind", ["head", "worker"])
def test_every_node_installs_the_lock_and_then_flame_ray_alone(name, kind):
    installs = [command for command in launched(name)[f"{kind}_setup_commands"] if "pip install" in command]
    assert installs[0].endswith("--no-deps -r ~/flame-ray/clusters/gpu.lock")
    assert installs[1].endswith("--no-deps --no-build-isolation -e ~/flame-ray")


def test_the_clouds_and_the_hosts_differ_in_what_they_are_and_not_in_what_runs_on_them():
    def runs(name: str) -> dict:
        keys = ("file_mounts", "setup_commands", "worker_start_ray_commands", "head_start_ray_commands")
        return {key: shipped(name)[key] for key in keys}

    aws, gcp, hosts = runs("aws.yaml"), runs("gcp.yaml"), runs(ON_PREMISES)
    gcp["worker_start_ray_commands"][-1] = gcp["worker_start_ray_commands"][-1].replace("watch-node gcp", "watch-node aws")
    for each in (aws, gcp):
        each["setup_commands"] = [command for command in each["setup_commands"] if "--constraint" not in command]
    assert aws == gcp
    assert hosts["file_mounts"] == aws["file_mounts"]
    assert [each for each in aws["setup_commands"] if "apt-get" not in each] == hosts["setup_commands"]


@pytest.mark.parametrize(
    ("name", "driver", "client"), [("aws.yaml", "s3fs", "boto3"), ("gcp.yaml", "gcsfs", "google-api-python-client")]
)
def test_every_node_of_a_cloud_installs_the_driver_of_its_buckets_beside_the_locks_versions(name, driver, client):
    """With the packages that Ray itself needs on the head, in one call, so that pip finds versions that suit both."""
    config, readme = launched(name), (REPOSITORY / "clusters" / "README.md").read_text(encoding="utf-8")
    (of_head,), (of_workers,) = (
        [each for each in config[f"{kind}_setup_commands"] if "--constraint" in each] for kind in ("head", "worker")
    )
    assert of_head == of_workers and f'"{client}>=' in of_head
    assert "--constraint ~/flame-ray/clusters/gpu.lock " in of_head and not [
        each for each in config["head_setup_commands"] if client in each and each != of_head
    ]
    (version,) = re.findall(rf"{driver}==(\S+)", of_head)
    text = (REPOSITORY / "clusters" / name).read_text(encoding="utf-8")
    assert set(re.findall(rf"{driver}==([\d.]+\d)", readme + text)) == {version}


def test_the_driver_of_s3_takes_the_fsspec_of_the_lock():
    (version,) = set(re.findall(r"s3fs==(\S+)", str(shipped("aws.yaml")["setup_commands"])))
    assert lock("gpu.lock")["fsspec"] == lock("cpu.lock")["fsspec"] == Version(version)  # s3fs asks for its own release


# AWS


def test_every_aws_node_names_its_own_security_group_because_rays_opens_ssh_to_the_world():
    assert all(node["SecurityGroupIds"] for node in node_configs("aws.yaml").values())
    assert "security_group" not in shipped("aws.yaml")["provider"]


def test_no_aws_node_takes_rays_old_image_or_its_role_with_full_rights():
    nodes = node_configs("aws.yaml")
    assert all(node["ImageId"] not in ("", "latest_dlami") for node in nodes.values())
    profiles = {kind: node["IamInstanceProfile"]["Name"] for kind, node in nodes.items()}
    assert (
        profiles.pop("head") not in profiles.values() and len(set(profiles.values())) == 1
    )  # the workers' may only use the bucket
    assert all(node["MetadataOptions"]["HttpTokens"] == "required" for node in nodes.values())


def test_every_aws_disk_is_encrypted_and_deleted_with_its_node():
    for node in node_configs("aws.yaml").values():
        for disk in node["BlockDeviceMappings"]:
            assert disk["Ebs"]["Encrypted"] and disk["Ebs"]["DeleteOnTermination"]


# Google Cloud


def test_every_gcp_node_names_its_own_network_because_the_default_one_opens_ssh_to_the_world():
    for node in node_configs("gcp.yaml").values():
        assert [each["subnetwork"].rpartition("/")[2] for each in node["networkInterfaces"]] == ["flame-ray"]


def test_every_gcp_node_has_an_account_the_heads_its_own_and_none_has_rays_with_wide_rights():
    accounts = {
        kind: [each["email"].partition("@")[0] for each in node["serviceAccounts"]]
        for kind, node in node_configs("gcp.yaml").items()
    }
    assert accounts.pop("head") == ["flame-ray-head"] and all(each == ["flame-ray-worker"] for each in accounts.values())


@of_each_cloud
def test_every_name_to_fill_in_is_explained_at_the_top(name):
    text = (REPOSITORY / "clusters" / name).read_text(encoding="utf-8")
    top, _, rest = text.partition("\n\n")
    names = set(re.findall(r"[\w-]*REPLACE-ME", rest))
    assert names and names <= set(re.findall(r"^#   ([\w-]+-REPLACE-ME) ", top, flags=re.MULTILINE))
    assert "BUCKET" in top


def test_every_gcp_disk_is_deleted_with_its_node():
    assert all(disk["autoDelete"] for node in node_configs("gcp.yaml").values() for disk in node["disks"])


def test_the_region_of_the_gcp_file_is_that_of_its_zone_and_its_networks():
    provider = shipped("gcp.yaml")["provider"]
    assert provider["availability_zone"].startswith(provider["region"] + "-")
    for node in node_configs("gcp.yaml").values():
        assert f"/{provider['region']}/" in node["networkInterfaces"][0]["subnetwork"]


def test_samplers_are_on_spot_nodes_and_the_learner_on_demand():
    aws, gcp = node_configs("aws.yaml"), node_configs("gcp.yaml")
    assert aws["rollout"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert gcp["rollout"]["scheduling"]["provisioningModel"] == "SPOT"
    assert gcp["rollout"]["scheduling"]["instanceTerminationAction"] == "DELETE"
    others = copy.deepcopy({**aws, **{f"gcp-{kind}": node for kind, node in gcp.items()}})
    for name in ("rollout", "gcp-rollout"):
        del others[name]
    assert not any("spot" in str(node).lower() for node in others.values())


def test_gcp_nodes_with_gpus_end_for_maintenance_because_they_cannot_move():
    nodes = node_configs("gcp.yaml")
    assert {kind for kind, node in nodes.items() if node.get("scheduling", {}).get("onHostMaintenance") == "TERMINATE"} == {
        kind for kind, node in shipped("gcp.yaml")["available_node_types"].items() if "GPU" in node["resources"]
    }
