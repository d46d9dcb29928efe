# `make` alone says what there is. Nothing but Python 3.11+, make, git and curl has to be installed.
# Variables: PYTHON (which one to use), and for `up`: API_PORT, AWS_PORT, CACHE_PORT, STATE_DIR.

SHELL := /bin/sh
.DEFAULT_GOAL := help
BASE_URL ?= http://127.0.0.1:8000
STAGE ?= local
# The app's own environment, whatever the caller's holds.
unexport PYTHONPATH PYTHONHOME

RUN := .venv/bin/python
PYTEST := $(RUN) -m pytest
SETUP := @infra/bootstrap.sh
SOURCES := app.py chalicelib infra

.PHONY: help
help: ## Say what can be made
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- run ----------------------------------------------------------------------------------------

.PHONY: up
up: ## Set up everything and run it: API on 127.0.0.1:8000, Ctrl-C stops it
	$(SETUP) local emulator
	@exec $(RUN) -m infra.local.up

.PHONY: smoke
smoke: ## Try the running API at BASE_URL, step by step
	$(SETUP) local
	@$(RUN) -m infra.smoke $(BASE_URL)

.PHONY: deploy
deploy: ## Deploy STAGE with the AWS account of your environment
	$(SETUP) local
	@$(RUN) -m infra deploy --stage $(STAGE)

# ---- check --------------------------------------------------------------------------------------

.PHONY: test
test: test-unit test-integration ## Unit and integration tests

.PHONY: test-unit
test-unit: ## Tests in process, no network
	$(SETUP) dev
	$(PYTEST) --ignore=tests/integration --ignore=tests/e2e -n auto tests

.PHONY: test-integration
test-integration: ## Tests on a real emulator and a real Valkey, started by themselves
	$(SETUP) dev emulator
	$(PYTEST) tests/integration

.PHONY: e2e
e2e: ## Package, deploy to the emulator with permissions enforced, and test over HTTP
	$(SETUP) dev emulator
	$(PYTEST) tests/e2e

.PHONY: lint
lint: ## Ruff, mypy, and the packaged template by cfn-lint
	$(SETUP) dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy $(SOURCES)

.PHONY: check
check: lint test ## What CI runs

.PHONY: format
format: ## Put the code into the one format
	$(SETUP) dev
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

.PHONY: bench
bench: ## Measure, and print a table
	$(SETUP) dev emulator
	$(RUN) -m benchmarks

# ---- keep ---------------------------------------------------------------------------------------

.PHONY: requirements
requirements: ## Pin anew what the requirements*.in files ask for
	$(SETUP) local
	@for name in requirements requirements-local requirements-dev requirements-emulator; do \
		echo $$name.txt; \
		.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --system-certs \
			--custom-compile-command 'make requirements' $$name.in -o $$name.txt || exit; \
	done

.PHONY: clean-data
clean-data: ## Empty what `make up` keeps (STATE_DIR, by default .local)
	$(SETUP) local
	@$(RUN) -m infra.local.clean

.PHONY: clean
clean: ## Remove the environments, caches and builds; the data stays
	rm -rf .venv .venv-emulator build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.local/*' -prune -exec rm -rf {} +
