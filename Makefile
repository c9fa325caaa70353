# make book                 the rendered book, from nothing but Python 3.11 or newer
# make book DATA=folder     the same chapters on your scans; PROFILE=smoke, laptop or paper chooses the size
# make test                 everything that is checked, two at a time: lint, tests, every chapter, the pages in a browser
# make lint                 style of code and notebooks
# make lock                 newest versions that pyproject.toml admits -> requirements.lock, environment.yml
# make clean                forget executed chapters and pages; what was tuned, trained or fitted on your scans stays

# the first of these that is new enough; make PYTHON=/path/to/python chooses another
SUITS = $(1) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(1)
NAMES := python3 python python3.14 python3.13 python3.12 python3.11
PYTHON ?= $(firstword $(foreach name,$(NAMES),$(shell $(call SUITS,$(name)))))
BIN := .venv/bin
STAMP := .venv/installed
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.PHONY: book test lint lock clean environment

book: $(STAMP)
	@$(BIN)/python scripts/book.py $(if $(DATA),--data "$(DATA)") $(if $(PROFILE),--profile "$(PROFILE)")

test: lint
	@echo "test: every chapter in the smoke profile, and its pages"
	@$(BIN)/python scripts/book.py --profile smoke --all
	@echo "test: pytest"
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --durations=25

lint: $(STAMP)
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/python scripts/notebooks.py
	@echo "lint: clean"

environment: $(STAMP)

# torch first and alone, fastmri and deepinv last and without torchvision: pyproject.toml says why.
$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/pip || { echo "environment: creating .venv"; $(PYTHON) -m venv .venv; }
	@echo "environment: torch"
	@$(PIP) install -c requirements.lock torch setuptools
	@echo "environment: the other packages, as requirements.lock pins them"
	@$(PIP) install -c requirements.lock --no-build-isolation -e ".[test]"
	@echo "environment: fastmri and deepinv, without torchvision"
	@$(PIP) install -c requirements.lock --no-deps fastmri deepinv
	@touch $(STAMP)

lock: $(STAMP)
	@$(BIN)/python scripts/lock.py

clean:
	@test ! -d _build || find _build -mindepth 1 -maxdepth 1 ! -name kept -exec rm -rf {} +
