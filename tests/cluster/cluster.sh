#!/usr/bin/env bash
# A real single-node Kubernetes on one Linux machine, as root, without Docker, systemd or anything from outside but packages.
#   cluster.sh up        start it, with its registry on 127.0.0.1:5000; quick when it runs already
#   cluster.sh registry  only the registry
#   cluster.sh down      end every process it started, unmount what pods left, remove its bridges and iptables chains
# Each `up` after a `down` is a new, empty cluster; images stay. All it keeps is in the user's cache folder, under tuneloop/.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/cluster/machine.sh
. "$here/machine.sh"
# shellcheck source=tests/cluster/node.sh
. "$here/node.sh"
# shellcheck source=tests/cluster/volumes.sh
. "$here/volumes.sh"
node=node1 node_ip=10.200.0.1 pod_net=10.244.0.0/16 service_net=10.96.0.0/16 api_ip=10.96.0.1 dns_ip=10.96.0.10 # the last is in system.yaml too
programs="kube-proxy kubelet coredns kube-scheduler kube-controller-manager kube-apiserver etcd"

up() {
  packages
  use_binaries
  mkdir -p "$state/log"
  if healthy; then volumes "$state/volumes"; say "the cluster runs already"; return; fi
  [ -f "$state/stopped" ] || [ ! -d "$state/pki" ] || { say "cleaning up after an earlier run"; down; }
  resources
  ports 2379 2380 6443 10248 10249 10250 10256 10257 10259
  rm -f "$state/stopped"
  kernel
  network_up
  certificates
  for user in admin kubelet controllers scheduler proxy coredns; do kubeconfig $user; done
  registry
  start_containerd
  control_plane
  workers
  volumes "$state/volumes"
  wait_for "the node to be Ready" 60 node_ready
  say "the cluster is ready: KUBECONFIG=$KUBECONFIG"
}

use_binaries() { bin=$("$here/build.sh"); export KUBECONFIG=$state/admin.kubeconfig PATH=$bin:$PATH; }
healthy() { local one; for one in $programs containerd registry; do alive "$one" || return 1; done; node_ready; }
node_ready() { kubectl get node $node -o jsonpath='{.status.conditions[?(@.type=="Ready")].status}' --request-timeout=5s 2>/dev/null | grep -q True; }

registry() {
  alive registry && return 0
  ports 5000
  mkdir -p "$state/log"
  registry_files
  start registry docker-registry serve "$state/registry.yaml"
  wait_for "the registry" 20 curl -fsS http://127.0.0.1:5000/v2/
  say "the registry answers on 127.0.0.1:5000"
}

start_containerd() {
  mkdir -p "$state/containerd"
  containerd_files
  start containerd containerd -c "$state/containerd/config.toml"
  wait_for containerd 30 ctr -a "$state/containerd/containerd.sock" version
}

control_plane() {
  local pki=$state/pki
  start etcd "$bin/etcd" --data-dir "$state/etcd" --unsafe-no-fsync --log-level=warn --listen-client-urls http://127.0.0.1:2379 \
    --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
  start kube-apiserver "$bin/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 --secure-port=6443 --advertise-address=$node_ip \
    --tls-cert-file="$pki/apiserver.crt" --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
    --service-account-key-file="$pki/sa.pub" --service-account-signing-key-file="$pki/sa.key" \
    --service-account-issuer=https://kubernetes.default.svc --service-cluster-ip-range=$service_net --allow-privileged=true \
    --authorization-mode=Node,RBAC --enable-admission-plugins=NodeRestriction --kubelet-client-certificate="$pki/admin.crt" \
    --kubelet-client-key="$pki/admin.key" --kubelet-preferred-address-types=InternalIP,Hostname
  wait_for "the API server" 60 kubectl get --raw /readyz
  say "the API server answers"
  start kube-controller-manager "$bin/kube-controller-manager" --kubeconfig="$state/controllers.kubeconfig" \
    --authentication-kubeconfig="$state/controllers.kubeconfig" --authorization-kubeconfig="$state/controllers.kubeconfig" \
    --service-account-private-key-file="$pki/sa.key" --root-ca-file="$pki/ca.crt" --use-service-account-credentials \
    --allocate-node-cidrs --cluster-cidr=$pod_net --leader-elect=false
  start kube-scheduler "$bin/kube-scheduler" --kubeconfig="$state/scheduler.kubeconfig" --leader-elect=false \
    --authentication-kubeconfig="$state/scheduler.kubeconfig" --authorization-kubeconfig="$state/scheduler.kubeconfig"
  kubectl apply -f "$here/system.yaml" -f "$here/storageclass.yaml" >/dev/null
}

workers() {
  kubelet_files
  coredns_files
  pause_image | ctr -a "$state/containerd/containerd.sock" -n k8s.io images import - >/dev/null
  start kubelet "$bin/kubelet" --config="$state/kubelet.yaml" --kubeconfig="$state/kubelet.kubeconfig" --hostname-override=$node \
    --node-ip=$node_ip --root-dir="$state/kubelet" --cert-dir="$state/pki/kubelet"
  # conntrack limits are the host's and may not be raised here: 0 leaves them alone
  start kube-proxy "$bin/kube-proxy" --kubeconfig="$state/proxy.kubeconfig" --proxy-mode=iptables --cluster-cidr=$pod_net \
    --hostname-override=$node --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0 --conntrack-tcp-timeout-close-wait=0
  start coredns "$bin/coredns" -conf "$state/Corefile"
}

down() {
  if [ ! -d "$state/log" ] || [ -f "$state/stopped" ]; then stop registry; say "the cluster is down already"; return; fi
  local one ctr=(ctr -a "$state/containerd/containerd.sock" -n k8s.io)
  for one in $programs; do stop "$one"; done
  kill_pods
  if ! alive containerd; then unmount_pods; rm -rf "$state/containerd/state"; start_containerd; fi
  "${ctr[@]}" containers ls -q | xargs -r "${ctr[@]}" containers rm >/dev/null 2>&1 || true
  stop containerd
  stop registry
  unmount_pods
  "$bin/kube-proxy" --cleanup >/dev/null 2>&1 || true
  network_down
  remove_cgroups
  rm -rf --one-file-system "${state:?}/etcd" "$state/kubelet" "$state/addresses" "$state/containerd/state" "$state/volumes"
  touch "$state/stopped"
  say "the cluster is down; images stay in $cache"
}

case ${1:-} in
  up) only_one cluster; up ;;
  registry) only_one cluster; packages; registry ;;
  down) only_one cluster; use_binaries; down ;;
  *) sed -n '2,6s/^# //p' "$0"; exit 2 ;;
esac
