#!/usr/bin/env bash
# guard.sh OWNER ROOT: waits until the process OWNER is gone, by whatever signal, and then ends what it left:
# the process groups in ROOT/groups, the servers in ROOT, ROOT. Started by make_test_root in common.sh.
set -euo pipefail
support=$(cd "$(dirname "$0")" && pwd)
owner=$1 root=$2

cd /
tail --pid="$owner" -s 0.5 -f /dev/null || true
[[ -d $root ]] || exit 0
for group in "$root"/groups/*; do
  kill -KILL -- "-$(basename "$group")" 2>/dev/null || true
done
for facts in "$root"/*/env.sh; do
  case $facts in
    */pushgateway*/env.sh) "$support/pushgateway.sh" stop "$(dirname "$facts")" || true ;;
    */env.sh) [[ ! -e $facts ]] || "$support/cluster.sh" stop "$(dirname "$facts")" immediate || true ;;
  esac
done
rm -rf "$root"
