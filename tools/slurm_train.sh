#!/usr/bin/env bash
# Train on SLURM, over as many limits of time as it takes; the tasks are one a GPU:
#
#   sbatch --nodes=1 --ntasks-per-node=8 --gpus-per-node=8 --cpus-per-task=8 --time=24:00:00 \
#     tools/slurm_train.sh RECIPE [ARGUMENTS OF tools/train.py]
#
# Before the limit of time the training leaves a checkpoint, the job is requeued and goes on from it. docs/cluster.md.
#SBATCH --job-name=ponderv2
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
set -euo pipefail
source "${SLURM_SUBMIT_DIR:-$(dirname "${BASH_SOURCE[0]}")/..}/tools/_slurm_job.sh"
prepare_job

if (($# == 0)) || [[ $1 == -* ]]; then
  echo "usage: sbatch [OPTIONS] tools/slurm_train.sh RECIPE [ARGUMENTS OF tools/train.py]" >&2
  exit 2
fi
name=$(basename "$1" .py) work_dir='' resumes=no
for ((k = 2; k <= $#; k++)); do
  case ${!k} in
    --work-dir=*) work_dir=${!k#*=} ;;
    --work-dir) next=$((k + 1)) && work_dir=${!next:-} ;;
    --scratch) name+=_scratch ;;
    --resume | --resume=*) resumes=yes ;;
  esac
done
options=()
if [[ -z $work_dir ]]; then
  work_dir=work_dirs/$name
  options+=(--work-dir "$work_dir")
fi
if [[ -e $work_dir/last_checkpoint ]]; then
  if ((${SLURM_RESTART_COUNT:-0} > 0)); then
    # Of two, the last one counts.
    options+=(--resume)
  elif [[ $resumes == no ]]; then
    echo "slurm_train.sh: $work_dir has a run already; --resume goes on with it, another --work-dir keeps it" >&2
    exit 2
  fi
fi
# With set -u, bash before 4.4 takes an empty array for an unset one.
run_step "$PYTHON" -u tools/train.py "$@" --launcher slurm ${options[@]+"${options[@]}"}
