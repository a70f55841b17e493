"""The one whole run that others must equal: `make quickstart` at a test's size."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.integration.chaos.harness import ChaosRun
from tests.integration.runs import REFERENCE, REPOSITORY, words_of


@dataclass
class QuickstartRun(ChaosRun):
    """Two rollout actors and two learner ranks. Its processes are below `make`."""

    def start(self, resume: bool = False) -> None:
        overrides = words_of(REFERENCE | self.settings | {"run.root": str(self.root), "run.id": self.id})
        if Path(sys.prefix) == REPOSITORY / ".venv":
            quoted = " ".join(f"'{word}'" for word in overrides)
            command = ["make", "quickstart", f"ARGS={quoted}"]
        else:
            command = [sys.executable, "-m", "flame_ray", "run", "jobs/quickstart.yaml", *overrides]
        environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
        self.log = (self.root / f"{self.id}.log").open("a+")
        output = {"stdout": self.log, "stderr": subprocess.STDOUT}
        self.driver = subprocess.Popen(command, cwd=REPOSITORY, env=environment, start_new_session=True, **output)
