# make run    the main job: a BPF program walks this process's address space, off the kernel
# make test   all tests
# make check  ruff, ruff format, mypy --strict
# make bench  the benchmarks
# Each sets up its own virtual environment in .venv; nothing else is needed but Python 3.11 or newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MAPS := $(if $(wildcard /proc/self/maps),/proc/self/maps,programs/data/maps.txt)

.PHONY: run test check bench clean

run: $(VENV)/.run
	$(BIN)/bpfemu run programs/iters/vma_census.bpf.o --task-maps $(MAPS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m bench

$(VENV)/.run: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[pytest,clang,dev]'
	touch $@ $(VENV)/.run

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
