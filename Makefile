# The two commands of a newcomer: `make quickstart` and `make test`. Both make .venv when it is not there.
# `make bench` measures flame-ray beside its peers, which have an environment of their own.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
TORCH := torch==2.13.0+cpu
TORCH_INDEX := https://download.pytorch.org/whl/cpu

PEERS := .venv-bench
PEERS_LOCK := tests/benchmarks/bench/peers.lock

.PHONY: quickstart test test-long lint install bench peers clean

quickstart: install
	$(BIN)/flame-ray run jobs/quickstart.yaml $(ARGS)

# The tests without engines (vLLM, DeepSpeed) take what time is left beside those with them, which often wait for a process to
# start. Their report comes last.
RAY_ALONE := tests/integration/cluster
test: install
	nice -n 5 $(BIN)/python -m pytest tests/unit $(RAY_ALONE) > $(VENV)/beside.log 2>&1 & beside=$$!; \
	$(BIN)/python -m pytest tests/integration --ignore=$(RAY_ALONE); engines=$$?; \
	wait $$beside; beside=$$?; cat $(VENV)/beside.log; exit $$((engines + beside))

test-long: install
	$(BIN)/python -m pytest -m long --timeout 1800

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(READY)

# Without the peers the rows that need them say so, and all others are measured. ARGS="--only learner --quick", for example.
bench: install
	$(MAKE) --no-print-directory peers || echo "TRL cannot be installed here (see above): its side of the rows is left out" >&2
	$(BIN)/python -m tests.benchmarks.bench $(ARGS)

peers: $(PEERS)/.installed

$(PEERS)/.installed: $(PEERS_LOCK)
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/pip install --quiet --no-deps $(TORCH) || \
		$(PEERS)/bin/pip install --quiet --no-deps --index-url $(TORCH_INDEX) $(TORCH)
	$(PEERS)/bin/pip install --quiet --no-deps --requirement $(PEERS_LOCK)
	touch $@

# The lock is complete, so nothing is resolved; PyTorch's own index is asked only where the machine's lacks the CPU build.
$(READY): clusters/cpu.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-deps $(TORCH) || $(BIN)/pip install --quiet --no-deps --index-url $(TORCH_INDEX) $(TORCH)
	$(BIN)/pip install --quiet --no-deps --requirement clusters/cpu.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(READY)

clean:
	rm -rf $(VENV) $(PEERS) build *.egg-info
