#!/usr/bin/env bash
# Evaluate on several GPUs: tools/dist_test.sh RECIPE CHECKPOINT GPUS [ARGUMENTS OF tools/test.py]
# GPUS is the number on this node. Several nodes: docs/cluster.md.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/_torchrun.sh"

if (($# < 3)); then
  echo "usage: tools/dist_test.sh RECIPE CHECKPOINT GPUS [ARGUMENTS OF tools/test.py]" >&2
  exit 2
fi
torchrun_tool "$3" test "$1" "$2" "${@:4}"
