#!/usr/bin/env bash
# build.sh — builds Kubernetes, etcd and CoreDNS (one binary), kubectl and Helm from Go modules, and prints the folder they are in.
# Cached by version and recipe under the user's cache folder: about 15 minutes of CPU once, nothing afterwards.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
kubernetes=1.34.4 coredns=1.12.4 helm=4.0.5 staging=0.34.4
recipe=$(cat "$0" "$here/main.go" | sha256sum | cut -c1-8)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tuneloop
out=$cache/kubernetes-$kubernetes-$recipe
[ -f "$out/done" ] && { echo "$out"; exit 0; }
command -v go >/dev/null || { echo "tuneloop: Go 1.24 or newer is needed to build the local cluster (https://go.dev/dl)" >&2; exit 1; }

mkdir -p "$out/src"
exec 9>"$out/lock"; flock 9 # two makes at once share one build
[ -f "$out/done" ] && { echo "$out"; exit 0; }
echo "tuneloop: building Kubernetes $kubernetes and Helm $helm for the local cluster (once, 10 to 15 minutes on 2 cores)" >&2
cp "$here/main.go" "$out/src/"; cd "$out/src"
export GOFLAGS=-mod=mod CGO_ENABLED=0 GOTOOLCHAIN=auto
source=$(go mod download -json "k8s.io/kubernetes@v$kubernetes" | sed -n 's/.*"Dir": "\(.*\)".*/\1/p')
{ # k8s.io/kubernetes pins its staging modules by relative `replace` lines; a wrapper module has to repeat them by version
  printf 'module localcluster\n\ngo 1.24.0\n\nrequire k8s.io/kubernetes v%s\n\n' "$kubernetes"
  sed -n 's#^[[:space:]]*\(k8s.io/[a-z-]*\) => ./staging.*#replace \1 => \1 v'"$staging"'#p' "$source/go.mod"
} > go.mod
etcd=$(sed -n 's#.*go.etcd.io/etcd/client/v3 \(v[0-9.]*\).*#\1#p' "$source/go.mod" | head -1)
go get "go.etcd.io/etcd/server/v3@$etcd" "github.com/coredns/coredns@v$coredns" >"$out/log" 2>&1
go get -tool "helm.sh/helm/v4/cmd/helm@v$helm" >>"$out/log" 2>&1 # as a tool, or `tidy` would forget its version
go mod tidy -e >>"$out/log" 2>&1

packages=(. k8s.io/kubernetes/cmd/kubectl helm.sh/helm/v4/cmd/helm)
total=$(go list -deps "${packages[@]}" 2>>"$out/log" | wc -l)
stamp="-X k8s.io/component-base/version.gitVersion=v$kubernetes -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
stamp="$stamp -X k8s.io/client-go/pkg/version.gitVersion=v$kubernetes"
go build -v -trimpath -ldflags "-s -w $stamp" -o "$out/" "${packages[@]}" 2>&1 | tee -a "$out/log" |
  awk -v total="$total" '{n++} n % 100 == 0 {printf "tuneloop:   %d of at most %d packages\n", n, total > "/dev/stderr"}' ||
  { tail -20 "$out/log" >&2; echo "tuneloop: the build failed; all of it is in $out/log" >&2; exit 1; }
mv "$out/localcluster" "$out/kubernetes"
for program in etcd coredns kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubelet; do ln -sf kubernetes "$out/$program"; done
printf 'package main\n\nimport (\n\t"os"\n\t"os/signal"\n\t"syscall"\n)\n\nfunc main() {\n\tstop := make(chan os.Signal, 1)\n\tsignal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)\n\t<-stop\n}\n' > pause.go
go build -trimpath -ldflags "-s -w" -o "$out/pause" pause.go # the registry's pause image cannot be had everywhere; it only sleeps
rm -rf "$out/src"; touch "$out/done"
echo "$out"
