# Everything here sets itself up: all it needs is make and a Python of 3.11 or newer.
#   make demo         real processes on loopback, every way of spreading a file in turn
#   make lab          real processes over shaped links, rivals beside them (Debian, root)
#   make test         format, lint, strict types, layering, tests: the one test command
#   make test-faults  what breaks real processes, sockets or disks, the long tests too
#   make fuzz         every reader of bytes from outside under a fuzzer, FUZZ_SECONDS=60 each
#   make bench        the numbers of docs/BENCHMARKS.md
#   make compiled     the cores as extension modules in build/compiled, for large simulations
#   make fmt          formats and fixes what can be fixed
#   make clean        removes .venv and every cache

SHELL := /bin/sh
.SUFFIXES:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# With these and the set-up 'make demo' takes about a minute.
DEMO_ARGS ?= --size 32M --rate 16M
# With these three rounds of all contenders take about six minutes.
LAB_ARGS ?= --contender all --repeat 3
BENCH_ARGS ?=
TEST_ARGS ?=
FUZZ_SECONDS ?= 60
FUZZ_ARGS ?=

# A name on PATH is not yet an interpreter (version managers leave shims that only print an
# error), and Debian ships Python without ensurepip: the first that really can is taken.
PROBE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
FIND_PYTHON = for name in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
	if "$$name" -c '$(PROBE)' >/dev/null 2>&1; then echo "$$name"; break; fi; done
# The variables hold for what builds strew itself, too; -qq leaves errors only.
PIP_INSTALL = PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt \
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-warn-script-location

# System packages (Debian's names): what makes links, what measures them, and the rivals. The tests
# of the lab need them too.
LAB_PACKAGES := iproute2 iperf3 curl aria2 nginx-light netcat-openbsd
LAB_TOOLS := ip iperf3 curl aria2c nginx nc
# What breaks processes, disks and clocks in the tests of faults.
FAULT_PACKAGES := strace faketime e2fsprogs mount
FAULT_TOOLS := strace faketime mkfs.ext4 losetup
# What looks at the dashboard, and what scrapes the metrics.
SIGHT_PACKAGES := chromium fonts-dejavu-core prometheus
SIGHT_TOOLS := chromium prometheus promtool
SUDO := $(shell [ "$$(id -u)" -eq 0 ] || echo sudo)

.PHONY: help demo lab lab-tools test test-tools test-faults fuzz bench compiled fmt clean

help:
	@sed -n '2,10s/^# *//p' Makefile

# The virtual environment is made anew whenever what it is made from changes, so that nothing of
# an older set of versions is left in it.
$(VENV)/.run-stamp: pyproject.toml constraints.txt Makefile
	@set -e; python="$$($(FIND_PYTHON))"; \
	if [ -z "$$python" ]; then \
		echo "make: no Python >= 3.11 with venv and ensurepip found;" \
			"install one (Debian: apt-get install python3-venv) or say make PYTHON=/path/to/it" >&2; \
		exit 1; \
	fi; \
	echo "setting up $(VENV) with $$("$$python" -V)"; \
	rm -rf $(VENV); \
	"$$python" -m venv $(VENV); \
	$(PIP_INSTALL) --editable .; \
	touch $@

$(VENV)/.dev-stamp: $(VENV)/.run-stamp
	@echo "adding the test tools"
	@$(PIP_INSTALL) --editable '.[dev,lab,top,otel]'
	@touch $@

$(VENV)/.lab-stamp: $(VENV)/.run-stamp
	@$(PIP_INSTALL) --editable '.[lab]'
	@touch $@

demo: $(VENV)/.run-stamp
	@$(BIN)/strew demo --strategy all $(DEMO_ARGS)

lab-tools: TOOLS := $(LAB_TOOLS)
lab-tools: PACKAGES := $(LAB_PACKAGES)
test-tools: TOOLS := $(LAB_TOOLS) $(FAULT_TOOLS) $(SIGHT_TOOLS)
test-tools: PACKAGES := $(LAB_PACKAGES) $(FAULT_PACKAGES) $(SIGHT_PACKAGES)

# /usr/sbin is where Debian has ip and nginx, and not on everybody's PATH.
lab-tools test-tools:
	@set -e; PATH="$$PATH:/usr/sbin:/sbin"; missing=; \
	for tool in $(TOOLS); do command -v $$tool >/dev/null 2>&1 || missing="$$missing $$tool"; done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null 2>&1; then \
		echo "make: not installed:$$missing; these are Debian's $(PACKAGES)" >&2; exit 1; \
	fi; \
	echo "installing system packages for$$missing"; \
	export DEBIAN_FRONTEND=noninteractive; \
	$(SUDO) apt-get update -qq; \
	$(SUDO) apt-get install -y -qq --no-install-recommends $(PACKAGES) >/dev/null

lab: $(VENV)/.lab-stamp lab-tools
	@$(SUDO) $(BIN)/strew lab $(LAB_ARGS)

test: $(VENV)/.dev-stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q -n $(WORKERS) -m 'not long' $(TEST_ARGS)

# Of each promise it prints what was measured beside it, last of all.
test-faults: $(VENV)/.dev-stamp test-tools
	$(BIN)/pytest -q -m 'faults or long' $(TEST_ARGS)

# The fuzzer has ready-made packages for x86_64 only.
fuzz: $(VENV)/.dev-stamp
	@$(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS) $(FUZZ_ARGS)

bench: $(VENV)/.dev-stamp
	@$(BIN)/python -m bench $(BENCH_ARGS)

# Nothing needs it; PYTHONPATH=build/compiled uses it. Needs gcc and Python's headers.
compiled: build/compiled/.stamp

build/compiled/.stamp: $(VENV)/.dev-stamp bench/compiled.py $(shell find src/strew -name '*.py')
	@$(BIN)/python -m bench.compiled
	@touch $@

fmt: $(VENV)/.dev-stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
