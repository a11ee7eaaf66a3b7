# `make help` lists the targets. Everything but the programs in the cache folder stays in this checkout.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PACKAGES := functions shared tools tests

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint bench serve openapi package deploy stack-up stack-down stack-status lock clean check-python check-node

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

demo: $(INSTALLED) check-node ## Show it at work on a local stack, from drift to correction
	@$(BIN)/python -m tools.demo

test: lint check-node ## Lint, then run all tests (they start local stacks of their own, and a browser)
	@$(BIN)/python -m tools.browser
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile

lint: $(INSTALLED) ## Check style, types and the direction of imports
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m mypy $(PACKAGES)
	@$(BIN)/lint-imports

bench: $(INSTALLED) check-node ## Measure a sweep on a local stack (USERS=100000 BATCH=10000 DRIFT=0.01 ROUNDS=3)
	@$(BIN)/python -m tools.bench $(if $(USERS),--users $(USERS)) $(if $(BATCH),--batch $(BATCH)) \
		$(if $(DRIFT),--drift $(DRIFT)) $(if $(ROUNDS),--rounds $(ROUNDS))

serve: $(INSTALLED) check-node ## Run all that is deployed on this machine: functions, schedule, queue, indexer (PORT=8080)
	@$(BIN)/python -m tools.serve $(if $(PORT),--port $(PORT))

stack-up: $(INSTALLED) check-node ## Start PostgreSQL, PostgREST and the Flow emulator; writes .env.local
	@$(BIN)/python -m tools.stack up

stack-down: $(INSTALLED) ## End the local stack and remove its data
	@$(BIN)/python -m tools.stack down

stack-status: $(INSTALLED) ## Say which servers of the local stack run
	@$(BIN)/python -m tools.stack status

openapi: $(INSTALLED) ## Write docs/openapi.json anew from the code
	@$(BIN)/python -m tools.openapi

package: $(INSTALLED) ## Make the zip that the functions are deployed from: dist/functions.zip
	@$(BIN)/python -m tools.package

deploy: package check-node ## Package, and deploy serverless.yml to AWS (STAGE=dev)
	@$(if $(STAGE),$(BIN)/python -m tools.deploy deploy --stage $(STAGE),\
		echo "Say which stage: make deploy STAGE=dev" >&2; exit 1)

lock: $(INSTALLED) ## Pin the dependencies again, with hashes (UPGRADE=--upgrade for newer ones)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(UPGRADE) \
		--custom-compile-command "make lock" pyproject.toml -o requirements.txt
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes $(UPGRADE) \
		--custom-compile-command "make lock" --extra dev -c requirements.txt \
		pyproject.toml -o requirements-dev.txt

clean: ## End the local stack; remove the environment and what tools left behind
	@if [ -d .stack ] && [ -x $(BIN)/python ]; then $(BIN)/python -m tools.stack down; fi
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): requirements-dev.txt pyproject.toml | check-python
	@echo "Installing the Python packages into $(VENV) (once, and after a change of them)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes \
		-r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed, and $(PYTHON) is not." \
			"Install one and name it: make PYTHON=python3.12 ..." >&2; exit 1; }

check-node:
	@command -v node >/dev/null && command -v npm >/dev/null || { \
		echo "Node.js with npm is needed: PostgREST comes from npm." \
			"Install Node.js 20 or newer, see that node and npm are on PATH, and try again." >&2; \
		exit 1; }
