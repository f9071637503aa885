#!/usr/bin/env bash
# choose.sh up    makes a cluster ready, with the images where its pods find them, and prints what to export, fit for `eval`:
#                 CLUSTER, KUBECONFIG, TUNELOOP_REGISTRY, TUNELOOP_TAG, and PATH with the kubectl and helm of build.sh
# choose.sh down  ends the cluster that `up` chose; never one of yours
# Which cluster:
#   1. TUNELOOP_KUBECONFIG names yours. Its nodes pull TUNELOOP_REGISTRY/tuneloop-{operator,harvest,trainer,server,redis}:TUNELOOP_TAG,
#      which you have pushed, and its default StorageClass can share a volume between pods (ReadWriteMany);
#   2. kind, when it is installed and a Docker engine answers;
#   3. a node of our own on this machine: cluster.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); repo=$(cd "$here/../.." && pwd)
# shellcheck source=tests/cluster/machine.sh
. "$here/machine.sh"
# shellcheck source=tests/cluster/volumes.sh
. "$here/volumes.sh"
# shellcheck source=tests/cluster/kind.sh
. "$here/kind.sh"

choose() {
  if [ -n "${TUNELOOP_KUBECONFIG:-}" ]; then echo yours
  elif kind_there; then echo kind
  else echo own; fi
}

yours_up() {
  export KUBECONFIG=$TUNELOOP_KUBECONFIG
  [ -n "${TUNELOOP_REGISTRY:-}" ] || fail "with TUNELOOP_KUBECONFIG, set TUNELOOP_REGISTRY to the registry that has the images, e.g. registry.example.com/ml"
  TUNELOOP_TAG=${TUNELOOP_TAG:-$("$here/tag.sh")}
  kubectl get --raw /readyz >/dev/null || fail "the cluster of $KUBECONFIG does not answer"
  say "expecting $TUNELOOP_REGISTRY/tuneloop-{operator,harvest,trainer,server,redis}:$TUNELOOP_TAG"
}

up() {
  local cluster binaries images; cluster=$(choose)
  binaries=$("$here/build.sh")
  export PATH=$binaries:$PATH
  say "cluster: $cluster"
  case $cluster in
    yours) yours_up ;;
    kind) TUNELOOP_REGISTRY=$kind_registry TUNELOOP_TAG=$("$here/tag.sh"); kind_up "$TUNELOOP_TAG" ;;
    own)
      "$here/cluster.sh" up
      images=$("$here/images.sh"); eval "$images"
      KUBECONFIG=$state/admin.kubeconfig ;;
  esac
  printf 'export CLUSTER=%q KUBECONFIG=%q TUNELOOP_REGISTRY=%q TUNELOOP_TAG=%q PATH=%q\n' \
    "$cluster" "$KUBECONFIG" "$TUNELOOP_REGISTRY" "$TUNELOOP_TAG" "$PATH"
}

down() {
  case $(choose) in
    yours) say "the cluster is yours: left as it is" ;;
    kind) kind_down ;;
    own) "$here/cluster.sh" down ;;
  esac
}

case ${1:-} in
  up) up ;;
  down) down ;;
  *) sed -n '2,10s/^# //p' "$0"; exit 2 ;;
esac
