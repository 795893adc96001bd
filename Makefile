# Everything runs from .venv, which is built from requirements.lock and nothing else.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
UV     ?= $(BIN)/uv
ARGS   ?=

# Who measures: an environment that has the peers too may be named (docs/performance.md).
BENCH_PYTHON ?= $(BIN)/python

# An interpreter that was asked for is the only one tried; python3 may be too old or too new, then its siblings are.
ifeq ($(origin PYTHON),file)
CANDIDATES := $(PYTHON) python3.13 python3.12 python3.11
else
CANDIDATES := $(PYTHON)
endif
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))

.DEFAULT_GOAL := help
.PHONY: help setup demo test soak roundtrip bench bench-quick bench-compare bench-service bench-bridge check check-lint check-format check-types check-imports format lock clean

help: ## Print this help
	@echo 'usage: make TARGET [ARGS="..."] [PYTHON=python3.12]'
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-13s %s\n", $$1, $$2 }'

setup: $(STAMP) ## Create .venv from requirements.lock (the other targets do it by themselves)

# The stamp is written last: whatever was interrupted before it is done again. A .venv without a working interpreter
# and pip of a supported version is replaced.
$(BIN)/python: ;

$(STAMP): pyproject.toml requirements.lock $(BIN)/python
	@rm -f $(STAMP); \
	if ! $(BIN)/python -c '$(SUPPORTED)' 2>/dev/null || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
		for candidate in $(CANDIDATES); do \
			if $$candidate -c '$(SUPPORTED)' 2>/dev/null; then found=$$candidate; break; fi; \
		done; \
		if [ -z "$$found" ]; then \
			echo 'updown needs Python 3.11, 3.12 or 3.13; none found as: $(CANDIDATES).' >&2; \
			echo 'Name one with: make PYTHON=/path/to/python3.12' >&2; \
			exit 1; \
		fi; \
		echo "Creating $(VENV) with $$found"; \
		$$found -m venv --clear $(VENV) || { \
			echo "$$found cannot create environments (on Debian and Ubuntu: install python3-venv)." >&2; \
			exit 1; \
		}; \
	fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-index --no-build-isolation -e .
	@touch $(STAMP)

demo: $(STAMP) ## Run the demonstration, offline; ARGS are its arguments
	$(BIN)/updown demo $(ARGS)

test: $(STAMP) ## Run the tests and the coverage thresholds; with ARGS (pytest's) no thresholds
	$(BIN)/python -m pytest --cov --cov-report= $(ARGS)
ifeq ($(strip $(ARGS)),)
	@status=0; \
	$(BIN)/coverage report --include='engine/*' --fail-under=95 || status=1; \
	$(BIN)/coverage report --include='actors/*' --fail-under=85 || status=1; \
	exit $$status
endif

soak: $(STAMP) ## Follow fifty markets of the stand-in venue for ten minutes and judge every deadline
	$(BIN)/python tests/bench/soak.py $(ARGS)

roundtrip: $(STAMP) ## Record ten minutes of the stand-in venue and replay them, whole and cut, to the same bytes
	$(BIN)/python tests/bench/roundtrip.py $(ARGS)

bench: $(STAMP) ## Measure what a message costs, offline and live, beside others, and judge it (within ten minutes)
	$(BENCH_PYTHON) tests/bench/speed/speed.py --json build/bench/speed.json --plot build/bench/speed.svg $(ARGS)

bench-quick: $(STAMP) ## The same within a minute, with fewer messages and rounds
	$(BENCH_PYTHON) tests/bench/speed/speed.py --quick --json build/bench/quick.json --plot build/bench/quick.svg $(ARGS)

bench-compare: $(STAMP) ## Compare the offline rows with another commit: make bench-compare BASE=main~5
	$(BENCH_PYTHON) tests/bench/speed/compare.py $(or $(BASE),$(error name a commit: make bench-compare BASE=...)) $(ARGS)

bench-service: $(STAMP) ## Measure what a bot on asyncio may expect of the service, and judge it (about two minutes)
	$(BIN)/python tests/bench/service.py $(ARGS)

bench-bridge: $(STAMP) ## Measure the ways from asyncio to the engine against each other (about two minutes)
	$(BIN)/python tests/bench/bridge.py $(ARGS)

check: check-lint check-format check-types check-imports ## Lint, formatting, types, architecture (-k: show them all)

check-lint: $(STAMP)
	$(BIN)/ruff check .

check-format: $(STAMP)
	$(BIN)/ruff format --check .

check-types: $(STAMP)
	$(BIN)/mypy --strict engine actors

check-imports: $(STAMP)
	$(BIN)/lint-imports

format: $(STAMP) ## Format the code and fix what can be fixed safely
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

# Pins are kept unless asked otherwise. Extra indexes and local directories are left out: only what every mirror of the
# public registry serves may enter the lock. An existing uv is enough, so a broken lock can be repaired.
lock: $(UV) ## Regenerate requirements.lock; ARGS=--upgrade raises the pins
	env -u UV_INDEX -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS $(UV) pip compile --no-config --quiet \
		--universal --python-version 3.11 --group dev --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command 'make lock' --output-file requirements.lock $(ARGS) pyproject.toml
	@if grep -nE '://|^-|@ ' requirements.lock; then \
		echo 'requirements.lock names an address or an option' >&2; exit 1; \
	fi

$(BIN)/uv:
	$(MAKE) setup

clean: ## Remove .venv and everything generated
	rm -rf $(VENV) build dist htmlcov .coverage .coverage.* .hypothesis .import_linter_cache
	rm -rf .mypy_cache .pytest_cache .ruff_cache
	find engine actors tests -name __pycache__ -type d -prune -exec rm -rf {} +
