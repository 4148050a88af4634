# Each target does the whole set-up on a machine that has nothing but Python 3.11 or newer.
# On Linux without a GPU, the CPU build of torch saves gigabytes: see "Install" in the README.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: fit test test-slow lint bench bench-quick lock

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

# What requirements-dev.txt names is installed by its hash: a file that was changed after its release is refused. torch
# stands outside: which of its builds is right is the machine's affair, and each has hashes of its own, at another place.
$(VENV)/installed: pyproject.toml constraints.txt requirements-dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps --requirement requirements-dev.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --no-build-isolation --no-deps --editable .
	touch $@

# requirements-dev.txt anew, after a change of pyproject.toml or constraints.txt. It needs uv: pip install uv
lock: export UV_CUSTOM_COMPILE_COMMAND = make lock
lock:
	uv pip compile pyproject.toml --extra dev --constraint constraints.txt --output-file requirements-dev.txt --quiet \
	    --universal --only-binary :all: --emit-build-options --generate-hashes --no-emit-package torch --no-annotate --upgrade
