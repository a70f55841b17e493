"""The batch script starts Ray on all of its nodes, runs the job, and resumes it: with stand-ins of Slurm and Ray."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from flame_ray.config.load import load_config
from tests.unit.clusters.launches import REPOSITORY, hosts, plan

SCRIPT = REPOSITORY / "clusters" / "slurm.sh"
JOB = "jobs/quickstart.yaml"
PATIENCE_S = 30
RECORD = 'echo "$(basename "$0") $*" >> "$LOG"\n'
STAND_INS = {
    "scontrol": 'if [[ $1 == show ]]; then printf "%s\\n" $NODES; fi\n',
    "getent": """
if [[ $1 == hosts ]]; then echo "fe80::1 $2"; exit; fi
for each in $ADDRESSES; do echo "$each STREAM $2"; echo "$each DGRAM"; done
[[ $ADDRESSES ]]
""",
    "squeue": 'echo "$STATE"\n',
    "srun": 'while [[ $1 == --* ]]; do shift; done\nexec "$@"\n',
    "ray": """
case "$*" in
  get-auth-token*)
    echo a-secret
    if [[ ! -e ~/.ray/auth_token ]]; then mkdir -p ~/.ray; echo a-secret > ~/.ray/auth_token; fi
    stat -c 'made with mode %a' ~/.ray/auth_token >> "$LOG" ;;
  *--block) echo $$ > "$LOG.worker"; exec sleep 60 ;;
esac
""",
    "python": """
if [[ $1 == -m ]]; then exec "$REAL_PYTHON" "$@"; fi
cat > /dev/null
if (($2 > 1)); then until [[ -e $LOG.worker ]]; do sleep 0.02; done; fi
""",
    "flame-ray": """
if [[ $1 == status ]]; then [[ ! $RAY_ADDRESS && $2 == "$RECORDED" ]]; exit; fi
echo "mode=$RAY_AUTH_MODE address=$RAY_ADDRESS" >> "$LOG"
if [[ $WAIT ]]; then
  trap 'sleep 0.3; exit 75' TERM
  touch "$LOG.running"
  while true; do sleep 0.05; done
