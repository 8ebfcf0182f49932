# `make help` lists the targets. Set-up runs by itself when a target needs it, and again when its inputs change.

.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Waiting OpenMP threads would spin on the cores that decoding and encoding need.
export OMP_WAIT_POLICY := PASSIVE
# An empty environment has no PATH.
export PATH := $(or $(PATH),/usr/local/bin:/usr/bin:/bin)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Debian ships venv without ensurepip, so both are tried. PYTHON=... names another interpreter.
PYTHON ?=
CANDIDATES := $(if $(PYTHON),$(PYTHON),python3 python3.13 python3.12 python3.11 python3.14)
USABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

.PHONY: help venv demo player test lint docs bench dist clean

help: ## list the targets
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 14

venv: $(READY) ## make the environment in .venv and install the product in it

demo: $(READY) ## send and restore a real clip; compare with Lanczos and full-size H.264 (results in demo/)
	@$(BIN)/python samples/demo/demo.py

player: $(READY) ## send a clip, and serve a page on 127.0.0.1 where the browser restores it (needs npm)
	@$(BIN)/python samples/player $(ARGS)

test: $(READY) ## run every test, slow ones too; those that wait for clocks come last, three at a time
	@status=0; export PYTHONDONTWRITEBYTECODE=; \
	$(BIN)/pytest -m 'not alone' -n logical --maxprocesses 8 --dist worksteal || status=1; \
	$(BIN)/pytest $$(grep -rl 'mark\.alone' tests --include='*.py') -m alone -n 3 --dist worksteal || status=1; \
	exit $$status

lint: $(READY) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/mypy
	MYPYPATH=samples $(BIN)/mypy -p demo -p measure -p player -m gpu_check

docs: $(READY) ## build the book in docs/ into site/; a broken link or reference fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: $(READY) ## measure speed; with ARGS="--against COMMIT" beside that commit's (run on an idle machine)
	@$(BIN)/python samples/measure bench $(ARGS)

# With dates of the last commit, so that the same commit gives the same wheel.
dist: $(READY) ## build the source distribution, and from it the wheel (in dist/)
	rm -rf dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 315532800) $(BIN)/python -m build --no-isolation

clean: ## remove all that was made, except the environment (rm -r .venv)
	rm -rf demo bench build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@set -e; python=; \
	for candidate in $(CANDIDATES); do \
		found=$$(command -v "$$candidate") || continue; \
		if "$$found" -c '$(USABLE)' 2>/dev/null; then python=$$found; break; fi; \
	done; \
	if [ -z "$$python" ]; then \
		echo "error: none of '$(CANDIDATES)' is Python 3.11 or newer with venv" \
			"(Debian or Ubuntu: apt-get install python3 python3-venv; another one: make PYTHON=/path/to/python)" >&2; \
		exit 1; \
	fi; \
	echo "setting up $(VENV) with $$("$$python" -V); this takes a few minutes the first time" >&2; \
	"$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install -c constraints.txt -e '.[dev]'
	@reason=$$($(BIN)/python -c 'import cv2' 2>&1) || { \
		echo "error: OpenCV does not load: $$(echo "$$reason" | tail -n 1)" \
			"(Debian or Ubuntu: apt-get install libgl1 libglib2.0-0; then run make again)" >&2; \
		exit 1; \
	}
	@touch $@
