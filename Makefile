# Every target installs what it needs into .venv by itself, and only when the requirements have changed.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed

.PHONY: demo test test-faults ui bench lint clean

demo: $(INSTALLED)
	$(BIN)/fullspectrum search digits

test: $(INSTALLED)
	$(BIN)/python -m pytest

# What hurts a search: killed workers and drivers, lost nodes, full disks, servers that are away. A part of `make test`.
test-faults: $(INSTALLED)
	$(BIN)/python -m pytest tests/faults

ui: $(INSTALLED)
	$(BIN)/fullspectrum ui

bench: $(INSTALLED)
	$(BIN)/python -m tests.benchmarks.stages
	$(BIN)/python -m tests.benchmarks.coordinate
	$(BIN)/python -m tests.benchmarks.separable
	$(BIN)/python -m tests.benchmarks.pipeline
	$(BIN)/python -m tests.benchmarks.step
	$(BIN)/python -m tests.benchmarks.sources
	$(BIN)/python -m tests.benchmarks.ascent
	$(BIN)/python -m tests.benchmarks.search
	$(BIN)/python -m tests.benchmarks.overhead
	$(BIN)/python -m tests.benchmarks.gpu
	$(BIN)/python -m tests.benchmarks.kills

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis

$(INSTALLED): pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $(INSTALLED)
