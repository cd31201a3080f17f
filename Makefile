PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= $(if $(CERT),7217,5217)
VENV := .venv
BIN := $(VENV)/bin
TLS := $(if $(CERT),--certfile "$(CERT)" --keyfile "$(KEY)")
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

ifeq ($(WEB_CONCURRENCY),)
unexport WEB_CONCURRENCY  # gunicorn fails on an empty value
endif

# SQL Server in Docker: its address and its password, see compose.yaml.
COMPOSE ?= docker compose --env-file $(SECRETS)
PROFILE ?= sqlite
PROXY := $(COMPOSE) exec proxy sh -c
PROXY_CONF := /etc/nginx/conf.d/default.conf
export SQLSERVER_PORT ?= 1433
SQLSERVER ?= mssql://sa:$$MSSQL_SA_PASSWORD@127.0.0.1:$(SQLSERVER_PORT)/TasksDb?TrustServerCertificate=yes
SECRETS := instance/compose.env

.PHONY: help run serve install seed test lint test-clients bench fuzz audit format clean up rollout down sqlserver run-sqlserver test-sqlserver
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 28

run: install seed serve  ## install, create and seed the embedded database, serve on http://localhost:5217 (HOST=, PORT=, CERT=, KEY=)

serve: install  ## install and serve, without demo data
	$(if $(CERT)$(KEY),@test -r "$(CERT)" -a -r "$(KEY)" || { echo "CERT= and KEY= must name files that can be read"; exit 1; })
	@$(BIN)/gunicorn --check-config wsgi:app  # names a wrong setting in one line
	@exec $(BIN)/gunicorn --bind "$(if $(findstring :,$(HOST)),[$(HOST)],$(HOST)):$(PORT)" $(TLS) wsgi:app

install: $(VENV)/.installed  ## make the virtual environment .venv (EXTRAS=redis,asymmetric adds packages)
	$(if $(EXTRAS),@$(PIP) --constraint constraints.txt --editable '.[$(EXTRAS)]')

seed: install  ## create the embedded database, add demo data if it has no users
	@$(BIN)/flask --app tasks_api db seed

test: $(VENV)/.installed-test lint  ## lint, types and all tests
	@$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder --cov --cov-report=term

lint: $(VENV)/.installed-test  ## check style, format and types
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/sqlfluff lint --nocolor --dialect tsql sql/sqlserver
	@$(BIN)/sqlfluff lint --nocolor --dialect sqlite sql/sqlite
	@$(BIN)/mypy
	@$(BIN)/kubernetes-validate --strict --quiet examples/kubernetes.yaml
	@if test -x $(BIN)/hadolint; then $(BIN)/hadolint Dockerfile; fi

test-clients: $(VENV)/.installed-test  ## test generated clients, the linter of /openapi.json and the Postman collection (needs Node.js)
	@for folder in examples/postman tests/examples/clients; do npm ci --silent --no-fund --no-audit --prefix $$folder || exit 1; done
	@$(PIP) --constraint constraints.txt --editable '.[clients]'
	@$(BIN)/python -m pytest tests/examples/test_postman.py tests/examples/test_generated_clients.py

bench: $(VENV)/.installed-test  ## compare with a bare floor and with the tutorial's algorithm (needs wrk, takes ten minutes)
	@$(BIN)/python -m benchmarks

fuzz: $(VENV)/.installed-test  ## test with many more random requests and histories
	@TASKS_TEST_FUZZ_EXAMPLES=1000 TASKS_TEST_HISTORIES=2000 $(BIN)/python -m pytest tests/web/test_fuzz.py tests/auth/test_histories.py

audit: $(VENV)/.installed-test  ## look up known vulnerabilities of the packages (asks PyPI)
	@$(PIP) --constraint constraints.txt --editable '.[audit]'
	@$(BIN)/pip-audit --requirement constraints.txt --no-deps --disable-pip --strict

format: $(VENV)/.installed-test  ## format the code
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

run-sqlserver: install sqlserver  ## like run, on Microsoft's SQL Server in Docker
	@set -a && . ./$(SECRETS) && TASKS_DATABASE_URL="$(SQLSERVER)" \
		&& $(BIN)/flask --app tasks_api db create && $(BIN)/flask --app tasks_api db upgrade && exec $(MAKE) --no-print-directory run

test-sqlserver: $(VENV)/.installed-test sqlserver  ## run all tests on Microsoft's SQL Server in Docker
	@. ./$(SECRETS) && TASKS_TEST_DATABASE_URL="$(SQLSERVER)" $(BIN)/python -m pytest

up: $(SECRETS)  ## run in Docker on http://localhost:5217 (PROFILE=sqlite, sqlserver or replicas)
	@$(COMPOSE) --profile $(PROFILE) up --build --detach --wait

rollout: $(SECRETS)  ## upgrade the schema, then replace the replicas one after the other; no request is lost
	@$(COMPOSE) --profile replicas run --rm --build upgrade
	@for n in 1 2; do \
		$(PROXY) "sed -i 's/\(server replica-$$n:.*\);/\1 down;/' $(PROXY_CONF) && nginx -s reload" && sleep 2 \
		&& $(COMPOSE) --profile replicas up --build --detach --no-deps --wait replica-$$n \
		&& $(PROXY) "sed -i 's/ down;/;/' $(PROXY_CONF) && nginx -s reload" || exit 1; \
	done

down: $(SECRETS)  ## stop what up and run-sqlserver started; the data stays
	@$(COMPOSE) --profile '*' down

sqlserver: $(SECRETS)
	@$(COMPOSE) up --detach --wait sqlserver

$(SECRETS):
	@umask 077; $(PYTHON) -c 'import secrets as s; print("MSSQL_SA_PASSWORD=Aa1-" + s.token_urlsafe(24) \
		+ "\nTASKS_JWT_SECRET_KEY=" + s.token_urlsafe(48) + "\nTASKS_REFRESH_TOKEN_KEY=" + s.token_urlsafe(48))' > $@.new
	@mv $@.new $@

clean:  ## remove the virtual environment and caches; database and keys in instance/ stay
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: setup.cfg constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@echo "Installing into $(VENV)"
	@$(PIP) --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@$(PIP) --constraint constraints.txt --editable '.[test]'
	@touch $@
