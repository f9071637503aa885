#!/usr/bin/env bash
# build.sh — builds an S3 server (Versity's gateway, over a local folder) from its Go module, and prints the folder it is in.
# Cached by version under the user's cache folder: two minutes of CPU once, nothing afterwards.
set -euo pipefail
version=1.8.0
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tuneloop
out=$cache/versitygw-$version
[ -x "$out/versitygw" ] && { echo "$out"; exit 0; }
command -v go >/dev/null || { echo "tuneloop: Go 1.24 or newer is needed to build the tests' S3 server (https://go.dev/dl)" >&2; exit 1; }

mkdir -p "$out"
exec 9>"$out/lock"; flock 9 # two makes at once share one build
[ -x "$out/versitygw" ] && { echo "$out"; exit 0; }
echo "tuneloop: building versitygw $version for the tests (once, 2 to 4 minutes on 2 cores)" >&2
GOBIN=$out/new CGO_ENABLED=0 GOTOOLCHAIN=auto go install -trimpath -ldflags "-s -w" "github.com/versity/versitygw/cmd/versitygw@v$version" >"$out/log" 2>&1 ||
  { tail -20 "$out/log" >&2; echo "tuneloop: the build failed; all of it is in $out/log" >&2; exit 1; }
mv "$out/new/versitygw" "$out/"; rmdir "$out/new"
echo "$out"