fi
exit $CODE
""",
}


@dataclass(frozen=True)
class Batch:
    """A folder of flame-ray as a login node has it, whose commands write down what they are called with."""

    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def start(self, *words: str, **variables: str) -> subprocess.Popen:
        own = {"SLURM_JOB_ID": "42", "SLURM_JOB_NODELIST": "n[1-2]", "SLURM_CPUS_ON_NODE": "8", "LOG": str(self.log)}
        defaults = {"NODES": "n1", "STATE": "RUNNING", "WAIT": "", "CODE": "0", "PATH": os.environ["PATH"]}
        defaults |= {"HOME": str(self.folder), "ADDRESSES": "10.0.0.1", "RECORDED": "", "RAY_ADDRESS": "10.0.0.9:6379"}
        defaults |= {"REAL_PYTHON": sys.executable, "PYTHONPATH": str(REPOSITORY)}
        return subprocess.Popen(
            ["bash", str(SCRIPT), *words],
            cwd=self.folder,
            env=defaults | own | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, **variables: str) -> tuple[int, str]:
        return ended(self.start(*words, **variables))

    def stopped(self, **variables: str) -> int:
        """The exit code of a run that is told to stop once it is under way."""
        started = self.start(JOB, str(self.folder), WAIT="yes", **variables)
        end = time.monotonic() + PATIENCE_S
        while not Path(f"{self.log}.running").exists() and time.monotonic() < end:
            time.sleep(0.02)
        started.send_signal(signal.SIGTERM)
        return ended(started)[0]

    def calls(self, start: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith(start)]


def ended(script: subprocess.Popen) -> tuple[int, str]:
    """The exit code and what was printed; a script that does not end is killed."""
    try:
        printed, _ = script.communicate(timeout=PATIENCE_S)
    finally:
        script.kill()
    return script.returncode, printed


@pytest.fixture
def batch(tmp_path) -> Batch:
    commands = tmp_path / ".venv" / "bin"
    commands.mkdir(parents=True)
    for name, body in STAND_INS.items():
        (commands / name).write_text(f"#!/bin/bash\n{RECORD}{body}")
        (commands / name).chmod(0o755)
    (tmp_path / "jobs").symlink_to(REPOSITORY / "jobs")
    return Batch(tmp_path)


def options() -> Mapping[str, str]:
    """What the script asks of sbatch."""
    lines = [line.split()[1] for line in SCRIPT.read_text().splitlines() if line.startswith("#SBATCH ")]
    return {line.partition("=")[0]: line.partition("=")[2] for line in lines}


def test_bash_accepts_the_script():
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say():
    subprocess.run(["shellcheck", str(SCRIPT)], check=True)


def test_the_script_has_its_nodes_alone_and_is_told_before_its_time_is_over():
    asked = options()
    assert {"--exclusive", "--requeue"} <= asked.keys() and asked["--mem"] == "0"
    assert asked["--signal"] == "B:TERM@600" and asked["--open-mode"] == "append"


def test_the_script_names_the_lock_of_nodes_without_a_gpu_beside_the_call_for_them():
    (call,) = [line for line in SCRIPT.read_text().splitlines() if "--gpus-per-node=0" in line]
    assert "cpu.lock" in call and "`clusters/cpu.lock`" in (REPOSITORY / "clusters" / "README.md").read_text()


def test_one_node_is_the_head_and_runs_the_job_on_it(batch):
    code, _ = batch.run(JOB, "/shared/runs", "--set", "run.rounds=1")
    assert code == 0
    head = "ray start --head --node-ip-address=10.0.0.1 --port=6379 --dashboard-host=127.0.0.1"
    assert batch.calls("ray start") == [head] and not batch.calls("srun")
    run = f"flame-ray run {JOB} --set run.root=/shared/runs --set run.id=slurm-42 --set run.rounds=1"
    assert batch.calls("flame-ray") == [run]
    assert batch.calls("mode=") == ["mode=token address=10.0.0.1:6379"]


def test_a_fine_tuning_is_run_as_one_with_the_options_that_make_it_one(batch):
    batch.run("jobs/sft.yaml", "/shared/runs")
    batch.run("jobs/quickstart.yaml", "/shared/runs", "--set", "sft.sources=[{source: seeds}]", "--set=run.seed=1")
    assert [line.split()[1:3] for line in batch.calls("flame-ray")] == [["sft", "jobs/sft.yaml"], ["sft", JOB]]


def test_a_job_of_another_command_is_refused_before_ray_starts(batch):
    code, printed = batch.run("jobs/paper/evaluate.yaml", "/shared/runs")
    assert code == 2 and "use `flame-ray evaluate MODEL" in printed
    assert not batch.calls("ray") and not batch.calls("flame-ray")


def test_the_other_nodes_join_the_head_and_all_are_waited_for(batch):
    assert batch.run(JOB, "/shared/runs", NODES="n1 n2 n3")[0] == 0
    join = "ray start --address=10.0.0.1:6379 --block"
    assert batch.calls("srun") == [f"srun --nodes=2 --ntasks-per-node=1 --exclude=n1 --cpus-per-task=8 {join}"]
    assert batch.calls("python -") == [f"python -m flame_ray.commands.job_command {JOB}", "python - 3"]


def test_ray_ends_on_all_nodes_with_the_run(batch):
    assert batch.run(JOB, "/shared/runs", NODES="n1 n2")[0] == 0
    assert batch.calls("ray")[-1] == "ray stop"
    worker = int(Path(f"{batch.log}.worker").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_the_token_is_made_and_not_printed(batch):
    _, printed = batch.run(JOB, "/shared/runs")
    assert batch.calls("ray")[0] == "ray get-auth-token --generate"
    assert "a-secret" not in printed


def test_the_token_is_readable_by_its_owner_alone_from_the_start(batch):
    before = os.umask(0o022)
    try:
        batch.run(JOB, "/shared/runs")
    finally:
        os.umask(before)
    assert batch.calls("made with mode") == ["made with mode 600"]
    assert stat.S_IMODE((batch.folder / ".ray").stat().st_mode) == 0o700


def test_a_token_that_others_could_read_is_narrowed(batch):
    token = batch.folder / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("mine")
    token.chmod(0o644)
    batch.run(JOB, "/shared/runs")
    assert (token.read_text(), stat.S_IMODE(token.stat().st_mode)) == ("mine", 0o600)


@pytest.mark.parametrize("addresses", ["127.0.1.1 10.0.0.7", "10.0.0.7 127.0.1.1", "127.0.0.1 10.0.0.7 192.168.0.7"])
def test_the_head_listens_where_the_other_nodes_find_it_and_not_on_its_loopback(batch, addresses):
    assert batch.run(JOB, "/shared/runs", ADDRESSES=addresses)[0] == 0
    assert batch.calls("mode=") == ["mode=token address=10.0.0.7:6379"]
    assert batch.calls("getent") == ["getent ahostsv4 n1"]


@pytest.mark.parametrize("addresses", ["", "127.0.1.1"], ids=["no address", "only its loopback"])
def test_a_node_without_an_address_for_others_is_refused_before_ray_starts(batch, addresses):
    code, printed = batch.run(JOB, "/shared/runs", ADDRESSES=addresses, NODES="n1 n2")
    assert code == 5 and "IPv4 address of n1" in printed and "/etc/hosts" in printed
    assert not batch.calls("ray start") and not batch.calls("flame-ray")


def test_a_node_alone_needs_no_address_for_others(batch):
    assert batch.run(JOB, "/shared/runs", ADDRESSES="127.0.1.1")[0] == 0
    assert batch.calls("mode=") == ["mode=token address=127.0.0.1:6379"]


def test_a_run_that_is_told_to_stop_ends_by_itself_and_is_queued_again(batch):
    assert batch.stopped() == 75
    assert batch.calls("scontrol")[-1] == "scontrol requeue 42"
    assert batch.log.read_text().splitlines().index("ray stop") < batch.log.read_text().splitlines().index(
        "scontrol requeue 42"
    )


def test_a_job_that_slurm_is_ending_is_not_queued_again(batch):
    assert batch.stopped(STATE="COMPLETING") == 75
    assert not batch.calls("scontrol requeue")


@pytest.mark.parametrize("code", ["0", "5", "75", "137"])
def test_a_run_that_ends_without_being_told_to_gives_its_exit_code_and_is_not_queued_again(batch, code):
    assert batch.run(JOB, "/shared/runs", CODE=code)[0] == int(code)
    assert not batch.calls("scontrol requeue")


@pytest.mark.parametrize(("variables", "run"), [({}, "slurm-42"), ({"FLAME_RAY_RUN": "slurm-7"}, "slurm-7")])
def test_a_job_that_finds_its_run_resumes_it(batch, variables, run):
    (batch.folder / run).mkdir()
    batch.run(JOB, str(batch.folder), "--set", "learner.lr=1e-4", **variables)
    resume = f"flame-ray run {JOB} --set run.root={batch.folder} --set learner.lr=1e-4 --resume {run}"
    assert batch.calls("flame-ray") == [resume]


@pytest.mark.parametrize(("recorded", "words"), [(True, "--resume slurm-42"), (False, "--set run.id=slurm-42")])
def test_a_job_asks_for_its_run_in_a_bucket_which_no_shell_sees(batch, recorded, words):
    root = "s3://bucket/runs"
    batch.run(JOB, root, RECORDED=f"{root}/slurm-42" if recorded else "")
    asked, started = batch.calls("flame-ray")
    assert asked == f"flame-ray status {root}/slurm-42"
    assert started == f"flame-ray run {JOB} --set run.root={root} {words}"


@pytest.mark.parametrize("words", [(), (JOB,)], ids=len)
def test_too_few_words_are_refused_with_those_that_are_needed(batch, words: Sequence[str]):
    code, printed = batch.run(*words)
    assert code == 2 and f"found {len(words)} words" in printed and "JOB_FILE FOLDER_OF_RUNS" in printed
    assert not batch.log.exists()


@pytest.mark.parametrize(("count", "gpus"), [(1, 8), (2, 4)], ids=["one node", "two nodes"])
@pytest.mark.parametrize("job", ["quickstart.yaml", "paper/dpo-flame.yaml"])
def test_a_job_fits_the_nodes_that_the_comments_ask_for(job, count, gpus):
    """Nodes of Slurm have no labels, so `node_labels` keep no role away from one."""
    nodes = hosts("node", {"node": {"resources": {"CPU": 64, "GPU": gpus}}})
    found = plan(load_config(REPOSITORY / "jobs" / job), nodes, ("node",) * (count - 1))
    assert not found.starts and not found.unplaceable
    assert {"rollout", "factuality", "judge", "learner"} == set(found.homes)
    comments = SCRIPT.read_text()
    assert "--gpus-per-node=8" in comments and "--nodes=2 --gpus-per-node=4" in comments
