#!/usr/bin/env bash
# Train on several GPUs: tools/dist_train.sh RECIPE GPUS [ARGUMENTS OF tools/train.py]
# GPUS is the number on this node. Several nodes: docs/cluster.md.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_torchrun.sh"

if (($# < 2)); then
  echo "usage: tools/dist_train.sh RECIPE GPUS [ARGUMENTS OF tools/train.py]" >&2
  exit 2
fi
torchrun_tool "$2" train "$1" "${@:3}"
