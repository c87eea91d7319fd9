# `make demo` and `make test` do all of their own set-up in .venv; they need Python 3.10 or newer,
# make and git. Which Python: make PYTHON=/path/to/python3 demo
#
# What the tools do is set in pyproject.toml, so the commands below are the whole of it; noxfile.py
# runs the same ones, each in an environment of its own.

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PACKAGES := $(patsubst %/pyproject.toml,%,$(wildcard packages/*/pyproject.toml))
DEMO := $(strip $(shell sed -e 's/\#.*//' examples/orders/requirements.txt 2>/dev/null))
EXTRA := $(wildcard packages/*/tests/requirements.txt)

.PHONY: help demo test lint types check bench build clean
.DELETE_ON_ERROR:

help:
	@echo "make demo     run examples/orders on its data and show what comes out"
	@echo "make test     everything: lint, types, all tests; 'make check' is the tests alone"
	@echo "make bench    the benchmarks, beside their yardsticks"
	@echo "make build    wheels and source archives of every package, in dist/"
	@echo "make clean    remove .venv and everything that is generated"

demo: $(VENV)/.demo
	@$(BIN)/python examples/orders/demo.py

test: lint types check

lint: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.test
	$(BIN)/mypy

check: $(VENV)/.test
	$(BIN)/pytest --numprocesses=auto --dist=loadgroup

bench: $(VENV)/.test
	PATH="$(CURDIR)/$(BIN):$$PATH" nox --no-venv --session bench

build: $(VENV)/.test
	PATH="$(CURDIR)/$(BIN):$$PATH" nox --no-venv --session build

clean:
	rm -rf $(VENV) .nox .mypy_cache .ruff_cache .pytest_cache .hypothesis dist

# A stamp is younger than what it was made from; a second run finds nothing to do.
# Packages are installed in place, so that a change to the sources needs no new installation, and
# without isolation, so that hatchling is fetched once and not once for each of them.

$(VENV)/.made: .ci/python
	@python=$$(.ci/python) && echo "making $(VENV) with $$($$python --version)" \
		&& $$python -m venv --clear $(VENV)
	@$(PIP) install 'hatchling>=1.26' 'editables>=0.5'
	@touch $@

$(VENV)/.demo: $(VENV)/.made examples/orders/requirements.txt $(DEMO:%=%/pyproject.toml)
	@echo "installing $(DEMO)"
	@$(PIP) install --no-build-isolation $(DEMO:%=--editable %)
	@touch $@

$(VENV)/.test: $(VENV)/.made tests/requirements.txt $(EXTRA) $(PACKAGES:%=%/pyproject.toml)
	@echo "installing $(PACKAGES) and the test tools"
	@$(PIP) install --requirement tests/requirements.txt
	@$(PIP) install --no-build-isolation $(PACKAGES:%=--editable %) $(EXTRA:%=--requirement %)
	@touch $@
