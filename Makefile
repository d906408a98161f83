# Everything starts here. `make` alone says what there is.
# Needs only Python 3.11 or later with venv, make and git: the rest comes from package registries, pinned by hash.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules --no-print-directory
# Compiled once, not at each start: pytest's own form of hypothesis alone takes a second and a half.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
VP := $(BIN)/vp
# `make lock UPGRADE=--upgrade` takes newer versions; without it only what requirements*.in asks for changes.
UPGRADE :=
# Of tests that mostly wait for clusters: more than there are cores, so that these have something to do.
WORKERS := 3
# Tests that compile real Go programs: most of a minute, so they are not among the quick ones.
COMPILING := tests/unit/test_toolchain_build.py
# Tests of whole stacks on AWS, and of what AWS would be asked. They load the types of the AWS services, which takes each
# program some seconds, and talk to a server on loopback.
AWS := tests/aws tests/graph tests/contract tests/docs/test_commands.py

.PHONY: help up down test test-unit test-aws test-rehearsal test-gateway test-image lint bench lock clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | while IFS='|' read -r target text; do \
	  printf '  make %-16s %s\n' "$$target" "$$text"; \
	done

up: .venv/.run ## deploy the stack `local` to a simulated cluster on this machine
	@$(VP) rehearse local

down: ## stop every rehearsal cluster of this checkout and remove its files
	@if [ -x $(VP) ]; then $(VP) cluster down; else echo "nothing was set up here"; fi

test: lint test-unit test-aws test-rehearsal test-gateway test-image ## lint, then every test

test-unit: .venv/.dev ## tests that need no tools and no network
	@$(BIN)/python -m pytest -n auto --dist worksteal tests/unit tests/docs $(addprefix --ignore=,$(COMPILING) $(AWS))

test-aws: .venv/.dev ## tests of whole stacks on AWS, without AWS: a recorder, generated stacks, a server on loopback
	@$(BIN)/python -m pytest -n auto --dist worksteal $(AWS)

test-rehearsal: .venv/.dev ## tests against a real control plane with simulated nodes
	@$(VP) tools build
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder tests/rehearsal $(COMPILING)

test-gateway: .venv/.dev .venv-engine/.made ## tests of a real gateway before the models, in Linux namespaces of their own (as root)
	@$(VP) tools build
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder tests/gateway

test-image: .venv/.dev .venv-engine/.made ## tests of the image: a real build, and its parts with a real vLLM on the CPU
	@$(VP) tools build buildkit prometheus
	@$(BIN)/python -m pytest -n 2 --dist loadfile tests/image

lint: .venv/.dev ## formatting, style and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright

bench: .venv/.dev .venv-engine/.made ## measure the aims: start, update, memory, scale, middleware
	@$(VP) tools build
	@$(BIN)/python -m benchmarks

lock: .venv/.dev ## write requirements*.txt from requirements*.in (go.sum files are the locks of the tools)
	@for name in requirements-uv requirements requirements-dev; do \
	  $(BIN)/uv pip compile --quiet $(UPGRADE) --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --custom-compile-command "make lock" $$name.in -o $$name.txt || exit 1; \
	done
	@$(BIN)/uv pip compile --quiet $(UPGRADE) --universal --python-version 3.12 --generate-hashes \
	  --no-emit-index-url --custom-compile-command "make lock" \
	  docker/vllm/requirements-fetch.in -o docker/vllm/requirements-fetch.txt
	@$(BIN)/uv pip compile --quiet $(UPGRADE) --config-file docker/vllm/requirements-engine.toml --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --custom-compile-command "make lock" \
	  docker/vllm/requirements-engine.in -o docker/vllm/requirements-engine.txt

clean: down ## remove .venv and all else that was made in this checkout (the cache of tools stays)
	@rm -rf .venv .venv-engine .tools .rehearsal *.egg-info .pytest_cache .ruff_cache .hypothesis

# A virtual environment, from the first fitting Python.
.venv/.made:
	@for python in python3.13 python3.12 python3.11 python3; do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "python: creating .venv with $$($$python --version)"; \
	    $$python -m venv --clear .venv && touch $@; \
	    exit; \
	  fi; \
	done; \
	echo "Python 3.11 or later with venv is needed (Debian, Ubuntu: apt install python3-venv)." >&2; \
	exit 1

# $(1): lock to install. uv takes a fifth of pip's time, but does not read pip's configuration: where only that leads
# to packages (a company's mirror), pip does it. Either refuses what does not have the lock's hash.
define install
	@echo "python: installing $(1) into .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@UV_HTTP_TIMEOUT=30 UV_HTTP_RETRIES=1 $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1) \
	    2>.venv/uv.log \
	  || $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
endef

.venv/.run: .venv/.made requirements.txt requirements-uv.txt pyproject.toml
	$(call install,requirements.txt)

.venv/.dev: .venv/.made requirements-dev.txt requirements-uv.txt pyproject.toml
	$(call install,requirements-dev.txt)
	@touch .venv/.run

# vLLM for CPUs, for the tests of the image: 2.4 GB, so it is made anew only when its own lock changes.
.venv-engine/.made: docker/vllm/requirements-engine.txt tests/image/finish_venv.py | .venv/.dev
	@echo "python: installing $< into .venv-engine"
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-engine
	@UV_HTTP_TIMEOUT=30 UV_HTTP_RETRIES=1 $(BIN)/uv pip install --quiet --python .venv-engine/bin/python --require-hashes \
	    --no-deps -r $< 2>.venv/uv.log \
	  || $(BIN)/pip --python .venv-engine/bin/python install --quiet --disable-pip-version-check --no-deps \
	    --require-hashes -r $<
	@.venv-engine/bin/python tests/image/finish_venv.py
	@touch $@
