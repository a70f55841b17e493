"""The whole: every check of a job on this machine, which is left as it was."""

import ray

from flame_ray.commands.doctor import examine
from tests.unit.doctor.samples import job, write_model


def test_a_job_is_examined_without_starting_ray_or_making_a_folder(tmp_path, monkeypatch, folder):
    monkeypatch.chdir(tmp_path)
    write_model(folder)
    (folder / "chat_template.jinja").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    checks, plan, site = examine(job(cluster={"address": "local"}, model={"policy": str(folder)}))
    names = [check.name for check in checks]
    expected = {"Ray", "CPUs", "GPUs", "memory", "run.root", "Ray's disk", "model.policy", "prompts", "corpus", "package"}
    assert expected <= set(names) and len(names) == len(set(names))
    assert plan is not None and site.capacity["CPU"] >= 1
    assert not ray.is_initialized()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_without_the_weights_of_the_judge_is_a_problem(folder):
    write_model(folder)
    settings = job(
        cluster={"address": "local"},
        model={"policy": str(folder)},
        judge={"backend": "preference", "preferences": str(folder)},
    )
    found = {check.name: check for check in examine(settings)[0]}
    assert "preferences.safetensors" in found["judge.preferences"].expected
    assert "factuality.checker_model" not in found
