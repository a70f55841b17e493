"""The operators' own schemas accept the manifests. They are not shipped here: FLAME_RAY_CRDS names a folder with these files.

helm show crds kuberay/kuberay-operator --version 1.6.2 > FOLDER/kuberay.yaml
helm show crds prometheus-community/kube-prometheus-stack > FOLDER/prometheus.yaml
"""

import copy
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from tests.unit.clusters.kubernetes import manifests

FOLDER = os.environ.get("FLAME_RAY_CRDS")
MANIFESTS = {"RayCluster": "raycluster.yaml", "RayJob": "rayjob.yaml", "PodMonitor": "podmonitor.yaml"}

pytestmark = pytest.mark.skipif(not FOLDER, reason="FLAME_RAY_CRDS names no folder with the operators' schemas")


def schema(kind: str) -> dict[str, Any]:
    """The schema of a kind in the version that its manifest names, which also refuses keys that it does not know."""
    version = manifests(MANIFESTS[kind])[0]["apiVersion"].rpartition("/")[2]
    files = sorted(Path(FOLDER or "").glob("*.yaml"))
    documents = [each for path in files for each in yaml.load_all(path.read_text(encoding="utf-8"), yaml.CSafeLoader) if each]
    found = [each["spec"]["versions"] for each in documents if each["spec"]["names"]["kind"] == kind]
    assert found, f"no schema of {kind} in {FOLDER}"
    (named,) = [each for each in found[0] if each["name"] == version]
    return strict(named["schema"]["openAPIV3Schema"])


def strict(tree: Any) -> Any:
    if isinstance(tree, list):
        return [strict(each) for each in tree]
    if not isinstance(tree, dict):
        return tree
    known = isinstance(tree.get("properties"), dict) and not tree.get("x-kubernetes-preserve-unknown-fields")
    closed = {key: strict(value) for key, value in tree.items()}
    return closed | ({"additionalProperties": False} if known and "additionalProperties" not in tree else {})


@pytest.mark.parametrize("kind", MANIFESTS)
def test_the_operators_schema_accepts_the_manifest_and_refuses_a_key_that_it_does_not_know(kind):
    validator = Draft202012Validator(schema(kind))
    (document,) = manifests(MANIFESTS[kind])
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(without_metadata(document))] == []
    wrong = copy.deepcopy(without_metadata(document))
    wrong["spec"]["selektor"] = {}
    assert not validator.is_valid(wrong)


def without_metadata(document: dict[str, Any]) -> dict[str, Any]:
    """Its schema is Kubernetes' own, and stands in no operator's."""
    return document | {"metadata": {}}
