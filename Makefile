# The two commands of a newcomer: `make quickstart` and `make test`. Both make .venv when it is not there.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
TORCH := torch==2.13.0+cpu
TORCH_INDEX := https://download.pytorch.org/whl/cpu

.PHONY: quickstart test test-long lint install clean

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

# The lock is complete, so nothing is resolved; PyTorch's own index is asked only where the machine's lacks the CPU build.
$(READY): clusters/cpu.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --no-deps $(TORCH) || $(BIN)/pip install --quiet --no-deps --index-url $(TORCH_INDEX) $(TORCH)
	$(BIN)/pip install --quiet --no-deps --requirement clusters/cpu.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $(READY)

clean:
	rm -rf $(VENV) build *.egg-info
