# The commands. `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help up smoke test test-unit test-integration lint format check e2e fuzz bench soak test-browser deploy lock package \
        vulnerabilities clean-data clean app emulator environments preflight drill-aws test-localstack openapi docs \
        faults protections mutants

API_PORT   ?= 8000
AWS_PORT   ?= 4566
CACHE_PORT ?= 6379
STATE_DIR  ?= .local
STAGE      ?= local
export API_PORT AWS_PORT CACHE_PORT STATE_DIR STAGE PYTHON

PY := .venv/bin/python

help: ## List the targets
	@grep -hE '^[a-z][a-z0-9-]*:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-17s %s\n", $$1, $$2}'
	@echo
	@echo "  API_PORT, AWS_PORT, CACHE_PORT and STATE_DIR say where 'make up' runs; BASE_URL where 'make smoke' looks."

app:
	@infra/bootstrap.sh app

emulator:
	@infra/bootstrap.sh emulator

environments:
	@infra/bootstrap.sh emulator & emulator=$$!; infra/bootstrap.sh app && wait $$emulator

up: environments ## Set everything up and run it on this machine, on 127.0.0.1 only; Ctrl-C stops it
	@exec $(PY) -m infra.local.up

smoke: export BASE_URL ?= http://127.0.0.1:$(API_PORT)
smoke: app ## Walk through the API of a running stack (BASE_URL), step by step
	@$(PY) -m infra.smoke

test: environments ## Run the tests: unit, faults, integration, fuzz
	@$(PY) -m pytest tests/unit -n 2
	@$(PY) -m pytest tests/faults -n 2
	@$(PY) -m pytest tests/integration -n 2 --dist loadgroup
	@$(PY) -m pytest tests/fuzz -n 2

test-unit: app ## Run the unit tests only: in process, some two minutes on two cores
	@$(PY) -m pytest tests/unit -n 2

test-integration: environments ## Run the tests against the emulator and a real Valkey
	@$(PY) -m pytest tests/integration

e2e: environments ## Package, deploy to the emulator with permissions enforced, and test what was deployed
	@$(PY) -m pytest tests/e2e -n 2 --dist loadfile

fuzz: app ## At least 10,000 generated requests against the API's own description
	@$(PY) -m tests.fuzz

faults: app ## Inject every fault at every call, and write the table of docs/faults.md anew
	@$(PY) -m tests.faults.matrix

protections: app ## Take each protection out of a copy of the code, see its tests fail; writes docs/protections.md
	@$(PY) -m tests.protections --write

actions: app ## Run unit tests and fault injections, and write down which AWS actions each function needs (tests/roles)
	@$(PY) -m tests.roles

mutants: app ## Mutate MODULE (chalicelib/keys.py) for SECONDS (600) and print what TESTS (tests/unit) do not notice
	@$(PY) -m tests.mutants $(or $(MODULE),chalicelib/keys.py) $(TESTS) $(if $(SECONDS),--seconds $(SECONDS))

test-localstack: app ## The integration tests against LocalStack, without Docker (needs Python 3.13)
	@$(PY) -m tests.localstack

test-browser: environments ## Uppy from npm, unmodified, in a real Chromium against the real stack (gets both if missing)
	@$(PY) -m tests.browser

bench: environments ## Measure CPU beside a plain application, AWS calls, memory, cold start, events; prints, writes JSON
	@infra/bootstrap.sh plain
	@$(PY) -m benchmarks

soak: environments ## Upload for SECONDS (120) in every way, then follow the events as long while processes are killed
	@$(PY) -m benchmarks.soak $(if $(SECONDS),--seconds $(SECONDS))
	@$(PY) -m benchmarks.soak_following $(if $(SECONDS),--seconds $(SECONDS))

lint: app ## ruff, mypy --strict, cfn-lint on the packaged template
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(PY) -m infra.packaging build/lint && .venv/bin/cfn-lint build/lint/sam.json

docs: app ## Write the tables of settings and parameters in docs/
	@$(PY) -m infra.generated_pages

openapi: app ## Turn docs/openapi.yaml into the document that the API serves
	@$(PY) -m infra.openapi

format: app ## Format the code and fix what ruff can fix
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

check: lint test e2e ## Exactly what CI runs

deploy: app ## Package and deploy the stack of STAGE to the AWS account, or the endpoint, of the environment; asks (YES=1)
	@$(PY) -m infra deploy --stage $(STAGE) $(if $(YES),--yes) $(foreach pair,$(PARAMETERS),--parameter '$(pair)')

preflight: app ## Look at the AWS account of the environment before a deployment of STAGE; makes nothing
	@$(PY) -m infra preflight --stage $(STAGE) $(foreach pair,$(PARAMETERS),--parameter '$(pair)')

drill-aws: app ## Once, in an account: deploy, use, break, roll back and delete a stage of its own; writes a report
	@$(PY) -m infra.drill $(foreach pair,$(PARAMETERS),--parameter '$(pair)')

LOCKS := requirements requirements-dev requirements-emulator infra/requirements/uv infra/requirements/container \
         infra/requirements/vulnerabilities tests/browser/requirements benchmarks/plain/requirements

lock: app ## Resolve each requirements file (*.in) into pinned versions with hashes (*.txt)
	@for name in $(LOCKS); do \
	    UV_SYSTEM_CERTS=1 .venv/bin/uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $$name.in -o $$name.txt || exit 1; \
	done

package: app ## Make the deployment package with its list of contents in build/package, as 'make deploy' does
	@$(PY) -m infra.packaging build/package

vulnerabilities: ## Look the locked packages up among the known vulnerabilities (needs the network)
	@infra/bootstrap.sh vulnerabilities && .venv-vulnerabilities/bin/python infra/vulnerabilities.py $(addsuffix .txt,$(LOCKS))

clean-data: ## Delete the data of 'make up' in STATE_DIR
	@if [ -f "$(STATE_DIR)/up.pid" ] && kill -0 "$$(cat "$(STATE_DIR)/up.pid")" 2>/dev/null; then \
	    echo "'make up' is running on $(STATE_DIR); stop it first." >&2; exit 1; fi
	@rm -rf "$(STATE_DIR)" && echo "The data in $(STATE_DIR) is gone."

clean: ## Delete the virtual environments and everything built
	@rm -rf .venv .venv-emulator .venv-vulnerabilities .venv-plain build .mypy_cache .ruff_cache .pytest_cache .hypothesis
