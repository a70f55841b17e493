"""The operators' schemas accept the manifests: what is kept of them, and the whole where FLAME_RAY_CRDS names its folder."""

import copy
import json
import os
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.unit.clusters.schemas import KEPT, MANIFESTS, derived, document, reached, schema

SCHEMAS = json.loads(KEPT.read_text(encoding="utf-8"))
FOLDER = os.environ.get("FLAME_RAY_CRDS")
whole = pytest.mark.skipif(not FOLDER, reason="FLAME_RAY_CRDS names no folder with the operators' schemas")


def faults(tree: dict[str, Any], kind: str) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(tree).iter_errors(document(kind))]


@pytest.mark.parametrize("kind", MANIFESTS)
def test_the_operators_schema_accepts_the_manifest(kind):
    assert faults(SCHEMAS[kind], kind) == []


def changed(kind: str, *path: Any, value: Any) -> dict[str, Any]:
    """The manifest with another value at a path."""
    found = tree = copy.deepcopy(document(kind))
    *above, last = path
    for key in above:
        tree = tree[key]
    tree[last] = value
    return found


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("RayCluster", ("spec", "selektor"), {}),
        ("RayCluster", ("spec", "workerGroupSpecs", 0, "replicas"), "one"),
        ("RayCluster", ("spec", "autoscalerOptions", "upscalingMode"), "Fast"),
        ("RayCluster", ("spec", "headGroupSpec", "template", "spec", "container"), []),
        ("RayCluster", ("spec", "headGroupSpec", "rayStartParams", "num-cpus"), 0),
        ("RayJob", ("spec", "submissionMode"), 1),
        ("RayJob", ("spec", "rayClusterSpec", "gcsFaultTolerance"), {}),
        ("PodMonitor", ("spec", "podMetricsEndpoints", 0, "interval"), "often"),
        ("PodMonitor", ("spec", "selector", "matchLabels", "a"), True),
    ],
)
def test_a_wrong_name_or_value_is_refused(kind, path, value):
    assert not Draft202012Validator(SCHEMAS[kind]).is_valid(changed(kind, *path, value=value))


def test_a_field_that_is_new_in_a_manifest_asks_for_its_facts():
    assert not Draft202012Validator(SCHEMAS["RayCluster"]).is_valid(changed("RayCluster", "spec", "suspend", value=True))


def test_words_and_fields_that_nobody_uses_are_left_out():
    text, unused = {"type": "string", "description": "words"}, {"type": "object", "properties": {"a": {}}}
    tree = {"type": "object", "description": "words", "required": ["used"], "properties": {"used": text, "unused": unused}}
    assert reached({"type": "array", "items": tree}, [[{"used": "x"}]])["items"] == {
        "type": "object",
        "required": ["used"],
        "properties": {"used": {"type": "string"}},
        "additionalProperties": False,
    }


@whole
@pytest.mark.parametrize("kind", MANIFESTS)
def test_the_whole_schema_accepts_the_manifest(kind):
    assert faults(schema(kind, Path(FOLDER or "")), kind) == []


@whole
def test_what_is_kept_is_what_the_whole_schemas_say():
    assert derived(Path(FOLDER or "")) == SCHEMAS
