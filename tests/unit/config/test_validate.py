"""Settings that cannot go together are refused by their names, and those that can are accepted."""

import pytest

from flame_ray.config import Config
from flame_ray.config.load import parse_config
from flame_ray.errors import ConfigError

SHARES = {
    "rollout": {"gpus": 1, "workers": 2, "gpu_memory": 0.6},
    "judge": {"gpus": 1, "workers": 2, "gpu_memory": 0.3},
    "learner": {"gpus": 1, "workers": 2},
    "pipeline": {"colocated": True},
}
RELEASES = {"pipeline": {"release_idle": True}}
FILE = {"pairs": {"file": "pairs.jsonl"}, "run": {"rounds": 1}}


def settings(*changes: dict) -> Config:
    tree: dict = {}
    for change in changes:
        for section, values in change.items():
            tree[section] = {**tree.get(section, {}), **values}
    return parse_config(tree, "here")


def device(backend: str) -> dict:
    return {"weights": {"backend": backend}, "run": {"save_merged": True}}


@pytest.mark.parametrize(
    "changes",
    [
        [SHARES],
        [SHARES, device("ipc")],
        [SHARES, {"learner": {"zero_stage": 3, "offload": "optimizer"}}],
        [SHARES, {role: {"node_labels": {"pool": "a"}} for role in ("rollout", "judge", "learner")}],
        [SHARES, {"factuality": {"gpus": 0.5, "checker": "llm"}, "verifier": {"gpus": 0.5}}],
        [{"pipeline": {"colocated": True}}],
        [FILE, {"learner": {"loss": "fdpo"}}],
        [device("nccl"), {"rollout": {"gpus": 2, "tensor_parallel": 2}, "learner": {"gpus": 1}}],
        [device("nccl"), {"rollout": {"gpus": 1}, "learner": {"gpus": 1, "lora": None}, "run": {"save_merged": False}}],
        [RELEASES, device("checkpoint"), {"rollout": {"gpus": 1, "min_workers": 1, "workers": 3}, "learner": {"gpus": 1}}],
    ],
    ids=[
        "shared",
        "shared, ipc",
        "shared, zero 3",
        "shared, by label",
        "shared, rewards apart",
        "shared, without GPUs",
        "pairs of a file",
        "nccl",
        "nccl, all parameters",
        "released",
    ],
)
def test_settings_that_fit_are_accepted(changes):
    settings(*changes)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([device("nccl")], r"weights\.backend nccl needs rollout\.gpus and learner\.gpus above 0 \(given 0 and 0\)"),
        ([device("nccl"), {"rollout": {"gpus": 1}}], r"weights\.backend nccl needs .* \(given 1 and 0\)"),
        ([device("ipc"), {"learner": {"gpus": 1}}], r"weights\.backend ipc needs .* \(given 0 and 1\)"),
        ([device("ipc"), {"rollout": {"gpus": 1}, "learner": {"gpus": 1}}], r"ipc needs pipeline\.colocated true"),
        ([SHARES, device("nccl")], r"nccl needs pipeline\.colocated false"),
        ([SHARES, {"weights": {"backend": "ipc"}}], r"weights\.backend ipc needs run\.save_merged true"),
        ([{"pipeline": {"staleness": 1}, "learner": {"loss": "grpo"}}], r"learner\.loss grpo needs pipeline\.staleness 0"),
        ([{"pairs": {"file": "pairs.jsonl"}}], r"pairs\.file needs run\.rounds 1, .*\(given 3\)"),
        ([FILE, {"learner": {"loss": "grpo"}}], r"pairs\.file needs learner\.loss to be one of dpo, .*\(given grpo\)"),
        ([FILE, {"learner": {"loss": "nll"}}], r"pairs\.file needs learner\.loss .*\(given nll\)"),
        ([FILE, {"learner": {"loss": "mask_dpo"}}], r"pairs\.file needs learner\.loss .*\(given mask_dpo\)"),
        ([SHARES, {"pipeline": {"staleness": 1}}], r"pipeline\.colocated needs pipeline\.staleness 0"),
        ([SHARES, {"rollout": {"min_workers": 1}}], r"leave rollout\.min_workers and judge\.min_workers out"),
        ([SHARES, {"judge": {"min_workers": 1}}], r"leave rollout\.min_workers and judge\.min_workers out"),
        ([SHARES, {"learner": {"zero_stage": 0}}], r"learner\.zero_stage 1 or 2, .* \(given 0 and none\)"),
        ([SHARES, {"learner": {"zero_stage": 3}}], r"or 3 with learner\.offload: .* \(given 3 and none\)"),
        ([SHARES, {"judge": {"gpus": 0}}], r"gpus 1 for each .* or 0 for all \(given 1, 0 and 1\)"),
        ([SHARES, {"rollout": {"gpus": 0.4}}], r"gpus 1 for each .* or 0 for all \(given 0\.4, 1 and 1\)"),
        ([SHARES, {"judge": {"workers": 1}}], r"judge\.workers as learner\.workers, .* \(given 2, 1 and 2\)"),
        ([SHARES, {"learner": {"workers": 1}}], r"rollout\.workers and judge\.workers as .* \(given 2, 2 and 1\)"),
        ([SHARES, {"judge": {"node_labels": {"pool": "a"}}}], r"the same node_labels .* \(given \{\}, \{pool: a\}"),
        ([SHARES, {"rollout": {"tensor_parallel": 2}}], r"rollout\.tensor_parallel 1"),
        ([SHARES, {"rollout": {"gpu_memory": 0.8}}], r"of at most 1 together, .* \(given 0\.8 and 0\.3\)"),
        ([RELEASES, {"pipeline": {"staleness": 1}}], r"pipeline\.release_idle needs pipeline\.staleness 0"),
        ([RELEASES, SHARES], r"pipeline\.release_idle needs pipeline\.colocated false"),
        (
            [RELEASES, device("nccl"), {"rollout": {"gpus": 1}, "learner": {"gpus": 1}}],
            r"pipeline\.release_idle needs a weights\.backend other than nccl",
        ),
        ([{"weights": {"chunk_mib": 0}}], r"weights\.chunk_mib"),
    ],
)
def test_settings_that_do_not_fit_are_refused_with_what_they_need(changes, told):
    with pytest.raises(ConfigError, match=told):
        settings(*changes)
