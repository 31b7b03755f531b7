# Both `make demo` and `make test` do all their set-up on a machine that has Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PACKAGE := airflow_provider_azureml
TESTS ?= tests
LINTED := __init__.py datasets provider sensors emulator demo examples benchmarks tests

.PHONY: help demo test hardship lint format clean

help:
	@echo "make demo     the main job, end to end, on the emulator (KEEP=1 leaves it running)"
	@echo "make test     all tests (TESTS=tests/unit for some of them)"
	@echo "make hardship watchers while the triggerer is killed 200 times; an hour"
	@echo "make lint     ruff and mypy"
	@echo "make format   ruff format and its fixes"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another with PYTHON=...")'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[emulator,openlineage]' --group dev
	$(BIN)/azureml-emulator install-azurite
	@touch $@

demo: $(READY)
	@$(BIN)/python demo

test: $(READY)
	$(BIN)/python -m pytest $(TESTS)

# An hour: 200 kills of the triggerer while 2,000 versions are registered; prints what was lost and what repeated.
hardship: $(READY)
	KILLS=200 VERSIONS=2000 $(BIN)/python -m pytest tests/system/test_watchers.py -k triggerer_is_killed -s -o faulthandler_timeout=0

# mypy finds the package by this link: the checkout's folder may have any name.
lint: $(READY)
	$(BIN)/ruff check --output-format concise $(LINTED)
	$(BIN)/ruff format --check --quiet $(LINTED)
	@mkdir -p $(VENV)/typing && ln -sfn ../.. $(VENV)/typing/$(PACKAGE)
	MYPYPATH=$(VENV)/typing $(BIN)/mypy -m $(PACKAGE) -p $(PACKAGE).datasets -p $(PACKAGE).provider -p $(PACKAGE).sensors -p $(PACKAGE).emulator

format: $(READY)
	$(BIN)/ruff format --quiet $(LINTED)
	$(BIN)/ruff check --fix $(LINTED)

clean:
	rm -rf $(VENV) build dist *.egg-info
