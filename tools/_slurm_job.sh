# Sourced by slurm_train.sh, slurm_test.sh and slurm_study.sh, inside a job of sbatch.
# PYTHON names another interpreter than that of .venv.

# What a training ends with that was asked to stop and has left a checkpoint to go on from
# (ponderv2.engine.stop_signals.REQUEUE).
STOPPED=75

prepare_job() {
  if [[ -z ${SLURM_JOB_ID:-} ]]; then
    echo "${0##*/}: not inside a SLURM job; start it with: sbatch [OPTIONS] tools/${0##*/} ..." >&2
    exit 2
  fi
  if [[ ! -f tools/train.py ]]; then
    echo "slurm job: $PWD has no tools/train.py; submit from the root of the repository" >&2
    exit 2
  fi
  if [[ -z ${PYTHON:-} ]]; then
    PYTHON=.venv/bin/python
    command -v "$PYTHON" >/dev/null || PYTHON=python3
  elif ! command -v "$PYTHON" >/dev/null; then
    echo "slurm job: PYTHON=$PYTHON: expected a python, found no such program" >&2
    exit 2
  fi
  # Two jobs on one node do not meet at one port. Rank 0's address is found by the tools.
  export MASTER_PORT=${MASTER_PORT:-$((20000 + SLURM_JOB_ID % 20000))}
  # Since 22.05 srun does not take over the cores of a task by itself.
  [[ -z ${SLURM_CPUS_PER_TASK:-} ]] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK
}

# run_step COMMAND...: run a command in all tasks and end with its exit code, or have the job requeued.
#
# `sbatch --signal=B:USR1@SECONDS` tells this shell that the limit of time comes. It asks the tasks to stop, by the same
# signal, and waits for their checkpoint. Only the limit has a job requeued from here: one that is cancelled stays so, and
# one that is pre-empted or loses a node is requeued by SLURM itself.
run_step() {
  local asked=no step code=0
  # One of an array has a number of its own, but that of the last one stands for them all.
  local job=$SLURM_JOB_ID
  [[ -z ${SLURM_ARRAY_JOB_ID:-} ]] || job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID
  # `kill` of srun would kill the tasks; scancel signals them, and all their processes with them.
  trap 'asked=yes; echo "slurm job: the limit of time comes, asks for a checkpoint"; scancel --signal=USR1 "$job"' USR1
  # The tasks get it as well, and are waited for.
  trap ':' TERM
  # Ranks that wait in a collective for one that is lost are ended 5 minutes later. Not at once: ranks that have stopped as
  # they were asked do not leave at the same moment, and none of their exit codes is 0.
  srun --kill-on-bad-exit=0 --wait=300 "$@" &
  step=$!
  # A signal ends `wait` before the step has ended.
  while kill -0 "$step" 2>/dev/null; do
    wait "$step" || true
  done
  wait "$step" || code=$?
  if [[ $asked == yes && $code == "$STOPPED" ]]; then
    echo "slurm job: goes on after ${SLURM_RESTART_COUNT:-0} restarts"
    scontrol requeue "$job"
    # SLURM ends this shell now.
    sleep 60
  fi
  exit "$code"
}
