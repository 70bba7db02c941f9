# Two commands: `make up` and `make test`. Everything that they need is set up by the first that is called.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
# The stamp is named after what the venv was built from, so a change of the lock or of PYTHON builds it anew and a build
# that was cut short is taken up again.
READY := $(VENV)/.ready-$(shell { cat uv.lock pyproject.toml; echo $(PYTHON); } | cksum | cut -d' ' -f1)

# More processes than cores, because many tests wait; tests/distribution.py says who takes what.
SPREAD := --ignore tests/engine
# Plugins that only a test on the emulator needs are time and memory of each process.
FAST := $(SPREAD) -n 2 -m 'not emulator' -p no:schemathesis -p no:anyio

BENCHES := worker ingest cold_start redrive drain up idle lake_rows lake_reading lake_transform lake_memory lake_tables

# Bytecode is kept, and out of the tree, whatever the shell says: without it every process compiles Pulumi, the SDK and
# the tests anew, which is most of the time that a test process takes to begin.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.build/pycache

.DEFAULT_GOAL := help
.PHONY: help setup up down test test-fast coverage watch engine check docs audit format bench soak clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

up: $(READY)  ## start the local cloud, deploy the program to it and send sample events (STACK=local)
	@$(BIN)/lab up --console

down: $(READY)  ## stop what `make up` started
	@$(BIN)/lab down

setup: $(READY)  ## make the environment of the other commands, which each of them makes too

test: $(READY)  ## run every test, those on the local cloud included (ARGS="-k redrive" to choose)
	@$(BIN)/pytest $(SPREAD) -n 5 --durations=10 $(ARGS)

test-fast: $(READY)  ## run the tests that need no emulator, in minutes (ARGS as above)
	@$(BIN)/pytest $(FAST) $(ARGS)

coverage: $(READY)  ## the same, and fail where fewer branches of components and handlers are run than pyproject.toml says
	@$(BIN)/pytest $(FAST) --cov --cov-report=term $(ARGS)

watch: $(READY)  ## run what failed, else the fast tests, again at every change of a file (ARGS as above)
	@$(BIN)/watchfiles --filter python "$(BIN)/pytest -q --ff -x -m 'not emulator' $(ARGS)" components handlers ops tests

engine: $(READY)  ## deploy with the Pulumi CLI and a stand-in for AWS (needs pulumi on the PATH)
	@$(BIN)/pytest -v --durations=10 tests/engine $(ARGS)

check: $(READY)  ## lint, format, types, import rules, unreferenced code and secrets
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/vulture
	@$(BIN)/python .ci/scan_secrets.py

docs: $(READY)  ## build the documentation as a site, in .build/site/html, and refuse links that lead nowhere
	@$(BIN)/python -m tests.contract.site
	@UV_PROJECT_ENVIRONMENT=.build/venv-docs $(BIN)/uv sync --frozen --quiet --only-group docs --no-install-project --python $(BIN)/python
	@.build/venv-docs/bin/zensical build --strict --clean

audit: $(READY)  ## look every locked dependency up in the database of known vulnerabilities (needs the internet)
	@mkdir -p .build
	@$(BIN)/uv export --frozen --all-groups --no-emit-project --quiet --output-file .build/audit.txt
	@$(BIN)/uv tool run pip-audit@2.10.1 --strict --disable-pip --require-hashes --requirement .build/audit.txt

bench: $(READY)  ## measure what is promised, and write docs/benchmarks.md and docs/iceberg.md (minutes; BENCH=worker to choose)
	@missed=0; for name in $(or $(BENCH),$(BENCHES)); do echo "$$name ..." >&2; \
		$(BIN)/python -m tests.bench.$$name --json docs/benchmarks/$$name.json || missed=1; done; \
		$(BIN)/python -m tests.bench.report > docs/benchmarks.md; \
		$(BIN)/python -m tests.contract.lake_figures; exit $$missed

soak: $(READY)  ## kill, break and flood a local cloud of its own, then account for every event (minutes; SIZE=20000)
	@$(BIN)/python -m tests.pipelines.soak --size $(or $(SIZE),20000)

clean:  ## stop what runs, and delete all that was made here: environments, layers, runs of GameDays, caches (2 GB)
	@! test -x $(BIN)/lab || $(BIN)/lab down
	@rm -rf $(VENV) .venv .venv-emulator .build .lab dist plugin/venv policy/venv *.egg-info .coverage .mypy_cache \
		.pytest_cache .ruff_cache .import_linter_cache .hypothesis .cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

format: $(READY)  ## put the code in the house's format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

# `pulumi install` takes the tools away again
ifeq ($(wildcard $(BIN)/pytest),)
.PHONY: $(READY)
endif
$(READY):
	@test -n "$(PYTHON)" || { echo "Python 3.11 to 3.14 is needed; none was found (PYTHON=/path/to/python names one)" >&2; exit 1; }
	@echo "Setting up $(VENV) (once, and again when uv.lock changes) ..." >&2
	@$(BIN)/uv --version >/dev/null 2>&1 && test "$$($(BIN)/python --version)" = "$$($(PYTHON) --version)" || \
		{ rm -rf $(VENV) && $(PYTHON) -m venv $(VENV) && $(BIN)/pip install --quiet uv; }
	@VIRTUAL_ENV="$(abspath $(VENV))" $(BIN)/uv sync --active --frozen --quiet --group dev
	@rm -f $(VENV)/.ready-* && touch $@
