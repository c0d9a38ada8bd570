# Everything a developer does. `make help` lists it; `make run` alone is enough to see the site.

PYTHON3 ?= python3
ROWS ?= 250000
ARGS ?=

PYTHON := .venv/bin/python
STACK := $(PYTHON) -m exportsite.stack
INSTALLED := .venv/.installed
READERS := tests/readers/node_modules/.installed

# uv needs a fifth of the time; where it does not reach the packages as pip is set up to, pip goes on.
UV := uv==0.13.9
INSTALL := $(PYTHON) -m pip install --quiet --disable-pip-version-check
UV_INSTALL := UV_NATIVE_TLS=1 $(PYTHON) -m uv pip install --quiet --compile-bytecode --python $(PYTHON)

.DEFAULT_GOAL := help
.PHONY: setup run test test-full check lock pin-images image-check bench chaos soak fuzz help

setup: $(INSTALLED) $(READERS)  ## Make .venv and install everything, once per change of the requirements

$(INSTALLED): requirements.txt requirements-stack.txt requirements-dev.txt
	@$(PYTHON3) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON3=…")'
	@echo "Installing into .venv: once, and again when the requirements change"
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || $(PYTHON3) -m venv --clear .venv
	@$(INSTALL) $(UV) && $(UV_INSTALL) -r requirements-dev.txt || $(INSTALL) -r requirements-dev.txt
	@touch $@

# What JavaScript reads our files with, in tests alone.
$(READERS): tests/readers/package.json tests/readers/package-lock.json
	@if command -v npm >/dev/null; then \
		echo "Installing JavaScript's readers into tests/readers"; \
		cd tests/readers && npm ci --silent --no-progress && touch node_modules/.installed; \
	elif [ "$$CI" = true ]; then \
		echo "npm is missing: its readers of our files are part of the tests (Debian: nodejs npm)" >&2; exit 1; \
	else \
		echo "npm is missing, so the tests leave JavaScript's readers out (Debian: nodejs npm)"; \
	fi

run: $(INSTALLED)  ## Serve the site on this machine: real PostgreSQL, Redis and S3, samples (ROWS=250000), a first export
	@$(STACK) up --follow-parent --rows $(ROWS) $(ARGS)

PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder
# What counts connections and seconds beside a held table has the machine to itself, at the end.
ALONE := tests/connections
TESTS := $(if $(ARGS),$(PYTHON) -m pytest $(PARALLEL) $(ARGS),sh -c '$(PYTHON) -m pytest $(PARALLEL) --ignore=$(ALONE) && $(PYTHON) -m pytest $(ALONE)')
test: setup  ## Run the tests on real services, in two processes; ARGS="-k name -x" go to pytest, "-n 0" has one
	@$(STACK) run --follow-parent --services-only -- $(TESTS)

LONG_TESTS := tests/test_readers.py tests/test_large_workbooks.py tests/foreign tests/test_sign_in_attack.py \
	tests/counting/test_ten_million.py tests/test_backlog.py tests/test_failover.py \
	tests/test_sentinel.py tests/test_pgbouncer.py tests/upgrades tests/working \
	tests/access tests/keys tests/stores tests/test_interrupted.py
FULL := ALL_FLIGHTS=1 LARGE_WORKBOOKS=1 FOREIGN_SCHEMAS=1 LONG_ATTACK=1 TEN_MILLION_ROWS=1 LONG_BACKLOG=1 BACKLOG_FILES=20000 REDIS_FAILOVER=1 \
	REAL_WORKERS=1 MILLION_ROWS=1 UPGRADES=1 POOLER_OUTAGE=1 WHOLE_MATRICES=1 ALL_STORES=1 CEPH=1
test-full: setup  ## Run what `make test` takes a part of: all flights by every reader, large workbooks, a foreign schema, each matrix whole, an attack, a backlog, a failover, a pooler that is gone, workers of each pool, a million rows in 256 MB, all stores, an upgrade
	@$(FULL) $(STACK) run --follow-parent --services-only -- $(PYTHON) -m pytest $(LONG_TESTS) $(ARGS)

check: setup  ## Lint, types, direction of imports, migrations, production settings
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	DEBUG=1 $(PYTHON) -m mypy
	$(PYTHON) .venv/bin/lint-imports
	$(PYTHON) -m exportsite.stack.lock
	$(PYTHON) -m exportsite.stack.production manage.py makemigrations --check --dry-run
	$(PYTHON) -m exportsite.stack.production manage.py check --deploy --fail-level WARNING

# No address of an index in it: who installs has their own.
lock: setup  ## Write requirements.lock anew from requirements.txt, with the hash of every file
	UV_NATIVE_TLS=1 $(PYTHON) -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links requirements.txt -o requirements.lock

pin-images: setup  ## Write the digests of the images behind their versions, where the registry can be asked
	$(PYTHON) -m exportsite.stack.pins

image-check: setup  ## Execute the Dockerfile's steps in a clean Debian and start the site there (root, debootstrap)
	@$(STACK) run --follow-parent --services-only -- $(PYTHON) -m exportsite.stack.image

QUICK = $(filter --quick,$(ARGS))
bench: setup  ## Measure speed and memory beside the peers; writes docs/benchmarks.md, unless ARGS=--quick
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	@$(STACK) run --follow-parent --services-only -- $(PYTHON) -m benchmarks $(ARGS)
	@WEB_CONCURRENCY=2 EXPORTS_MAX_ACTIVE=0 $(STACK) run --follow-parent --rows $(if $(QUICK),100000,1000000) -- $(PYTHON) -m benchmarks.latency $(QUICK)
	@$(STACK) run --follow-parent --rows 20000 -- $(PYTHON) -m benchmarks.streams $(QUICK)

chaos: setup  ## Break workers, database, Redis and S3 under running exports, room by room (ARGS=house is one); 20 minutes at most
	@$(STACK) run --follow-parent --services-only -- $(PYTHON) -m chaos $(ARGS)

soak: setup  ## Eight clients, killed children and bursts for 25 minutes, and nothing lost or grown; ARGS="--minutes 5"
	@$(STACK) run --follow-parent --services-only -- $(PYTHON) -m chaos.soak $(ARGS)

fuzz: setup  ## Ask the API of a whole stack for everything its schema allows, and more; ARGS go to schemathesis
	@EXPORTS_MAX_ACTIVE=0 EXPORTS_METRICS_TOKEN=fuzz $(STACK) run --follow-parent --rows 300 -- sh -c '\
		.venv/bin/schemathesis run "$$EXPORTSITE_URL/api/schema/" -H "Authorization: Bearer $$EXPORTSITE_TOKEN" \
		--checks all --continue-on-failure --max-examples 20 --request-timeout 20 $(ARGS)'

help:  ## This list
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18
