#!/usr/bin/env bash
# A SLURM of one node with two tasks, on the loopback of this machine, for tests: one_node_slurm.sh {start|stop} FOLDER
#
# It needs Debian's packages, once, and root: apt-get install --no-install-recommends slurm-wlm munge
# Everything it writes is in FOLDER. Commands of SLURM find it by SLURM_CONF=FOLDER/slurm.conf.
set -euo pipefail

action=${1:?expected start or stop}
folder=$(realpath -m "${2:?expected a folder}")

stop() {
  local daemon
  for daemon in slurmctld slurmd munged; do
    if [[ -s $folder/$daemon.pid ]]; then
      kill "$(<"$folder/$daemon.pid")" 2>/dev/null || true
      rm -f "$folder/$daemon.pid"
    fi
  done
}

start() {
  mkdir -p "$folder"/{state,spool,munge}
  chmod 755 "$folder"
  # munged refuses a key or a socket that others could replace.
  chmod 700 "$folder/munge"
  dd if=/dev/urandom of="$folder/munge/key" bs=1024 count=1 status=none
  chmod 400 "$folder/munge/key"
  cat >"$folder/slurm.conf" <<CONF
ClusterName=loopback
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=${SLURMCTLD_PORT:-16817}
SlurmdPort=${SLURMD_PORT:-16818}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ReturnToService=2
KillWait=10
MinJobAge=3600
NodeName=localhost NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=test Nodes=localhost Default=YES MaxTime=INFINITE State=UP
CONF
  export SLURM_CONF=$folder/slurm.conf
  munged --force --key-file="$folder/munge/key" --socket="$folder/munge/socket" --pid-file="$folder/munged.pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
  slurmctld -f "$SLURM_CONF"
  # A node of this name whatever the machine is called.
  slurmd -f "$SLURM_CONF" -N localhost
  local _
  for _ in {1..60}; do
    if [[ $(sinfo --noheader --format=%t 2>/dev/null) == idle ]]; then
      return
    fi
    sleep 0.5
  done
  echo "one_node_slurm.sh: the node is not idle after 30 s" >&2
  tail -n 20 "$folder"/slurm*.log >&2
  stop
  exit 1
}

case $action in
  start) start ;;
  stop) stop ;;
  *)
    echo "one_node_slurm.sh: expected start or stop, got $action" >&2
    exit 2
    ;;
esac
