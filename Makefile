# Everything a contributor or CI needs; `make help` lists it. Needs only Python 3.11+ and make.
.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos lint format bench clean

# The first Python that runs and is new enough: a shim on PATH may name a version that is not there.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## / — /'

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[fast]' --group dev
	@touch $@

setup: $(VENV)/.installed  ## make the virtual environment

demo: setup  ## run the order example against a sample service, then replay it
	$(BIN)/python examples/demo.py $(ARGS)

test: setup  ## all tests but the long chaos runs; they bring their own Redis
	$(BIN)/python -m pytest -m 'not chaos' $(ARGS)

chaos: export UNSPOOL_CHAOS_EXECUTIONS ?= 1000
chaos: setup  ## kill, pause and cut off services under 1 000 executions, on every store
	$(BIN)/python -m pytest -m chaos --timeout 1800 $(ARGS)

lint: setup  ## ruff, mypy --strict, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## the figures of docs/benchmarks.md
	$(BIN)/python -m pip install --quiet --group bench
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## forget the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
