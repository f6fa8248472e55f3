# Sourced by dist_train.sh and dist_test.sh: a tool in a process for each GPU of a node, by torchrun.
# One node needs nothing more. On several, the same command on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT.
# PYTHON names another interpreter than that of .venv.

# torchrun_tool GPUS TOOL [ARGUMENTS OF THE TOOL]
torchrun_tool() {
  local gpus=$1 tool=$2 root
  shift 2
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
  if ! [[ $gpus =~ ^[1-9][0-9]*$ ]]; then
    echo "${0##*/}: GPUS: expected a number of processes for this node, got '$gpus'" >&2
    exit 2
  fi
  local python=${PYTHON:-$root/.venv/bin/python}
  [[ -n ${PYTHON:-} || -x $python ]] || python=python3
  # Of one node, torchrun finds a free port by itself: two trainings do not meet.
  local meeting=(--standalone)
  if [[ ${NNODES:-1} != 1 ]]; then
    local name
    for name in NODE_RANK MASTER_ADDR; do
      if [[ -z ${!name:-} ]]; then
        echo "${0##*/}: NNODES=$NNODES: expected $name as well, the same command on each node" >&2
        exit 2
      fi
    done
    meeting=(--nnodes="$NNODES" --node-rank="$NODE_RANK" --master-addr="$MASTER_ADDR" --master-port="${PORT:-29500}")
  fi
  exec "$python" -m torch.distributed.run "${meeting[@]}" --nproc-per-node="$gpus" \
    "$root/tools/$tool.py" "$@" --launcher pytorch
}
