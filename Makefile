# Both `make demo` and `make test` do all their set-up on a machine that has Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PACKAGE := airflow_provider_azureml
TESTS ?= tests
WORKERS ?= auto
LINTED := __init__.py datasets provider sensors emulator demo dev examples benchmarks tests

# Dozens of processes import Airflow and azure-ai-ml: from source, that is most of what they do.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test test-browser pictures dist audit neighbours check test-matrix bench hardship lint format surface docs architecture constraints azure-calls clean

help:
	@echo "make demo     the main job, end to end, on the emulator (KEEP=1 leaves it running)"
	@echo "make test     all tests (TESTS=tests/unit for some of them; WORKERS=0 one after the other)"
	@echo "make test-browser  Airflow's UI in Chromium; make pictures takes those of README and docs anew"
	@echo "make check    the inner loop: lint, and the tests that are quick"
	@echo "make test-matrix  unit and integration tests with other Pythons, lowest and newest dependencies"
	@echo "make bench    benchmarks, into docs/performance.md (BENCH=upload_small_files for one)"
	@echo "make hardship watchers while everything around them fails 200 times; an hour (KILLS=45 VERSIONS=450: ten minutes)"
	@echo "make lint     ruff, mypy and codespell"
	@echo "make surface  take over what users import into tests/surface.txt"
	@echo "make docs     the documentation, into build/site"
	@echo "make azure-calls  write docs/azure-calls.md from what the integration tests ask; ten minutes"
	@echo "make neighbours  the wheel beside the newest of the large providers"
	@echo "make dist     sdist and wheel of HEAD, the same bytes each time, into dist; make audit: known vulnerabilities"
	@echo "make architecture  draw the picture in docs/architecture.md"
	@echo "make format   ruff format and its fixes"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". Name another with PYTHON=...")'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[emulator,openlineage]' --group dev --group servers
	$(BIN)/azureml-emulator install-azurite
	@touch $@

demo: $(READY)
	@$(BIN)/python demo

# All of it; tests/conftest.py says which worker of pytest-xdist gets what.
test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS) $(TESTS)

# Airflow's UI in Chromium, which dev/chromium finds, installs if it can, or says how to have.
test-browser: $(READY)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt --group browser
	@dev/chromium
	BROWSER=1 $(BIN)/python -m pytest tests/browser

pictures:
	PICTURES=docs/images $(MAKE) test-browser

# The inner loop: nothing that starts Airflow, nothing that is marked as slow, and neither of the two long comparisons
# with azure-ai-ml, which test-matrix runs as well.
check: lint
	$(BIN)/python -m pytest -n $(WORKERS) -q -m 'not slow' --durations 5 --durations-min 2 tests/unit tests/integration \
		--ignore tests/integration/specs --ignore tests/integration/emulator/test_walk.py

# Those that write a report, one after the other: each wants the machine for itself.
BENCH ?= $(basename $(notdir $(shell grep -lE '^ *(import|from) report' benchmarks/*.py)))
bench: $(READY)
	@for name in $(BENCH); do echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done

# An hour: 200 troubles, most of them kills, while 2,000 versions are made; prints what was lost, repeated, and for nothing.
# KILLS=45 VERSIONS=450 is ten minutes of it; SEED=8 another course; ONLY=killed leaves bad deployments and the like out.
KILLS ?= 200
VERSIONS ?= 2000
hardship: $(READY)
	KILLS=$(KILLS) VERSIONS=$(VERSIONS) $(BIN)/python -m pytest tests/system/test_hardship.py -k everything -s -o faulthandler_timeout=0

# mypy finds the package by this link: the checkout's folder may have any name.
lint: $(READY)
	$(BIN)/ruff check --output-format concise $(LINTED)
	$(BIN)/ruff format --check --quiet $(LINTED)
	$(BIN)/codespell $(LINTED) docs *.md Makefile pyproject.toml
	$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec dev/compose.yaml
	$(BIN)/hadolint --failure-threshold warning dev/Dockerfile
	@mkdir -p $(VENV)/typing && ln -sfn ../.. $(VENV)/typing/$(PACKAGE)
	MYPYPATH=$(VENV)/typing $(BIN)/mypy -m $(PACKAGE) -p $(PACKAGE).datasets -p $(PACKAGE).provider -p $(PACKAGE).sensors -p $(PACKAGE).emulator
	MYPYPATH=$(VENV)/typing $(BIN)/mypy tests/typing

# What users import, as the code has it now; tests/unit/test_surface.py compares.
surface: $(READY)
	$(BIN)/python dev/surface.py > tests/surface.new && mv tests/surface.new tests/surface.txt

# Every link, file and name that the pages refer to has to be there: a warning is an error.
docs: $(READY)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt --group docs
	@rm -rf $(VENV)/docs && mkdir -p $(VENV)/docs/$(PACKAGE)
	@ln -s $(addprefix $(CURDIR)/,__init__.py datasets provider sensors emulator) $(VENV)/docs/$(PACKAGE)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# The picture of the rooms, from what they import; tests/unit/test_architecture.py compares.
architecture: $(READY)
	$(BIN)/python dev/architecture.py

# Other Pythons, lowest and newest dependencies: see dev/matrix.py. PAIRS="lowest-3.11 pinned-newest" for some of it.
test-matrix: $(READY)
	$(if $(FLOORS),FLOORS="$(FLOORS)" )$(BIN)/python dev/matrix.py $(PAIRS)

# The versions that are tested, for every Python; UPGRADE=--upgrade takes the newest.
constraints: $(READY)
	$(BIN)/uv pip compile --quiet pyproject.toml --all-extras $(addprefix --group ,dev servers browser release docs) --universal --python-version 3.11 \
		--no-header --no-annotate $(UPGRADE) --output-file constraints.txt
	{ echo "# What is tested, for each Python. Made by 'make constraints'; use it with 'pip install -c constraints.txt'."; \
		cat constraints.txt; } > $(VENV)/constraints && mv $(VENV)/constraints constraints.txt

# What a release consists of (docs/releasing.md).
dist: $(READY)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt --group release
	$(BIN)/python dev/release.py
	$(BIN)/twine check --strict dist/*

# The wheel beside the newest amazon, google, microsoft-azure and databricks providers: all of it has to import.
neighbours: $(READY)
	$(BIN)/python dev/neighbours.py

# Known vulnerabilities in what is tested with, as far as somebody knows any: exit status 1 if there are some, 3 if nobody
# could be asked (make calls it "Error 3").
audit: $(READY)
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt --group release
	@$(BIN)/python dev/audit.py

format: $(READY)
	$(BIN)/ruff format --quiet $(LINTED)
	$(BIN)/ruff check --fix $(LINTED)

# One process: each call is attributed by the log of one emulator.
azure-calls: $(READY)
	AZURE_CALLS=1 $(BIN)/python -m pytest -n auto tests/integration --ignore tests/integration/emulator

clean:
	rm -rf $(VENV) build dist *.egg-info
