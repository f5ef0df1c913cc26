# Everything runs in .venv, made from the pinned lock.
PYTHON ?= python3.11
BIN := .venv/bin
# Two test processes. A file's tests stay together, since they share what its first one trains; files
# start longest first (tests/suite_costs.py).
JOBS ?= 2
PYTEST := $(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder
COSTS := build/test-costs.csv

.PHONY: setup run-all test test-fast test-costs lint bench bench-data test-cluster clean

setup: .venv/.ready

# pip would compile on one core. Some packages hold files that can't be compiled: no error, as in pip.
.venv/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile -r requirements.lock
	$(BIN)/python -m compileall -qq -j 0 .venv/lib || true
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

run-all: setup
	$(BIN)/fer-orch run-all --preset demo

# All that one host can run; `test-cluster` has the rest.
test: setup
	$(PYTEST) --costs $(COSTS) -m "not cluster"

test-fast: setup
	$(PYTEST) -m "not slow and not cluster and not gpu"

# After `make test` alone on a machine: keep what each file took, by which later runs are put in
# order.
test-costs: setup
	@test -f $(COSTS) || { echo "make test-costs: no $(COSTS); run make test first" >&2; exit 1; }
	$(BIN)/python -m tests.suite_costs $(COSTS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Each part beside its baseline; see docs/performance.md.
bench: setup
	$(BIN)/python benchmarks/bench.py

bench-data: setup
	@test -n "$(WORKDIR)" || { echo "make bench-data WORKDIR=FOLDER: it needs 60 GB there; see benchmarks/README.md" >&2; exit 1; }
	$(BIN)/python benchmarks/data_scale.py "$(WORKDIR)"

# Several hosts on this machine. What it lacks for them fails the tests here.
test-cluster: setup
	FER_ORCH_CLUSTER=1 $(BIN)/pytest -m cluster

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
