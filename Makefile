# `make run` and `make test` do all set-up by themselves; Python 3.11 or 3.12 and make are enough.
.DEFAULT_GOAL := help
.PHONY: help run test demo lint format accuracy clean

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 3468
UV_VERSION := 0.13.8
UV := .tools/bin/uv
export UV_PYTHON := $(PYTHON)
RUN := .venv/bin

help:  ## Say what there is.
	@sed -nE 's/^([a-z]+):.*## (.*)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 14

run: .venv/runtime.stamp  ## Install, and serve on http://127.0.0.1:3468.
	@exec $(RUN)/face-emulator serve --host $(HOST) --port $(PORT)

demo: .venv/runtime.stamp  ## Install, and send a face through all three vendors (PHOTO=me.jpg).
	@$(RUN)/face-emulator demo $(if $(PHOTO),"$(PHOTO)")

test: lint  ## Install what the tests need, check and test everything.
	$(RUN)/pytest -n auto --dist worksteal

accuracy: .venv/dev.stamp  ## Measure the head model on people of known shape, and the reshape in the pixels (PHOTOS=folder).
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(RUN)/python -m benchmarks.accuracy $(if $(PHOTOS),--photos "$(PHOTOS)")
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(RUN)/python -m benchmarks.reshape

lint: .venv/dev.stamp
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

format: .venv/dev.stamp  ## Put the code into its format.
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

clean:  ## Remove everything that was installed or made.
	rm -rf .venv .tools .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis demo

.venv/runtime.stamp: uv.lock pyproject.toml $(UV)
	$(UV) sync --frozen --no-dev --inexact
	@touch $@

.venv/dev.stamp: uv.lock pyproject.toml $(UV)
	$(UV) sync --frozen
	@touch $@ .venv/runtime.stamp

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || { \
	  echo "Python 3.11 or 3.12 is needed; choose one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
