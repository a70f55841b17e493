"""A whole run on the real parts: two vLLM actors, two DeepSpeed ranks, two rounds."""

import json
import math
import re
import shutil

import pytest
import yaml

from flame_ray.config.load import parse_config
from tests.integration.runs import assert_merged

EVALUATION = {
    "factual_precision",
    "correct_facts",
    "relevant_facts",
    "erroneous_facts",
    "f_at_k",
    "abstention_rate",
    "instruction_score",
    "response_tokens",
}


def table(run, round: int, name: str) -> list[dict]:
    return run.table(f"{round:04d}/{name}.parquet")


def test_the_summary_holds_every_promised_key(tiny_run):
    summary = tiny_run.summary
    assert summary["run_id"] == "tiny" and summary["status"] == "complete" and summary["wall_seconds"] > 0
    assert [item["round"] for item in summary["rounds"]] == [0, 1, 2]
    for item in summary["rounds"]:
        assert EVALUATION | {"prompts", "ci95"} <= item["evaluation"].keys()
        assert item["evaluation"]["ci95"].keys() == EVALUATION
    for item in summary["rounds"][1:]:
        assert item["pairs"].keys() == {"factuality", "instruction", "dropped"}
        assert item["samples"]["responses"] == 6 * 4 > item["samples"]["truncated"] >= 0
        assert item["change"]["ci95"].keys() == EVALUATION
        assert item["training"].keys() >= {"loss", "accuracy", "steps"}
        assert math.isfinite(item["training"]["loss"])
        assert item["timings"].keys() >= {"sample", "score", "train", "sync", "evaluate"}
        assert item["weight_version"] == item["round"]


def test_the_screen_shows_one_line_a_stage_and_a_closing_table(tiny_run):
    lines = tiny_run.shown.splitlines()
    for stage in ("classify", "sample", "score", "pair", "train", "sync", "evaluate"):
        assert sum(line.startswith(f"round 1 {stage} ") for line in lines) == 1, stage
    assert "labels (" in next(line for line in lines if line.startswith("round 1 classify"))
    assert any("factual precision" in line for line in lines)


# Of the processes whose sockets the table of what listens has on every interface.
ROWS = ("gcs_server", "raylet", "ray::", "/ray/", "ray-dashboard", "VLLM::", "flame-ray run", "flame_ray run")


def test_the_run_opens_to_others_only_what_the_table_of_what_listens_says(tiny_run):
    """`Keep it closed` in clusters/README.md: the dashboard is on loopback; Ray's other servers and the ranks' may not be."""
    dashboard = re.search(r"dashboard \S*:(\d+)", tiny_run.printed)
    assert dashboard and {each.open for each in tiny_run.listening if each.port == int(dashboard[1])} == {False}
    others = [each for each in tiny_run.listening if each.open and not any(row in each.title for row in ROWS)]
    assert others == []


def test_the_folder_holds_settings_environment_and_metrics(tiny_run):
    config = parse_config(yaml.safe_load((tiny_run.folder / "config.yaml").read_text()), "config.yaml")
    assert config.rollout.workers == 2 and config.learner.workers == 2
    environment = json.loads((tiny_run.folder / "environment.json").read_text())
    assert {"ray", "torch", "deepspeed", "transformers"} <= environment["packages"].keys()
    rounds = [json.loads(line) for line in (tiny_run.folder / "metrics.jsonl").read_text().splitlines()]
    assert rounds == tiny_run.summary["rounds"]


def test_every_response_names_its_prompt_its_tokens_and_the_weights_that_made_it(tiny_run):
    for round in (1, 2):
        prompts = {row["prompt_id"] for row in table(tiny_run, round, "prompts")}
        responses = table(tiny_run, round, "responses")
        assert len(responses) == 6 * 4 and {row["prompt_id"] for row in responses} <= prompts
        for row in responses:
            assert row["round"] == round and row["weight_version"] == round - 1
            assert row["token_ids"] and row["prompt_token_ids"]
            assert row["finish_reason"] in {"stop", "length"}


