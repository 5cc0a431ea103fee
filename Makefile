# Every target installs what it needs into .venv by itself, and only when the requirements have changed.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
FOLDERS := clusters models search spectral

.PHONY: demo test test-faults ui bench docs check lint types clean

demo: $(INSTALLED)
	$(BIN)/fullspectrum search digits

# One worker for the tests that start searches and wait for them, one for all that compute.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --no-loadscope-reorder

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
	$(BIN)/python -m tests.benchmarks.imp
	$(BIN)/python -m tests.benchmarks.ascent
	$(BIN)/python -m tests.benchmarks.search
	$(BIN)/python -m tests.benchmarks.startup
	$(BIN)/python -m tests.benchmarks.launch
	$(BIN)/python -m tests.benchmarks.overhead
	$(BIN)/python -m tests.benchmarks.scaling
	$(BIN)/python -m tests.benchmarks.capacity
	$(BIN)/python -m tests.benchmarks.paths
	$(BIN)/python -m tests.benchmarks.maskrules
	$(BIN)/python -m tests.benchmarks.report
	$(BIN)/python -m tests.benchmarks.gpu
	$(BIN)/python -m tests.benchmarks.kills
	$(BIN)/python -m tests.benchmarks.fuzz

# The settings, as the commands print them, take the place of the block that ends their pages.
docs: $(INSTALLED)
	sed '/^```text$$/q' docs/settings.md > docs/settings.md.new
	$(BIN)/fullspectrum search --list-settings >> docs/settings.md.new
	echo '```' >> docs/settings.md.new
	mv docs/settings.md.new docs/settings.md
	sed '/^```text$$/q' docs/clusters.md > docs/clusters.md.new
	$(BIN)/fullspectrum clusters new --list-settings >> docs/clusters.md.new
	echo '```' >> docs/clusters.md.new
	mv docs/clusters.md.new docs/clusters.md

check: lint types

lint: $(INSTALLED)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .

# The folders under the names that they are imported by, which mypy does not learn from an editable installation.
types: $(INSTALLED)
	mkdir -p build/types/fullspectrum
	ln -sfn $(addprefix $(CURDIR)/,$(FOLDERS)) build/types/fullspectrum
	$(BIN)/mypy $(addprefix --package=fullspectrum.,$(FOLDERS))

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis

$(INSTALLED): pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $(INSTALLED)
