#!/bin/bash
# A run as a batch job of Slurm. From a login node, in the folder of flame-ray, which every node must see, with its .venv
# (python3.11 -m venv .venv, then the first lines of clusters/gpu.lock say what to install; for nodes without a GPU, those of
# clusters/cpu.lock, whose vLLM is another build):
#   sbatch clusters/slurm.sh jobs/paper/dpo-flame.yaml /shared/runs                       # one node with eight GPUs
#   sbatch --nodes=2 --gpus-per-node=4 clusters/slurm.sh jobs/paper/dpo-flame.yaml /shared/runs
#   sbatch --gpus-per-node=0 clusters/slurm.sh jobs/quickstart.yaml /shared/runs --set run.rounds=1      # by cpu.lock
#   tail -f flame-ray-JOBID.log
#   scancel --batch --signal=TERM JOBID          # stop it cleanly, to be started again; plain `scancel JOBID` ends it
# The words after the job file and the folder of runs go to `flame-ray run`, or to `flame-ray sft` if the job names answers to learn
# from. The run's id is slurm-JOBID.
# Ten minutes before the time limit the run is told to stop. It keeps its finished work, and Slurm starts the job again, which then
# resumes the run. After scancel, resume it with another job: FLAME_RAY_RUN=slurm-JOBID sbatch clusters/slurm.sh ... as before.
# All nodes of a Slurm job are alike, so they have no labels, and each takes every role.
# Ray's token is in ~/.ray/auth_token, so home must be the same on all nodes. A token does not encrypt: keep the nodes' network
# closed. Ray takes the ports 6379 and above, so no other Ray may run on the nodes: --exclusive sees to that. It does not give
# the job their memory, of which Slurm may have a small default for each job: --mem=0 asks for all of it.
# Tested with stand-ins of Slurm and Ray. It has not been started on a real Slurm yet.
#SBATCH --job-name=flame-ray
#SBATCH --nodes=1
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --gpus-per-node=8
#SBATCH --time=1-00:00:00
#SBATCH --signal=B:TERM@600
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=flame-ray-%j.log
set -euo pipefail

if (($# < 2)); then
  echo "expected: sbatch clusters/slurm.sh JOB_FILE FOLDER_OF_RUNS [OPTIONS OF flame-ray run]; found $# words" >&2
  exit 2
fi
job=$1 runs=$2
shift 2
run=${FLAME_RAY_RUN:-slurm-$SLURM_JOB_ID}

export PATH="$PWD/.venv/bin:$PATH" RAY_AUTH_MODE=token
command=$(python -m flame_ray.commands.job_command "$job" "$@")
# Whether the run is there: as a folder, or, as no shell sees a bucket, by its record, for which no cluster is asked.
recorded() { RAY_ADDRESS='' RAY_API_SERVER_ADDRESS='' flame-ray status "$runs/$run" >/dev/null 2>&1; }
resume=''
if [[ -e $runs/$run ]] || { [[ $runs == *://* ]] && recorded; }; then resume=yes; fi
(umask 077 && ray get-auth-token --generate >/dev/null) # makes one if there is none
token=${RAY_AUTH_TOKEN_PATH:-$HOME/.ray/auth_token}
if [[ -e $token ]]; then chmod 600 "$token" || echo "others may be able to read $token: make it yours alone" >&2; fi

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
# A node's own name may lead to its loopback, as in Debian's /etc/hosts, where no other node finds it.
address=$(getent ahostsv4 "${nodes[0]}" | awk '!found && $1 !~ /^127\./ {print $1; found = 1}') || true
if [[ ! $address ]] && ((${#nodes[@]} == 1)); then address=127.0.0.1; fi
if [[ ! $address ]]; then
  echo "expected: an IPv4 address of ${nodes[0]} that the other nodes reach; found none, or only its loopback; give it one" \
    "in the DNS, or in its /etc/hosts (getent ahostsv4 ${nodes[0]} shows what there is)" >&2
  exit 5
fi
export RAY_ADDRESS="$address:6379"

workers='' driver='' stopping='' signalled=''
# shellcheck disable=SC2329 # the traps below call both
finish() {
  local code=$?
  if [[ $workers ]]; then kill "$workers" 2>/dev/null && wait "$workers" || true; fi # Ray on the other nodes ends with its srun
  ray stop || true
  # Not where Slurm is ending the job: it is then no longer RUNNING.
  if [[ $stopping && $code == 75 && $(squeue --noheader --format=%T --jobs="$SLURM_JOB_ID") == RUNNING ]]; then
    scontrol requeue "$SLURM_JOB_ID"
  fi
}
# shellcheck disable=SC2329
stop() {
  stopping=yes signalled=yes
  if [[ $driver ]]; then kill -TERM "$driver" 2>/dev/null || true; else exit 75; fi
}
trap finish EXIT
trap stop TERM

ray start --head --node-ip-address="$address" --port=6379 --dashboard-host=127.0.0.1
if ((${#nodes[@]} > 1)); then
  srun --nodes=$((${#nodes[@]} - 1)) --ntasks-per-node=1 --exclude="${nodes[0]}" --cpus-per-task="$SLURM_CPUS_ON_NODE" \
    ray start --address="$RAY_ADDRESS" --block &
  workers=$!
fi
timeout 600 python - "${#nodes[@]}" <<'PYTHON'
import sys, time, ray
ray.init(log_to_driver=False)
while sum(node["Alive"] for node in ray.nodes()) < int(sys.argv[1]):
    time.sleep(1)
PYTHON

if [[ $resume ]]; then
  flame-ray "$command" "$job" --set run.root="$runs" "$@" --resume "$run" &
else
  flame-ray "$command" "$job" --set run.root="$runs" --set run.id="$run" "$@" &
fi
driver=$!
code=0 signalled=yes
while [[ $signalled ]]; do # a signal ends the wait, not the run, which needs a while to stop
  signalled='' code=0
  wait "$driver" || code=$?
done
exit "$code"