def test_pairs_join_responses_of_one_prompt_and_follow_their_scores(tiny_run):
    for round in (1, 2):
        responses = {row["response_id"]: row for row in table(tiny_run, round, "responses")}
        pairs = table(tiny_run, round, "pairs")
        assert pairs
        for pair in pairs:
            chosen, rejected = responses[pair["chosen_id"]], responses[pair["rejected_id"]]
            assert chosen["prompt_id"] == rejected["prompt_id"] == pair["prompt_id"]
            assert pair["chosen_score"] > pair["rejected_score"]
            if pair["kind"] == "instruction":
                assert pair["chosen_score"] == chosen["instruction_score"] > rejected["instruction_score"]
            else:
                assert chosen["supported"] > 0 and rejected["precision"] is not None
        counted = tiny_run.summary["rounds"][round]["pairs"]
        assert len(pairs) == counted["factuality"] + counted["instruction"]


def test_every_fact_of_a_response_can_be_audited(tiny_run):
    facts = table(tiny_run, 0, "heldout_facts")
    supported = [row for row in facts if row["verdict"] == "supported"]
    assert facts and all(row["passage_id"] for row in supported)
    counts = {row["response_id"]: row["supported"] for row in table(tiny_run, 0, "heldout_responses")}
    assert sum(count or 0 for count in counts.values()) == len(supported)


def test_no_country_is_both_trained_on_and_held_out(tiny_run):
    def countries(round: int, name: str) -> set[str]:
        ids = {row["prompt_id"] for row in table(tiny_run, round, name)}
        return {id.split("/")[1] for id in ids if id.startswith("factbook/")}

    held_out = countries(0, "heldout_prompts")
    assert held_out and not held_out & (countries(1, "prompts") | countries(2, "prompts"))


def test_the_merged_model_is_the_adapter_on_the_initial_model_in_bfloat16(tiny_run, model):
    assert_merged(tiny_run.folder, model)


def test_a_finished_run_can_be_audited(tiny_run, flame, tmp_path):
    """The sheet has the facts of both rounds; labels that agree with every verdict give back the run's own precision."""
    folder = shutil.copytree(tiny_run.folder, tmp_path / "tiny", ignore=shutil.ignore_patterns("checkpoints"))
    assert flame("audit", folder, folder=tmp_path).returncode == 0
    (key,) = (folder / "audit" / "keys").iterdir()
    rows = json.loads(key.read_text())["rows"]
    assert len(rows) == len(table(tiny_run, 0, "heldout_facts")) + len(table(tiny_run, 2, "heldout_facts"))
    labels = tmp_path / "reader.jsonl"
    labels.write_text("".join(json.dumps({"id": row["id"], "label": row["verdict"]}) + "\n" for row in rows))
    assert flame("audit", folder, "--labels", labels, folder=tmp_path).returncode == 0
    for found, was in zip(json.loads((folder / "summary.json").read_text())["audit"]["rounds"], (0, 2), strict=True):
        assert found["round"] == was
        assert found["precision"]["value"] == pytest.approx(found["own"]["value"])
        assert found["debiased"]["value"] == pytest.approx(found["own"]["value"])


def test_a_finished_run_has_a_page_with_every_held_out_answer_of_it(tiny_run, flame, tmp_path):
    page = tmp_path / "report.html"
    done = flame("report", tiny_run.folder, "--out", page, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    data = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert data
    answers = json.loads(data[1])
    assert {side["round"] for side in answers["sides"]} >= {0, 2}
    rows = [row for row in table(tiny_run, 0, "heldout_prompts") if row["split"] == "heldout"]
    assert {prompt["text"] for prompt in answers["prompts"]} == {row["text"] for row in rows} != set()
    assert all(None not in prompt["answers"] for prompt in answers["prompts"])
