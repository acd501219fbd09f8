# Everything a contributor or CI needs; `make help` lists it. Needs only Python 3.11+ and make.
.DEFAULT_GOAL := help
.PHONY: help setup lock newest demo test chaos planted lint format bench clean

# The first Python that runs and is new enough: a shim on PATH may name a version that is not there.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
NEWEST_TESTS := tests/definitions tests/eventstore tests/executor tests/api tests/cli

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## / — /'

# What `make setup` installs is locked, with hashes; `make lock` renews the lock.
$(VENV)/.installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(VENV)/.installed  ## make the virtual environment, with the locked version of everything

lock:  ## renew requirements.lock: the newest version of everything that the ranges in pyproject.toml allow
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet uv
	.venv-lock/bin/uv pip compile pyproject.toml --extra fast --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --upgrade --quiet --custom-compile-command 'make lock' \
		--output-file requirements.lock
	rm -rf .venv-lock

newest: VENV := .venv-newest
newest:  ## a short run of the tests with the newest version of everything in place of the locked one
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(VENV)/bin/python -m pip install --quiet --editable '.[fast]' --group test
	$(VENV)/bin/python -m pytest -m 'not chaos and not planted' $(NEWEST_TESTS) $(ARGS)

demo: setup  ## run the order example against a sample service, then replay it
	$(BIN)/python examples/demo.py $(ARGS)

test: setup  ## all tests but the long chaos runs; they bring their own Redis
	$(BIN)/python -m pytest -m 'not chaos and not planted' $(ARGS)

chaos: export UNSPOOL_CHAOS_EXECUTIONS ?= 1000
chaos: setup  ## kill, pause and cut off services under 1 000 executions, on every store
	$(BIN)/python -m pytest -m chaos -n 2 --timeout 1800 $(ARGS)

planted: setup  ## plant known bugs, one at a time, and see that the suites catch them
	$(BIN)/python -m pytest -m planted -n 2 tests/chaos $(ARGS)

lint: setup  ## ruff, mypy --strict, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## the figures of docs/benchmarks.md
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## forget the virtual environment and caches
	rm -rf .venv .venv-* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
