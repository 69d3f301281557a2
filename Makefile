# The report and its library. `make` alone lists what there is to make.
#
# Nothing but Python, make and a compiler need be there: each target sets up what it needs in .venv
# (or in VENV=path, which may exist already) and is quick the second time.

VENV ?= .venv
PYTHON ?= python3
PRESET ?=
EPOCHS ?=
DATASET ?=
TRAIN ?=
NAME ?=
PORT ?= 8000

PY := $(VENV)/bin/python
STAMP := $(VENV)/.gendiff-installed
BROWSER := $(VENV)/.gendiff-browser-installed
BUILT := book/_build/html/index.html
BUILD := --preset "$(PRESET)" --epochs "$(EPOCHS)" --dataset "$(DATASET)" $(if $(filter-out 0 no false,$(TRAIN)),--train)

.DEFAULT_GOAL := help
.PHONY: help env train book pdf preview serve test test-browser test-twice linkcheck lint runs clean

help: ## List the targets
	@echo "make TARGET [VENV=path] [PYTHON=python3.12]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "for train, book and runs: PRESET=smoke|laptop|paper (book: paper once its two models are published, else laptop) EPOCHS=n DATASET=name; for book: TRAIN=1; for train: NAME=experiment; for serve: PORT=n"

env: $(STAMP) ## Set up the virtual environment

$(PY):
	@echo "[env] making $(VENV)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "[env] $(PYTHON) is no Python 3.11, 3.12 or 3.13: name one with PYTHON=path"; exit 2; }
	@$(PYTHON) -m venv "$(VENV)"

$(STAMP): pyproject.toml constraints.txt | $(PY)
	@echo "[env] installing the project and what it needs into $(VENV) (PyTorch is large: some minutes the first time)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $(STAMP)

$(BROWSER): $(STAMP)
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[browser]'
	@touch $(BROWSER)

train: $(STAMP) ## Train what the book needs and is missing, or one experiment (NAME=dcgan)
	@$(PY) -m gendiff_lib train $(if $(NAME),$(NAME),--all) --preset "$(or $(PRESET),laptop)" --dataset "$(DATASET)" $(if $(EPOCHS),--epochs "$(EPOCHS)")

book: $(STAMP) ## Train what is missing and build book/_build/html/index.html
	@$(PY) book/build.py $(BUILD)

pdf: $(STAMP) ## Print the built book: book/_build/pdf/gendiff.pdf (needs Chromium)
	@$(PY) book/paper.py pdf

preview: $(STAMP) ## Photograph the built front page for the README (needs Chromium)
	@$(PY) book/paper.py preview

serve: $(STAMP) ## Serve the built book to this machine
	@test -e $(BUILT) || { echo "[serve] there is no built book at $(BUILT): run make book first"; exit 2; }
	@$(PY) -m http.server "$(PORT)" --bind 127.0.0.1 --directory $(dir $(BUILT))

test: $(STAMP) ## Run the tests
	@$(PY) -m pytest -q

test-browser: $(BROWSER) ## Test the built book in a real browser (needs Chromium)
	@$(PY) -m pytest -q tests/browser --ignore tests/browser/test_twice.py

test-twice: $(BROWSER) ## Build the built book once more, and compare byte by byte
	@$(PY) -m pytest -q tests/browser/test_twice.py

linkcheck: $(STAMP) ## Ask every link to another site whether it is there (needs a network)
	@test -e $(BUILT) || { echo "[linkcheck] there is no built book at $(BUILT): run make book first"; exit 2; }
	@$(VENV)/bin/jupyter-book build book --all --builder linkcheck

lint: $(STAMP) ## Check format, lint, types and that notebooks are stripped
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(VENV)/bin/nbstripout --verify notebooks/*.ipynb

runs: $(STAMP) ## Show which runs exist, are published, missing or stale
	@$(PY) -m gendiff_lib runs --preset "$(or $(PRESET),laptop)" --dataset "$(DATASET)"

clean: ## Remove what was built; runs and the environment stay
	@rm -rf book/executed book/_build build .pytest_cache .mypy_cache .ruff_cache *.egg-info
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +
