#!/usr/bin/env bash
# One host of tests/hosts.py, run in namespaces of its own: what it must not share is covered by
# empty file systems, then its sshd takes over as the first process, which also reaps orphans.
# Usage: host.sh FILES ADDRESS GATEWAY HOME SSHD VISIBLE...
#   FILES     prepared for this host: sshd_config, hosts, resolv.conf, home/
#   VISIBLE   folders that stay visible even where they lie below a covered one
set -euo pipefail
files=$1 address=$2 gateway=$3 home=$4 sshd=$5
shift 5
hostname "$(basename "$files")"
mount -n --bind "$files/hosts" /etc/hosts
mount -n --bind "$files/resolv.conf" /etc/resolv.conf

# Each cover is built aside and moved into place, since a covered folder can't be reached any more.
cover() {
  local place=$1 mode=$2 aside="$files/covers$1" folder
  shift 2
  mkdir -p "$aside"
  mount -n -t tmpfs -o "mode=$mode" tmpfs "$aside"
  for folder in "$@"; do
    case $folder in
      "$place"/*)
        mkdir -p "$aside${folder#"$place"}"
        mount -n --rbind "$folder" "$aside${folder#"$place"}"
        ;;
    esac
  done
  mount -n --move "$aside" "$place"
}
# (-n: mount keeps books in /run.)
cover /dev/shm 1777 "$@"
cover /run 755 "$@"
cover /tmp 1777 "$@"
cover "$home" 700 "$@"
cp -r "$files/home/." "$home"
mkdir -p /run/sshd

# The test moves our end of the cable in once we are in a network of our own.
echo ready
exec >/dev/null
until ip link show eth0 >/dev/null 2>&1; do sleep 0.02; done
ip link set lo up
ip address add "$address/24" dev eth0
ip link set eth0 up
# Leads nowhere, but Ray asks the routing table for its own address.
ip route add default via "$gateway"
cd "$home"
exec "$sshd" -D -e -f "$files/sshd_config"
