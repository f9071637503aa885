# Two commands are for users: `make demo` and `make test`. Neither needs anything installed by hand.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
export UV_PROJECT_ENVIRONMENT := $(CURDIR)/.venv
export PYTHONPATH := contracts:operator:trainer_image:server_image:demo
own_uv := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tuneloop/uv/bin/uv
uv := $(shell command -v uv || echo $(own_uv))
run := $(uv) run --frozen --all-extras
use_cluster = settings=$$(tests/cluster/choose.sh up) && eval "$$settings"
redis := $(shell command -v redis-server || echo /usr/bin/redis-server)
faq := /usr/share/doc/python3.11/html/_sources/faq

.PHONY: demo demo-down test test-vllm check e2e crds setup

demo: setup | $(faq) ## the whole loop on a real cluster, with a real model and real questions
	@$(use_cluster); \
	helm upgrade --install tuneloop charts/tuneloop -n tuneloop --create-namespace --take-ownership --set quickstart.enabled=true \
	  --set image.registry=$$TUNELOOP_REGISTRY --set-string image.tag=$$TUNELOOP_TAG \
	  --set quickstart.ompNumThreads=$$(( ($$(nproc) + 1) / 2 )) --timeout 10m >/dev/null; \
	$(run) python -m tuneloop_demo

demo-down: ## end the cluster that `make demo` started; on one of yours, take the release away
	@if [ -n "$${TUNELOOP_KUBECONFIG:-}" ]; then \
	  export KUBECONFIG=$$TUNELOOP_KUBECONFIG PATH="$$(tests/cluster/build.sh):$$PATH"; \
	  helm uninstall tuneloop -n tuneloop --wait --ignore-not-found; kubectl delete namespace tuneloop --ignore-not-found; \
	fi; tests/cluster/choose.sh down

$(faq):
	@echo "installing python3-doc: its FAQ is what the demo asks"
	@apt-get -qq update && apt-get -qq install -y --no-install-recommends python3-doc >/dev/null

$(redis): # the tests run it, and openssl, before there is a cluster that would bring them
	@source tests/cluster/machine.sh && say "installing redis-server and openssl for the tests" && install_packages redis-server openssl

test: check | $(redis) ## every test there is
	@tests/cluster/build.sh >/dev/null; tests/s3/build.sh >/dev/null; $(run) python models/smollm2.py >/dev/null # minutes the first time: no test's deadline has to hold them
	$(run) pytest tests --ignore=tests/e2e --ignore=tests/vllm
	@$(MAKE) --no-print-directory e2e

test-vllm: setup | $(redis) ## the vLLM engine on the real vLLM, for CPUs: about 10 minutes, and 6 GB once
	@tests/vllm/install.sh >/dev/null
	$(run) pytest tests/vllm

e2e: setup ## the tests that need a node, on the cluster that `make demo` would use
	@$(use_cluster); $(run) pytest tests/e2e

setup: | $(uv) ## Python packages, by the lock
	@$(uv) sync --frozen --all-extras -q

$(own_uv): # Debian's python3 comes without the part of venv that brings pip
	@python3 -c 'import ensurepip' 2>/dev/null || { [ "$$(id -u)" = 0 ] && apt-get -qq update && apt-get -qq install -y python3-venv >/dev/null; } \
	  || { echo "tuneloop: install uv, or python3's venv module (Debian: apt install python3-venv)" >&2; exit 1; }
	@python3 -m venv $(@D)/.. && $(@D)/pip -q install uv

bench-%: setup | $(redis) ## a bench by its name: peers and ours in one run, a table, and one JSON line last
	PYTHONPATH=$(PYTHONPATH):tests:benchmarks UV=$(uv) $(run) python benchmarks/$(subst -,_,$*).py

check: setup ## types, layers, style: seconds
	$(run) ruff check .
	$(run) ruff format --check -q .
	$(run) mypy
	$(run) lint-imports

crds: setup ## the CRDs, from the models; and the chart's copies
	PYTHONPATH=contracts:operator $(run) python -m tuneloop_operator.api.crd crds
	cp crds/*.yaml charts/tuneloop/files/crds/
