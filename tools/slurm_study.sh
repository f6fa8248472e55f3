#!/usr/bin/env bash
# A study on SLURM, a seed a job of an array:
#
#   sbatch --array=0-2 --gpus=1 --cpus-per-task=8 --time=24:00:00 \
#     tools/slurm_study.sh segmentation_study --data-root DIR --out OUT [ARGUMENTS OF tools/segmentation_study.py]
#
# Seed N works in OUT/seed_N. The table of all is made by a study of all seeds in OUT: docs/cluster.md.
#SBATCH --job-name=ponderv2-study
#SBATCH --output=%x-%A-%a.log
#SBATCH --open-mode=append
#SBATCH --ntasks=1
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
set -euo pipefail
source "${SLURM_SUBMIT_DIR:-$(dirname "${BASH_SOURCE[0]}")/..}/tools/_slurm_job.sh"
prepare_job

if (($# == 0)) || [[ ! -f tools/$1.py ]]; then
  echo "usage: sbatch --array=SEEDS [OPTIONS] tools/slurm_study.sh {transfer_study|segmentation_study} --out OUT ..." >&2
  exit 2
fi
seed=${SLURM_ARRAY_TASK_ID:-}
if [[ -z $seed ]]; then
  echo "slurm_study.sh: not one of an array; submit with --array=0-2 for seeds 0 to 2" >&2
  exit 2
fi
out=''
for ((k = 2; k <= $#; k++)); do
  case ${!k} in
    --out=*) out=${!k#*=} ;;
    --out) next=$((k + 1)) && out=${!next:-} ;;
  esac
done
if [[ -z $out ]]; then
  echo "slurm_study.sh: --out: expected the folder of the study" >&2
  exit 2
fi
# A study that is asked to stop waits for its trainings, and ends as one that a signal has ended.
STOPPED=$((128 + 10))
# Of two, the last one counts.
run_step "$PYTHON" -u "tools/$1.py" "${@:2}" --seeds "$seed" --out "$out/seed_$seed"
