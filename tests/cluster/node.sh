# shellcheck shell=bash disable=SC2154,SC2174  # the addresses are cluster.sh's, the folders machine.sh's
# The files that the node's programs read: certificates, kubeconfigs, configuration. Sourced by cluster.sh.

certificates() {
  [ ! -f "$state/pki/done" ] || return 0
  local pki=$state/pki; rm -rf "$pki"; mkdir -p -m 700 "$pki"
  openssl req -x509 -newkey rsa:2048 -nodes -keyout "$pki/ca.key" -out "$pki/ca.crt" -days 3650 -subj /CN=tuneloop-ca 2>/dev/null
  openssl genrsa -out "$pki/sa.key" 2048 2>/dev/null
  openssl rsa -in "$pki/sa.key" -pubout -out "$pki/sa.pub" 2>/dev/null
  certificate apiserver /CN=kube-apiserver \
    "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:$api_ip,IP:$node_ip"
  certificate admin /O=system:masters/CN=admin DNS:admin
  certificate kubelet "/O=system:nodes/CN=system:node:$node" "DNS:$node,IP:$node_ip"
  certificate controllers /CN=system:kube-controller-manager DNS:controllers
  certificate scheduler /CN=system:kube-scheduler DNS:scheduler
  certificate proxy /CN=system:kube-proxy DNS:proxy
  certificate coredns /CN=system:coredns DNS:coredns
  touch "$pki/done"
}

certificate() { # certificate NAME SUBJECT ALTERNATIVE_NAMES
  local file=$state/pki/$1
  openssl req -newkey rsa:2048 -nodes -keyout "$file.key" -out "$file.csr" -subj "$2" 2>/dev/null
  openssl x509 -req -in "$file.csr" -CA "$state/pki/ca.crt" -CAkey "$state/pki/ca.key" -CAcreateserial -days 3650 -out "$file.crt" \
    -extfile <(echo "subjectAltName=$3") 2>/dev/null
}

kubeconfig() {
  cat >"$state/$1.kubeconfig" <<YAML
apiVersion: v1
kind: Config
clusters: [{name: tuneloop, cluster: {server: "https://127.0.0.1:6443", certificate-authority: $state/pki/ca.crt}}]
users: [{name: $1, user: {client-certificate: $state/pki/$1.crt, client-key: $state/pki/$1.key}}]
contexts: [{name: tuneloop, context: {cluster: tuneloop, user: $1}}]
current-context: tuneloop
YAML
}

containerd_files() {
  mkdir -p "$state/cni"
  cat >"$state/cni/10-tuneloop.conflist" <<JSON
{"cniVersion": "0.4.0", "name": "tuneloop", "plugins": [
  {"type": "bridge", "bridge": "tuneloop1", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$state/addresses", "ranges": [[{"subnet": "10.244.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
JSON
  # restrict_oom_score_adj: without CAP_SYS_RESOURCE runc cannot lower the score, and every pod dies with "final child's PID from pipe: EOF"
  # discard_unpacked_layers: the compressed copy of the torch layer is 3 GB that nobody reads again
  cat >"$state/containerd/config.toml" <<TOML
version = 2
root = "$state/containerd/root"
state = "$state/containerd/state"
[grpc]
  address = "$state/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  sandbox_image = "localhost/pause:1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    discard_unpacked_layers = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$state/cni"
TOML
}

kubelet_files() { # this kind of machine has cgroup v1, and its disk has no statistics that the eviction manager could read
  cat >"$state/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $state/pki/ca.crt}}
authorization: {mode: Webhook}
cgroupDriver: cgroupfs
failCgroupV1: false
failSwapOn: false
serializeImagePulls: false
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
imageGCHighThresholdPercent: 99
imageGCLowThresholdPercent: 98
makeIPTablesUtilChains: false
clusterDNS: [$dns_ip]
clusterDomain: cluster.local
containerRuntimeEndpoint: unix://$state/containerd/containerd.sock
resolvConf: $state/resolv.conf
tlsCertFile: $state/pki/kubelet.crt
tlsPrivateKeyFile: $state/pki/kubelet.key
YAML
  echo "nameserver $dns_ip" >"$state/resolv.conf"
}

coredns_files() { # a host process behind a Service without selector (system.yaml), so that no image has to be pulled for it
  cat >"$state/Corefile" <<CONF
.:5353 {
    bind $node_ip
    errors
    kubernetes cluster.local {
        kubeconfig $state/coredns.kubeconfig
    }
    cache 5
}
CONF
}

registry_files() { # no blob descriptor cache: it would remember blobs that garbage collection has removed, and pushes would skip them
  mkdir -p "$state/registry"
  cat >"$state/registry.yaml" <<YAML
version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage: {filesystem: {rootdirectory: $state/registry}, delete: {enabled: true}}
http: {addr: "127.0.0.1:5000"}
YAML
}

pause_image() { # a docker-archive of the one static binary that every pod's sandbox runs
  local dir layer; dir=$(mktemp -d)
  tar -C "$bin" --mtime=@0 --sort=name -cf "$dir/layer.tar" pause
  layer=$(sha256sum "$dir/layer.tar" | cut -d' ' -f1)
  echo '{"architecture":"amd64","os":"linux","config":{"Entrypoint":["/pause"]},"rootfs":{"type":"layers","diff_ids":["sha256:'"$layer"'"]}}' >"$dir/config.json"
  echo '[{"Config":"config.json","RepoTags":["localhost/pause:1"],"Layers":["layer.tar"]}]' >"$dir/manifest.json"
  tar -C "$dir" -cf - config.json layer.tar manifest.json
  rm -r "$dir"
}
