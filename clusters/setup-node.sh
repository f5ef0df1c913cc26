#!/usr/bin/env bash
# Sets a node up: Python 3.11, the locked packages, a folder for the decoded cache. Run again, it
# does only what has changed.
#
#   setup-node.sh cpu    TensorFlow without CUDA
#   setup-node.sh gpu    with CUDA; fails where the NVIDIA driver sees no GPU
#   setup-node.sh auto   gpu where the driver sees one, else cpu
set -euo pipefail
code=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=clusters/node-env.sh
. "$code/clusters/node-env.sh"

main() {
  local kind=$1
  close_token
  enter_shells
  make_cache_folder
  case $kind in
    auto) if nvidia-smi -L >/dev/null 2>&1; then kind=gpu; else kind=cpu; fi ;;
    gpu) nvidia-smi -L || { echo "setup-node.sh: the NVIDIA driver sees no GPU here" >&2; exit 1; } ;;
    cpu) ;;
    *) echo "usage: setup-node.sh cpu|gpu|auto" >&2; exit 2 ;;
  esac
  install_packages "$kind"
}

# `ray get-auth-token` writes the token for all to read, and rsync keeps the mode that it finds.
close_token() {
  if [ -e ~/.ray/auth_token ]; then
    chmod 700 ~/.ray
    chmod 600 ~/.ray/auth_token
  fi
}

# For `ray exec`, `ray attach` and SSH.
enter_shells() {
  local line=". '$code/clusters/node-env.sh'"
  grep -qsxF "$line" ~/.bashrc || echo "$line" >>~/.bashrc
}

# ~/fer-orch-cache: on the machine's own NVMe disk where the AWS image has mounted one.
make_cache_folder() {
  local cache=~/fer-orch-cache nvme=/opt/dlami/nvme
  if [ ! -e "$cache" ] && mountpoint -q "$nvme"; then
    sudo install -d -m 700 -o "$USER" "$nvme/fer-orch-cache"
    ln -s "$nvme/fer-orch-cache" "$cache"
  fi
  mkdir -p "$cache"
}

install_packages() {
  local kind=$1 ready="$FER_ORCH_VENV/.ready" wanted
  wanted="$kind $code $(cat "$code"/requirements*.lock "$code/pyproject.toml" | sha256sum)"
  if [ "$(cat "$ready" 2>/dev/null)" = "$wanted" ]; then
    return
  fi
  ensure_python
  python3.11 -m venv "$FER_ORCH_VENV"
  local pip=("$FER_ORCH_VENV/bin/pip" install --quiet --disable-pip-version-check)
  "${pip[@]}" -r "$code/requirements.lock"
  if [ "$kind" = gpu ]; then
    "${pip[@]}" -r "$code/requirements-gpu.lock"
  fi
  "${pip[@]}" --no-deps --no-build-isolation -e "$code"
  echo "$wanted" >"$ready"
}

ensure_python() {
  if python3.11 -c 'import ensurepip, venv' 2>/dev/null; then
    return
  fi
  # A machine that has just started may still be installing updates of its own.
  local apt=(sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600)
  "${apt[@]}" update
  if grep -q '^ID=ubuntu' /etc/os-release; then
    # Ubuntu 22.04 has a release candidate of 3.11, later ones have none.
    "${apt[@]}" install -y software-properties-common
    sudo add-apt-repository -y ppa:deadsnakes/ppa
  fi
  "${apt[@]}" install -y python3.11 python3.11-venv
}

main "${1:-}"
