# shellcheck shell=bash
# What every shell on a node has: sourced by the start commands and by ~/.bashrc.

# Every process of a cluster must prove that it knows ~/.ray/auth_token. Ray takes the file alone
# for a yes only where it finds the cluster by itself, not with an address, so it is said here.
export RAY_AUTH_MODE=token
export RAY_USAGE_STATS_ENABLED=0

# Ray makes its folder of sockets and logs one that all users of a machine can enter, and its logs
# can hold what a request held, the token too: it lies in one of this user. The same path on all
# nodes, since Ray takes the head's on each, and on the machine's own disk, which sockets need; a
# short one, since a socket's path may have 107 characters and Ray adds 75.
RAY_TMPDIR="/tmp/fer-orch-$(id -un | cksum | cut -d' ' -f1)"
(umask 077; mkdir -p "$RAY_TMPDIR")
if [ ! -O "$RAY_TMPDIR" ] || ! chmod 700 "$RAY_TMPDIR"; then
  echo "node-env.sh: $RAY_TMPDIR is another user's, and Ray will not start: let its owner or root remove it" >&2
  RAY_TMPDIR=/dev/null
fi
export RAY_TMPDIR

# `ray job stop` kills a job three seconds after it has asked; trials need longer for a checkpoint.
export RAY_JOB_STOP_WAIT_TIME_S=900

# The first autoscaler: it knows machines of your own, and it can fall back to another type of node
# (orchestrator/node_order.py). `ray up` sets 1 just before it calls the start commands.
export RAY_enable_autoscaler_v2=0
export RAY_AUTOSCALER_UTILIZATION_SCORER=orchestrator.node_order.score

# `ray up` runs commands with one OpenMP thread, which all workers would inherit: Ray gives each its own.
unset OMP_NUM_THREADS PYTHONWARNINGS

# Outside the synced code: `ray up` syncs that to the workers, and hashes it.
export FER_ORCH_VENV="${FER_ORCH_VENV:-$HOME/fer-orch-venv}"
case ":$PATH:" in
  *":$FER_ORCH_VENV/bin:"*) ;;
  *) export PATH="$FER_ORCH_VENV/bin:$PATH" ;;
esac
