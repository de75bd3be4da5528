# `make demo` is all a new machine needs: Python 3.11 with venv, and make.
#   make demo                     the whole loop on 127.0.0.1, until Ctrl-C; it goes on where it stopped
#   make demo ANSWERS=300         a simulated annotator answers 300 questions; ends with one line of JSON
#   make demo IMAGES=folder       your own images
# PORT, LABEL_STUDIO_PORT and REDIS_PORT change the ports, PAL_HOME the folder that keeps everything (.pal).

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

LABEL_STUDIO_VERSION := 1.23.2
PYTHON ?= $(shell for p in python3.11 python3 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done; echo python3)

demo_options = $(if $(ANSWERS),--answers $(ANSWERS)) $(if $(IMAGES),--images '$(IMAGES)') \
	$(if $(PAL_HOME),--home '$(PAL_HOME)') $(if $(PORT),--port $(PORT)) \
	$(if $(LABEL_STUDIO_PORT),--label-studio-port $(LABEL_STUDIO_PORT)) $(if $(REDIS_PORT),--redis-port $(REDIS_PORT))

.PHONY: help demo environments docs test lint format check clean

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -5
	@echo '  make test | lint | check      the tests; format, types and import contracts; both'
	@echo '  make docs                     the docs as a site, in site/; a warning is an error'
	@echo '  make clean                    remove the environments and caches (never .pal)'

demo: environments
	@.venv/bin/pal demo $(strip $(demo_options))

# The two installations share nothing but the network: side by side they take little longer than one.
environments:
	@$(MAKE) -j2 .venv/.ready .venv-label-studio/.ready

.venv/.ready: requirements.lock pyproject.toml
	@bash .ci/environment pal .venv $(PYTHON) --no-deps -r requirements.lock -- --no-deps --no-build-isolation -e .
	@touch $@

# An environment of its own, since Label Studio pins other versions of the same libraries.
.venv-label-studio/.ready:
	@bash .ci/environment label-studio .venv-label-studio $(PYTHON) label-studio==$(LABEL_STUDIO_VERSION)
	@touch $@

# What only the tests need, and what a lock file cannot say.
# label-studio-ml 1.0.9 pins a Flask with known holes; the adapter's tests run it on a current one.
LABEL_STUDIO_ML := label-studio-ml==1.0.9 label-studio-tools==0.0.4 Flask==3.1.3 Werkzeug==3.1.9 \
	itsdangerous==2.2.0 blinker==1.9.0 colorama==0.4.6
# lightly's losses stand beside ours in tests and benchmarks; all of it would bring pytorch-lightning and hydra with it.
LIGHTLY := lightly==1.6.0
# timm's networks load without the client of a model hub, which all of it would bring.
TIMM := timm==1.0.31
# Groups as Parquet.
PARQUET := pyarrow==26.0.1

# Made anew when a version above changes.
.venv/.ready-test: .venv/.ready Makefile
	@.venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps $(LABEL_STUDIO_ML) $(LIGHTLY) $(TIMM) $(PARQUET)
	@touch $@

# Two processes that calculate with one thread each: threads that wait for each other cost a third more on small arrays.
# An end-to-end module stays in one process, since its tests go on where the one before stopped; the longest is the first of all.
test: export OMP_NUM_THREADS := 1
test: environments .venv/.ready-test
	.venv/bin/python -m pytest -q -n 2 -m 'not e2e'
	.venv/bin/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m e2e

.venv/.ready-docs: .venv/.ready docs/requirements.lock
	@.venv/bin/python -m pip install --disable-pip-version-check --quiet --no-compile --no-deps -r docs/requirements.lock
	@touch $@

# Without the variable the theme announces at every start when its upkeep ends (May 2027).
docs: .venv/.ready-docs
	NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict --quiet

lint: .venv/.ready
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

format: .venv/.ready
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

check: lint test

clean:
	rm -rf .venv .venv-label-studio build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
