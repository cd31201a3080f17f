PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= $(if $(CERT),7217,5217)
VENV := .venv
BIN := $(VENV)/bin
TLS := $(if $(CERT),--certfile "$(CERT)" --keyfile "$(KEY)")
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help run install seed test lint format clean
.DEFAULT_GOAL := help

help:  ## show this
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

run: install seed  ## install, create and seed the database, serve on http://localhost:5217 (HOST=, PORT=, CERT=, KEY=)
	@exec $(BIN)/gunicorn --config tasks_api/gunicorn_conf.py --bind "$(HOST):$(PORT)" $(TLS) wsgi:app

install: $(VENV)/.installed  ## make the virtual environment with what the service needs

seed: install  ## create the embedded database if need be, add demo data if it has no users
	@$(BIN)/flask --app wsgi db seed

test: $(VENV)/.installed-test lint  ## lint, types and all tests
	@$(BIN)/python -m pytest --cov --cov-report=term

lint: $(VENV)/.installed-test  ## lint, format check and types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy

format: $(VENV)/.installed-test  ## format the code
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

clean:  ## remove the virtual environment and caches; the database and keys in instance/ stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV)"
	@$(PIP) --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@$(PIP) --constraint constraints.txt --editable '.[test]'
	@touch $@
