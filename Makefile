# Everything a contributor or CI needs; `make help` lists it. Needs only Python 3.11+ and make.
.DEFAULT_GOAL := help
.PHONY: help setup lock newest demo test conformance images screenshots schema reference docs links chaos planted lint format bench clean

# The first Python that runs and is new enough: a shim on PATH may name a version that is not installed.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# Tests and demos start many processes, which would each compile all modules again.
unexport PYTHONDONTWRITEBYTECODE
# Three processes a core (tests/conftest.py). Each runs neighbouring tests, which share servers and browsers.
PARALLEL := -n auto --dist worksteal
NEWEST_TESTS := tests/definitions tests/eventstore tests/executor tests/functions tests/api tests/cli

help:  ## print this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## / — /'

# What `make setup` installs is locked, with hashes; `make lock` renews the lock. The lock has all dependencies, so pip
# does not search for them.
$(VENV)/.installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

setup: $(VENV)/.installed  ## create the virtual environment, with locked versions

lock:  ## renew requirements.lock with the newest versions that pyproject.toml allows
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet uv
	.venv-lock/bin/uv pip compile pyproject.toml --extra fast --extra jwt --extra js --group dev --universal --python-version 3.11 \
		--generate-hashes --no-emit-index-url --upgrade --quiet --custom-compile-command 'make lock' \
		--output-file requirements.lock
	rm -rf .venv-lock

newest: VENV := .venv-newest
newest:  ## run part of the tests with the newest versions instead of the locked ones
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(VENV)/bin/python -m pip install --quiet --editable '.[fast]' --group test --group build
	$(VENV)/bin/python -m pytest -m 'not chaos and not planted' $(PARALLEL) $(NEWEST_TESTS) $(ARGS)

demo: setup  ## run the order example against a sample service, then replay it
	$(BIN)/python examples/demo.py $(ARGS)

test: setup  ## run all tests except the long chaos runs; they start their own Redis
	$(BIN)/python -m pytest -m 'not chaos and not planted' $(PARALLEL) $(ARGS)

conformance: setup  ## run the conformance cases and write docs/conformance.md
	$(BIN)/python -m tests.conformance $(ARGS)

images: setup  ## draw the diagrams in docs/images
	$(BIN)/unspool graph examples/order-fulfilment.yaml --svg > docs/images/order-fulfilment.svg
	$(BIN)/unspool graph docs/images/quote.yaml --svg > docs/images/quote.svg

screenshots: export UNSPOOL_SCREENSHOTS = 1
screenshots: setup  ## write the pictures of the dashboard in docs/images
	$(BIN)/python -m pytest tests/dashboard/test_screenshots.py $(ARGS)

schema: setup  ## write docs/workflow.schema.json, the schema for editors
	$(BIN)/unspool schema > docs/workflow.schema.json

reference: setup  ## write docs/reference, the pages that are made from the code
	$(BIN)/python -m docs.tooling.reference

docs: setup  ## build the documentation site in site/; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict $(ARGS)

links: setup  ## ask other servers whether the external links of the documents still work
	$(BIN)/python -m docs.tooling.external_links

chaos: export UNSPOOL_CHAOS_EXECUTIONS ?= 1000
chaos: setup  ## run 1 000 executions on every store while services are killed, paused and disconnected
	$(BIN)/python -m pytest -m chaos -n 2 --timeout 1800 tests/chaos $(ARGS)

planted: setup  ## plant known bugs one at a time, and check that the test suites find them
	$(BIN)/python -m pytest -m planted -n 2 tests/chaos $(ARGS)

lint: setup  ## run ruff and mypy --strict, and check import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## measure the figures of docs/benchmarks.md
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## delete the virtual environment and caches
	rm -rf .venv .venv-* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis site
