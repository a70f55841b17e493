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

# Three at a time, because each of them waits: those with engines (vLLM, DeepSpeed) for processes, those of Ray alone for nodes. All
# others take what time is left. The reports of the last two come last.
RAY_ALONE := tests/integration/cluster
# Empty is unset: otherwise each of the many processes that tests start compiles the package again.
test: export PYTHONDONTWRITEBYTECODE =
test: install
	nice -n 5 $(BIN)/python -m pytest tests/unit > $(VENV)/unit.log 2>&1 & unit=$$!; \
	$(BIN)/python -m pytest $(RAY_ALONE) > $(VENV)/ray.log 2>&1 & ray=$$!; \
	$(BIN)/python -m pytest tests/integration --ignore=$(RAY_ALONE); engines=$$?; \
	wait $$ray; ray=$$?; wait $$unit; unit=$$?; cat $(VENV)/ray.log $(VENV)/unit.log; exit $$((engines + ray + unit))

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
