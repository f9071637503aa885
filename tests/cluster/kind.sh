# shellcheck shell=bash disable=SC2154  # the folders are machine.sh's
# The same cluster in kind, for a machine with a Docker engine. Sourced by choose.sh.
# Images are built by Docker and loaded into kind's node; there is no registry, and no name that could be pulled.
kind_registry=localhost/tuneloop

kind_there() { command -v kind >/dev/null && docker info >/dev/null 2>&1; }

kind_up() {
  export KUBECONFIG=$cache/kind.kubeconfig
  if kind get clusters 2>/dev/null | grep -qx tuneloop; then kind get kubeconfig --name tuneloop >"$KUBECONFIG"
  else say "creating a kind cluster"; kind create cluster --name tuneloop --kubeconfig "$KUBECONFIG" --wait 180s >&2; fi
  kind_images "$1"
  kind_volumes
}

kind_down() { kind delete cluster --name tuneloop >&2; }

kind_images() { # kind_images TAG
  local folder model=tuneloop-model:local
  folder=$("$repo/.venv/bin/python" "$repo/models/smollm2.py")
  docker build -t "$model" -f "$repo/models/Dockerfile" "$(dirname "$folder")" >&2
  docker build -t "$kind_registry/tuneloop-operator:$1" -f "$repo/operator/Dockerfile" "$repo" >&2
  docker build -t "$kind_registry/tuneloop-harvest:$1" -f "$repo/trainer_image/Dockerfile" --target harvest "$repo" >&2
  docker build -t "$kind_registry/tuneloop-trainer:$1" -f "$repo/trainer_image/Dockerfile" --target train --build-arg BASE="$model" "$repo" >&2
  docker build -t "$kind_registry/tuneloop-server:$1" -f "$repo/server_image/Dockerfile" --build-arg BASE="$model" "$repo" >&2
  docker build -t "$kind_registry/tuneloop-redis:$1" -f "$repo/tests/cluster/redis/Dockerfile" "$repo" >&2
  say "loading the images into kind's node"
  local one; for one in operator harvest trainer server redis; do
    docker exec tuneloop-control-plane crictl inspecti "$kind_registry/tuneloop-$one:$1" >/dev/null 2>&1 ||
      kind load docker-image --name tuneloop "$kind_registry/tuneloop-$one:$1" >&2
  done
}

kind_volumes() { # kind's own storage class cannot share a volume between pods
  kubectl annotate storageclass standard storageclass.kubernetes.io/is-default-class=false --overwrite >/dev/null
  kubectl apply -f "$here/storageclass.yaml" >/dev/null
  volumes /var/tuneloop docker exec tuneloop-control-plane
}
