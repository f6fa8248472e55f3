#!/usr/bin/env bash
# Evaluate on SLURM; the tasks are one a GPU:
#
#   sbatch --nodes=1 --ntasks-per-node=8 --gpus-per-node=8 --cpus-per-task=8 --time=02:00:00 \
#     tools/slurm_test.sh RECIPE CHECKPOINT [ARGUMENTS OF tools/test.py]
#SBATCH --job-name=ponderv2-test
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
#SBATCH --requeue
set -euo pipefail
source "${SLURM_SUBMIT_DIR:-$(dirname "${BASH_SOURCE[0]}")/..}/tools/_slurm_job.sh"
prepare_job

if (($# < 2)); then
  echo "usage: sbatch [OPTIONS] tools/slurm_test.sh RECIPE CHECKPOINT [ARGUMENTS OF tools/test.py]" >&2
  exit 2
fi
run_step "$PYTHON" -u tools/test.py "$@" --launcher slurm
