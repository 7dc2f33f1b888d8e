# Everything runs in .venv, which the first target that needs it creates.
#
#   make transfer      score the bundled policy, zero-shot, on bodies it never saw (ARGS="..." is passed on)
#   make test          the whole fast test-suite
#   make docs          the documentation site, in site/
#
# Settings, all optional:
#   PYTHON=python3.12  the interpreter that .venv is made from (3.11 or newer)
#   TORCH_INDEX=URL    the package index to take torch from, to choose a CPU or a CUDA build
#   WORKERS=2          parallel test processes
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
TORCH_INDEX ?=
ARGS ?=

# The stamp carries a checksum, so that .venv follows the content of the two files and not their dates.
SUM := $(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)
STAMP := $(VENV)/.installed-$(SUM)
DOCS := $(VENV)/.docs-$(SUM)

# Spinning threads of torch slow MuJoCo's down: a waiting thread must sleep, but not between two operations.
export OMP_WAIT_POLICY ?= PASSIVE
export GOMP_SPINCOUNT ?= 20000

.PHONY: help venv transfer test test-slow test-ray test-hub1 test-render docs clips pictures test-docs lint format bench check-results scores readme clean distclean

help:
	@sed -n '1,/^SHELL/{/^#/s/^# \{0,1\}//p}' Makefile

venv: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@python=$${PYTHON:-}; \
	if [ -z "$$python" ]; then \
	  for name in python3.11 python3.12 python3; do \
	    if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	      python=$$name; break; \
	    fi; \
	  done; \
	fi; \
	if [ -z "$$python" ]; then \
	  echo "morphzoo needs Python 3.11 or newer; found: $$(python3 --version 2>&1 || true)." >&2; \
	  echo "Install one, or name it: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  echo "PYTHON=$$python is not Python 3.11 or newer: $$("$$python" --version 2>&1 || true)." >&2; exit 1; \
	fi; \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	  echo "$$python cannot make virtual environments: install its venv package (python3-venv on Debian)." >&2; \
	  exit 1; \
	fi; \
	if [ -x $(BIN)/python ] && $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  echo "Bringing $(VENV) up to date with pyproject.toml and constraints.txt."; \
	else \
	  echo "Creating $(VENV) with $$("$$python" --version): a few minutes, once."; \
	  "$$python" -m venv --clear $(VENV); \
	fi
	$(BIN)/python -m pip install -c constraints.txt $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	@rm -f $(VENV)/.installed-*; touch $@

# What builds the site is installed when it is first built.
$(DOCS): $(STAMP)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[docs]'
	@rm -f $(VENV)/.docs-*; touch $@

transfer: $(STAMP)
	$(BIN)/python zoo_scripts/evaluate_transfer.py $(ARGS)

test: $(STAMP)
	OMP_NUM_THREADS=1 PYTHONHASHSEED=0 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q -rs \
	  -m "not slow and not ray and not docs" $(ARGS)

# Trainings and searches on a local Ray cluster, workers killed meanwhile.
test-ray: $(STAMP)
	OMP_NUM_THREADS=1 PYTHONHASHSEED=0 $(BIN)/python -m pytest -q -rs -m ray $(ARGS)

test-slow: $(STAMP)
	OMP_NUM_THREADS=1 PYTHONHASHSEED=0 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q -rs \
	  -m slow $(ARGS)

# The hub's tests with version 1 of huggingface_hub, in an environment that sees all else of .venv.
HUB1 := .venv-hub1
test-hub1: $(STAMP)
	$(BIN)/python -m venv --clear --without-pip $(HUB1)
	$(BIN)/python -m pip --python $(HUB1)/bin/python install -q 'huggingface_hub>=1,<2'
	$(BIN)/python -c 'import site; print(*site.getsitepackages(), sep="\n")' \
	  > "$$($(HUB1)/bin/python -c 'import site; print(site.getsitepackages()[0])')/rest.pth"
	MORPHZOO_HUB1_PYTHON=$(CURDIR)/$(HUB1)/bin/python OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -rs -m slow \
	  tests/test_hub_versions.py $(ARGS)

