"""A run that the job API starts, stops and starts again."""

from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.chaos.harness import SESSION_S, ChaosRun
from tests.integration.head import Head
from tests.integration.runs import REFERENCE, REPOSITORY, words_of


@dataclass
class SubmittedRun(ChaosRun):
    """A run of the reference's size with one sampler, whose samples are those of two. Its processes are below the head's."""

    head: Head = field(kw_only=True)
    working_dir: Path = REPOSITORY
    status: str = ""
    starts: int = 0  # Ray takes a submission's id only once

    @property
    def submission(self) -> str:
        return f"{self.id}-{self.starts}"

    def start(self, resume: bool = False) -> None:
        self.driver = self.head.process
        self.starts += 1
        settings = REFERENCE | {"rollout.workers": "1"} | self.settings | {"run.root": str(self.root)}
        words = ["-m", "flame_ray", "run", "jobs/quickstart.yaml", *words_of(settings | {"run.id": self.id})]
        words += ["--resume", self.id] if resume else []
        self.head.submit(self.submission, self.working_dir, words, self.environment)

    def stop(self) -> None:
        self.head.stop(self.submission)

    def ended(self) -> str | None:
        return self.head.ended(self.submission)

    def finish(self) -> str:
        """Its status in the job API, once it has ended."""
        self.status = self.head.wait_for_end(self.submission, SESSION_S)["status"]
        self.printed = self.text()
        self.assert_all_hit()
        return self.status

    def text(self) -> str:
        return self.head.log(self.submission)
