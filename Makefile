# Needs: Python 3.11 or newer, make. Everything else comes into $(VENV) from the hash-locked files in requirements/.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
RUN_READY := $(VENV)/.run-ready
TEST_READY := $(VENV)/.test-ready

# -qq: pip's warnings (proxies, mirrors, its own age) are not ours; its errors still show.
INSTALL := $(BIN)/python -m pip --disable-pip-version-check -qq install
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock' --exclude-newer '7 days' --no-config

.DEFAULT_GOAL := help
.PHONY: help demo test check coverage bench lock clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile
	@echo "  ARGS=… goes to the command (make demo ARGS=--once), PYTHON=… and VENV=… choose the interpreter and its place"

demo: $(RUN_READY)  ## start Dev-Guro on http://127.0.0.1:8000; ARGS=--once ends by itself
	@$(BIN)/python -m comanda demo $(ARGS)

test: $(TEST_READY)  ## run the whole suite; ARGS=… goes to pytest
	@$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

check: $(TEST_READY)  ## run the linter, the formatter's check and both type checkers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

coverage: $(TEST_READY)  ## run the suite under coverage, child processes too; fails below 90 % of lines or branches
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -n 2 --dist loadfile -m "not untraced" $(ARGS)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report
	@$(BIN)/coverage json -q -o - | $(BIN)/python -c 'import json, sys; \
		branches = json.load(sys.stdin)["totals"]["percent_branches_covered"]; \
		sys.exit(print(f"branches covered: {branches:.1f} % (at least 90)") or branches < 90)'

bench: $(TEST_READY)  ## measure against the bare loops; ARGS=… goes to benchmarks.run
	@$(BIN)/python -m benchmarks.run $(ARGS)

lock:  ## write requirements/*.txt again; ARGS=--upgrade takes versions at least 7 days old
	@test -x $(BIN)/uv || $(MAKE) --no-print-directory $(TEST_READY)  # no stamp: a lock that no longer installs must be mendable
	$(LOCK) $(ARGS) pyproject.toml requirements/run.in --extra demo --extra dev --extra postgres \
		--extra redis -o requirements/run.txt >/dev/null
	$(LOCK) $(ARGS) pyproject.toml requirements/run.in requirements/test.in --all-extras -o requirements/test.txt >/dev/null
	@! grep -nE '://|^-|file:' requirements/run.txt requirements/test.txt || \
		{ echo "a lock names an address or an option: the lines above" >&2; exit 1; }

clean:  ## remove the environments, the caches and what tests leave behind
	rm -rf $(VENV) .venv-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage .coverage.* dist build
	find src tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# The stamps: an environment is made again when a lock or the package's metadata is newer than it.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "comanda needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) -V 2>&1)." >&2; \
		echo "Name another one, for example: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) cannot make virtual environments: its venv module is missing (Debian, Ubuntu: package python3-venv)." >&2; \
		echo "Install it, or name another Python: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@echo '*' >$(VENV)/.gitignore

$(RUN_READY): requirements/run.txt pyproject.toml | $(BIN)/python
	@echo "installing what comanda needs into $(VENV) (once)"
	@$(INSTALL) --require-hashes -r requirements/run.txt
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(TEST_READY): requirements/test.txt $(RUN_READY)
	@echo "installing what the tests and checks need into $(VENV) (once)"
	@$(INSTALL) --require-hashes -r requirements/test.txt
	@touch $@