# Fails, naming the packages to install, where `make test` would skip.
test-render: $(STAMP)
	MORPHZOO_REQUIRE_GL=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -rs -m render $(ARGS)

# The site, warnings as errors; links that lead nowhere and what is loaded from elsewhere are errors too.
docs: $(DOCS)
	$(BIN)/python -m website

# Film the bundled checkpoints for the gallery, once; needs a GL library.
clips: $(STAMP)
	$(BIN)/python -m website.clips $(ARGS)

# Draw the environments' pictures anew; needs a GL library.
pictures: $(STAMP)
	$(BIN)/python -m website.pictures

# The site in a real browser, clips included. Names the packages to install where there is none.
test-docs: $(DOCS)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[browser]'
	$(BIN)/python -m website.browser
	$(BIN)/python -m website.clips --seconds 3 snowflake-centipede-6
	$(BIN)/python -m website
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -rs -m docs $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pyright --pythonpath $(BIN)/python

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev,bench]'
	$(BIN)/python -m benchmarks $(ARGS)

# Run the first 20 episodes of every bundled score again; fails where a score has moved.
check-results: $(STAMP)
	$(BIN)/python zoo_scripts/check_results.py $(ARGS)

SNOWFLAKE := snowflake-centipede-6
LONG := $(foreach legs,20 18 16 14 12 8 6,morphzoo/Centipede-$(legs)-v0)
ANT := morphzoo/AntVelocityCommand-v0
# Other numbers of legs; a joint without a motor; velocities that were never commanded in training.
ANTS := ,num_legs=3 ,num_legs=5 ,num_legs=6 ,num_legs=8 ,disabled_joints=[ankle_2] \
  ,target_velocity=[3.0,0.0] ,target_velocity=[1.5,1.0] ,target_velocity=[0.0,0.0]
# The published scores: 100 episodes, stored in the checkpoints, docs/transfer.* and the README.
scores: $(STAMP)
	$(BIN)/python zoo_scripts/evaluate_transfer.py --episodes 100 --both --store \
	  --policies $(SNOWFLAKE) $(SNOWFLAKE)-seed-0 $(SNOWFLAKE)-seed-2 $(SNOWFLAKE)-seed-3 $(SNOWFLAKE)-first \
	  $(SNOWFLAKE)-long $(SNOWFLAKE)-long-seed-1 mlp-centipede-6 random \
	  --json docs/transfer.json --csv docs/transfer.csv --plot docs/transfer.png $(ARGS)
	$(BIN)/python zoo_scripts/evaluate_transfer.py --episodes 100 --both --store \
	  --policies snowflake-centipede-20 mlp-centipede-20 random --envs $(LONG) --json docs/centipede-20.json $(ARGS)
	$(BIN)/python zoo_scripts/evaluate_transfer.py --episodes 100 --both --store \
	  --policies snowflake-walker2d nervenet-walker2d mlp-walker2d random --envs morphzoo/Walker2d-v5 \
	  --json docs/walker2d.json $(ARGS)
	$(BIN)/python zoo_scripts/evaluate_transfer.py --episodes 100 --both --store \
	  --policies snowflake-ant-velocity mlp-ant-velocity random --envs $(ANT) $(foreach which,$(ANTS),$(ANT)$(which)) \
	  --json docs/ant-velocity.json $(ARGS)
	$(BIN)/python zoo_scripts/evaluate_transfer.py --episodes 100 --both --store \
	  --policies epvf-ant-velocity es-ant-velocity random --envs morphzoo/AntVelocity-v0 --json docs/searches.json $(ARGS)
	$(MAKE) readme

readme: $(STAMP)
	$(BIN)/python zoo_scripts/readme_table.py

clean:
	rm -rf build dist site .pytest_cache .ruff_cache .hypothesis *.egg-info
	find morphzoo zoo_scripts tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(HUB1)
