#!/usr/bin/env bash
# images.sh — builds the five images and pushes them to the registry on 127.0.0.1:5000; prints TUNELOOP_REGISTRY=… and TUNELOOP_TAG=…
# The tag is a hash of all that goes into them: nothing changed, nothing done. No Docker engine is needed, only root on Debian.
# About 8 minutes and 20 GiB of disk the first time (torch comes with CUDA); some seconds when only code has changed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd); repo=$(cd "$here/../.." && pwd)
# shellcheck source=tests/cluster/machine.sh
. "$here/machine.sh"
registry=127.0.0.1:5000
images="operator harvest trainer server redis"
base=localhost/tuneloop-base:bookworm-1 # a new number makes a new one
store=$cache/buildah
socket=$state/containerd/containerd.sock

main() {
  local tag; tag=$("$here/tag.sh")
  only_one images
  "$here/cluster.sh" registry
  if ! pushed "$tag"; then
    [ "$(free_gib)" -ge 3 ] || fail "only $(free_gib) GiB of disk free at $cache"
    mkdir -p "$cache/log"
    base_image
    build "$tag" operator "$base" operator/Dockerfile
    build "$tag" harvest "$base" trainer_image/Dockerfile --target harvest
    build "$tag" redis "$base" tests/cluster/redis/Dockerfile
    model_image
    build "$tag" trainer "$model" trainer_image/Dockerfile --target train
    build "$tag" server "$model" server_image/Dockerfile
  fi
  prune "$tag"
  say "images are ready: $registry/tuneloop-{${images// /,}}:$tag"
  printf 'TUNELOOP_REGISTRY=%s\nTUNELOOP_TAG=%s\n' "$registry" "$tag"
}

pushed() {
  local image
  for image in $images; do
    curl -fsS -o /dev/null -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$registry/v2/tuneloop-$image/manifests/$1" 2>/dev/null || return 1
  done
}

buildah_() { buildah --root "$store" --runroot /run/tuneloop-buildah --storage-driver overlay "$@"; }

patiently() { # patiently "what" command… — its output goes to a log; a line every 15 seconds says how far it is
  local what=$1 log begun; shift; log=$cache/log/${what// /-}.log; begun=$(date +%s)
  ( while sleep 15; do say "$what: $(grep -a . "$log" | tail -1 | cut -c1-70)"; done ) 9>&- &
  local ticker=$!
  if "$@" >"$log" 2>&1; then kill $ticker; wait $ticker 2>/dev/null || true
  else kill $ticker; tail -20 "$log" >&2; fail "$what failed; all of it is in $log"; fi
  say "$what: done in $(($(date +%s) - begun)) s"
}

base_image() {
  buildah_ images -q "$base" >/dev/null 2>&1 && return 0
  local root=$store/debootstrap; rm -rf "$root"; mkdir -p "$store"
  patiently "Debian base image" debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates bookworm "$root"
  rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale,info}/* "$root"/var/log/*.log
  printf 'path-exclude /usr/share/%s/*\n' doc man locale info >"$root/etc/dpkg/dpkg.cfg.d/small"
  local container; container=$(buildah_ from scratch)
  buildah_ add -q "$container" "$root" / >/dev/null
  buildah_ commit -q --rm "$container" "$base" >/dev/null
  rm -rf "$root"
}

model_image() { # below the heavy layer and the code: it changes least
  local folder; folder=$(python_of_the_project "$repo/models/smollm2.py")
  model=localhost/tuneloop-model:$(cat "$repo/models/Dockerfile" <(echo "$base $folder") | sha256sum | cut -c1-12)
  buildah_ images -q "$model" >/dev/null 2>&1 ||
    patiently "model image" buildah_ bud --isolation chroot --build-arg BASE="$base" -f "$repo/models/Dockerfile" -t "$model" "$(dirname "$folder")"
}

python_of_the_project() { [ -x "$repo/.venv/bin/python" ] || make -s -C "$repo" setup >&2; "$repo/.venv/bin/python" "$@"; }

build() { # build TAG NAME BASE DOCKERFILE more… — and push
  local name=$registry/tuneloop-$2:$1 image=$2 from=$3 file=$4; shift 4
  local lent=(); # the machine's certificates, if they are its own, and uv's downloads, if it has any
  [ -z "${SSL_CERT_FILE:-}" ] || lent+=(--volume "$(realpath "$SSL_CERT_FILE"):/ca.pem:ro" --build-arg SSL_CERT_FILE=/ca.pem)
  local downloads=${UV_CACHE_DIR:-$cache/../uv}; mkdir -p "$downloads"
  lent+=(--volume "$(realpath "$downloads"):/uv-cache" --build-arg UV_CACHE_DIR=/uv-cache --build-arg UV_LINK_MODE=copy)
  patiently "build $image" buildah_ bud --layers --pull=false --isolation chroot --build-arg BASE="$from" "${lent[@]}" "$@" -f "$repo/$file" -t "$name" "$repo"
  patiently "push $image" buildah_ push --tls-verify=false --compression-format zstd "$name" "docker://$name"
}

# --- old images: the heavy layer is 6 GB in each of buildah's store, the registry and containerd ---
prune() { # prune TAG — what no pod runs goes, except this tag and the one before it
  local list=$cache/tags keep; touch "$list"
  { echo "$1"; grep -vx "$1" "$list" || true; } >"$list.new"; head -2 "$list.new" >"$list"; rm "$list.new"
  keep=$(cat "$list"; tags_of_pods)
  prune_store
  prune_registry
  [ ! -S "$socket" ] || prune_node
}

tags_of_pods() {
  local config=$state/admin.kubeconfig kubectl
  kubectl=$("$here/build.sh")/kubectl
  "$kubectl" --kubeconfig "$config" --request-timeout=5s get pods -A -o jsonpath='{.items[*].spec.containers[*].image}' 2>/dev/null | tr ' ' '\n' | sed 's/.*://' || true
}

kept() { grep -qxF "$1" <<<"$keep"; }

prune_store() { # the layers that only an old image had go with it
  local name
  buildah_ images --format '{{.Name}}:{{.Tag}}' | { grep "^$registry/" || true; } | while read -r name; do
    kept "${name##*:}" || buildah_ rmi "$name" >/dev/null
  done
}

prune_registry() { # by tag, in its files: its API deletes by digest, and an image that did not change has one digest under two tags
  local folder removed=
  for folder in "$state"/registry/docker/registry/v2/repositories/*/_manifests/tags/*; do
    kept "$(basename "$folder")" || { rm -rf "$folder"; removed=yes; }
  done
  [ -z "$removed" ] || docker-registry garbage-collect --delete-untagged "$state/registry.yaml" >"$cache/log/garbage-collect.log" 2>&1
}

prune_node() { # only what a kept one of the same image replaces: to pull the heavy layer again takes a minute
  local ctr=(ctr -a "$socket" -n k8s.io images) present good
  present=$("${ctr[@]}" ls | awk 'NR > 1 {print $1, $3}')
  good=$(while read -r name digest; do stays "$name" && echo "$digest"; done <<<"$present" || true)
  while read -r name digest; do # an image has three names there: with its tag, with its digest, and its configuration's digest
    grep -qxF "$digest" <<<"$good" || "${ctr[@]}" rm "$name" >/dev/null
  done <<<"$present"
}

stays() {
  case $1 in
    localhost/*) ;;
    *@* | sha256:*) return 1 ;;
    *) kept "${1##*:}" || ! grep -qF "${1%:*}:$(head -1 "$cache/tags") " <<<"$present" ;;
  esac
}

main
