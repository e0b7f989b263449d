# Targets install what they need. They require only make and Python 3.11 or 3.12.
.DEFAULT_GOAL := help
.PHONY: help run test tests demo console lint format docs accuracy bench bench-scaling fuzz clean

PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 3468
UV_VERSION := 0.13.8
UV := .tools/bin/uv
export UV_PYTHON := $(PYTHON)
# uv only trusts its own root certificates. A proxy that inspects TLS has a root that only the system trusts.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt),)
export UV_SYSTEM_CERTS := 1
endif
# Without files of bytecode, every Python process compiles all that it imports, which doubles the CPU time of a start.
unexport PYTHONDONTWRITEBYTECODE
RUN := .venv/bin
CONSOLE := .tools/console.stamp
CONSOLE_SOURCES := $(wildcard console/*.json console/build.* console/src/*)

help:  ## List the targets.
	@sed -nE 's/^([a-z-]+):.*## (.*)/make \1	\2/p' $(MAKEFILE_LIST) | expand -t 20

run: .venv/runtime.stamp $(CONSOLE)  ## Start the emulator on http://127.0.0.1:3468.
	@exec $(RUN)/face-emulator serve --host $(HOST) --port $(PORT)

demo: .venv/runtime.stamp  ## Send a picture to all vendors (PHOTO=me.jpg).
	@$(RUN)/face-emulator demo $(if $(PHOTO),"$(PHOTO)")

test: lint tests  ## Run all checks and tests.

tests: .venv/dev.stamp $(CONSOLE)
	$(RUN)/pytest -n auto --dist worksteal

console: $(UV)  ## Build the console.
	.tools/bin/python console/build.py
	@touch $(CONSOLE)

fuzz: .venv/dev.stamp  ## Send many random inputs to the emulator, and kill its processes (about 45 minutes).
	$(RUN)/pytest -m fuzz tests/conformance tests/robustness

accuracy: .venv/dev.stamp  ## Measure the accuracy of head shapes and reshapes (PHOTOS=folder).
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(RUN)/python -m benchmarks.accuracy $(if $(PHOTOS),--photos "$(PHOTOS)")
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(RUN)/python -m benchmarks.reshape

bench: .venv/dev.stamp  ## Measure the speed, compared with an empty FastAPI application and other emulators.
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(RUN)/python -m benchmarks.speed

bench-scaling: .venv/dev.stamp  ## Measure several servers and workers, compared with one server without a database.
	@OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(RUN)/python -m benchmarks.scaling

lint: .venv/dev.stamp
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

format: .venv/dev.stamp  ## Format the code.
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

docs: .venv/dev.stamp  ## Generate the reference pages, and build the site in site/.
	$(RUN)/python -m docgen
	$(RUN)/zensical build --strict

clean:  ## Remove everything that was installed or generated.
	rm -rf console/node_modules emulator/control/console/built
	rm -rf .venv .niquests .tools .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .cache demo site

.venv/runtime.stamp: uv.lock pyproject.toml $(UV)
	$(UV) sync --frozen --extra server --no-dev --inexact
	@touch $@

.venv/dev.stamp: uv.lock pyproject.toml $(UV)
	$(UV) sync --frozen --extra server --extra scale
	UV_PROJECT_ENVIRONMENT=.niquests $(UV) sync --frozen --only-group niquests
	@touch $@ .venv/runtime.stamp

# Without the npm registry, the emulator has no console. A page in its place describes how to get it.
$(CONSOLE): $(CONSOLE_SOURCES) $(UV)
	@.tools/bin/python console/build.py --optional
	@touch $@

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || { \
	  echo "Python 3.11 or 3.12 is required; select one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
