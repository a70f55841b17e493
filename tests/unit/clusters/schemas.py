"""What the operators' own schemas say of the fields that the manifests use: names, types, values. `schemas.json` keeps it.

Another field, or another release of an operator, needs a new one. With a folder of the operators' files:

helm show crds kuberay/kuberay-operator --version 1.6.2 > FOLDER/kuberay.yaml
helm show crds prometheus-community/kube-prometheus-stack > FOLDER/prometheus.yaml
python -m tests.unit.clusters.schemas FOLDER
"""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.unit.clusters.kubernetes import manifests

KEPT = Path(__file__).with_name("schemas.json")
MANIFESTS = {"RayCluster": "raycluster.yaml", "RayJob": "rayjob.yaml", "PodMonitor": "podmonitor.yaml"}
FACTS = ("type", "enum", "pattern", "required", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "anyOf")


def document(kind: str) -> dict[str, Any]:
    """The manifest without its metadata, whose schema is Kubernetes' own, and stands in no operator's."""
    (found,) = manifests(MANIFESTS[kind])
    return found | {"metadata": {}}


@cache
def definitions(folder: Path) -> list[dict[str, Any]]:
    texts = (path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml")))
    return [each for text in texts for each in yaml.load_all(text, yaml.CSafeLoader) if each]


def schema(kind: str, folder: Path) -> dict[str, Any]:
    """Of a kind, in the version that its manifest names."""
    version = document(kind)["apiVersion"].rpartition("/")[2]
    found = [each["spec"]["versions"] for each in definitions(folder) if each["spec"]["names"]["kind"] == kind]
    assert found, f"no schema of {kind} in {folder}"
    (named,) = [each for each in found[0] if each["name"] == version]
    return named["schema"]["openAPIV3Schema"]


def reached(tree: dict[str, Any], values: list[Any]) -> dict[str, Any]:
    """The facts of a schema about the fields that some value has. It takes no others."""
    facts: dict[str, Any] = {name: tree[name] for name in FACTS if name in tree}
    objects = [value for value in values if isinstance(value, dict)]
    if "properties" in tree:
        used = {name: [it[name] for it in objects if name in it] for name in tree["properties"]}
        facts["properties"] = {name: reached(tree["properties"][name], found) for name, found in used.items() if found}
        facts["additionalProperties"] = False
    elif "additionalProperties" in tree:
        facts["additionalProperties"] = reached(tree["additionalProperties"], [each for it in objects for each in it.values()])
    if "items" in tree:
        facts["items"] = reached(tree["items"], [each for value in values if isinstance(value, list) for each in value])
    return facts


def derived(folder: Path) -> dict[str, Any]:
    return {kind: reached(schema(kind, folder), [document(kind)]) for kind in MANIFESTS}


if __name__ == "__main__":
    KEPT.write_text(json.dumps(derived(Path(sys.argv[1])), indent=1, sort_keys=True) + "\n", encoding="utf-8")
