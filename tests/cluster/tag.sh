#!/usr/bin/env bash
# tag.sh — prints the images' tag: a hash of all that goes into them.
set -euo pipefail
cd "$(dirname "$0")/../.."
find pyproject.toml uv.lock .dockerignore contracts operator trainer_image server_image models tests/cluster/redis tests/cluster/images.sh \
  -type f ! -path '*/__pycache__/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-12
