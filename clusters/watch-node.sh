#!/usr/bin/env bash
# Keeps `fer-orch watch-preemption` running beside Ray on this node, and starts it again if it dies.
# A watch that runs already is ended first, so that the newest code watches.
#
#   watch-node.sh aws|gcp|azure
#
# Its log is ~/fer-orch-watch.log.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=clusters/node-env.sh
. "$here/node-env.sh"
log=~/fer-orch-watch.log
pid_file=~/fer-orch-watch.pid

main() {
  if [ "${1:-}" = --keep ]; then
    keep_watching "$2"
  fi
  local cloud=${1:?usage: watch-node.sh aws|gcp|azure}
  end_old_watch
  # A session of its own: it outlives the SSH connection of `ray up`.
  setsid nohup "$here/watch-node.sh" --keep "$cloud" </dev/null >>"$log" 2>&1 &
  echo $! >"$pid_file"
}

keep_watching() {
  while true; do
    local code=0
    fer-orch watch-preemption --cloud "$1" || code=$?
    echo "$(date -Is) the watch ended with $code; starting it again" >&2
    sleep "${FER_ORCH_WATCH_PAUSE_S:-5}"
  done
}

end_old_watch() {
  local old
  old=$(cat "$pid_file" 2>/dev/null) || return 0
  # By now the number may be another process'.
  if tr '\0' ' ' 2>/dev/null <"/proc/$old/cmdline" | grep -q 'watch-node.sh --keep'; then
    kill -- "-$old" || true
  fi
}

main "$@"
