# Each target does the whole set-up on a machine that has nothing but Python 3.11 or newer.
# On Linux without a GPU, the CPU build of torch saves gigabytes: see "Install" in the README.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: fit test test-slow lint bench bench-quick

fit: $(VENV)/installed
	$(BIN)/rnn-lightning fit --config lstm.yaml
	$(BIN)/rnn-lightning test

# A process for each core, and each of one thread: torch's threads would wait for each other.
test: $(VENV)/installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/installed
	$(BIN)/python benchmarks/run.py

bench-quick: $(VENV)/installed
	$(BIN)/python benchmarks/run.py --quick

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@
