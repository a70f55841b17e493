"""What the README shows of the quickstart is what a run prints, and the doctor lets it run here."""

import re
import subprocess
import sys

from tests.integration.runs import REPOSITORY


def stages(printed: str, round: int) -> list[str]:
    return re.findall(rf"^round {round} (\w+)", printed, flags=re.MULTILINE)


def test_the_readme_shows_the_stages_that_a_run_prints(tiny_run):
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for round in (0, 1):
        assert stages(readme, round) == stages(tiny_run.shown, round) != []


def test_the_doctor_finds_nothing_wrong_with_the_quickstart():
    doctor = [sys.executable, "-m", "flame_ray", "doctor", "jobs/quickstart.yaml"]
    done = subprocess.run(doctor, cwd=REPOSITORY, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 problems" in done.stdout
