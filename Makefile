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
YES ?=
NAME =
PORT ?= 8000
# NAME is read from the command line alone: some systems call the computer so in the environment.
export PRESET EPOCHS DATASET NAME PORT  # recipes read them as "$$NAME", so that no word becomes a command

# ---- what a variable may not be: refused here, in one sentence, before anything is made

override VENV := $(patsubst ~/%,$(HOME)/%,$(strip $(VENV)))
without_digits = $(subst 0,,$(subst 1,,$(subst 2,,$(subst 3,,$(subst 4,,$(subst 5,,$(subst 6,,$(subst 7,,$(subst 8,,$(subst 9,,$(1)))))))))))
PRESETS := smoke laptop overnight paper

ifneq ($(words $(VENV)),1)
  $(error VENV="$(VENV)" is no folder that make can follow: give a path without blanks, such as VENV=.venv)
endif
ifneq ($(findstring ~,$(VENV)),)
  $(error VENV=$(VENV) holds a ~ that nothing replaces: give the whole path)
endif
ifneq ($(findstring :,$(VENV))$(findstring %,$(VENV))$(findstring ',$(VENV))$(findstring ",$(VENV)),)
  $(error VENV=$(VENV) holds a sign that make cannot follow: give a path without colons, per cents and quotes)
endif
ifneq ($(filter . .. / ./ ../,$(VENV)),)
  $(error VENV=$(VENV) is a folder of other things: give one of its own, such as VENV=.venv)
endif
ifeq ($(strip $(PYTHON)),)
  $(error PYTHON= names no interpreter: leave it out, or give one, such as PYTHON=python3.12)
endif
ifneq ($(filter-out $(PRESETS),$(PRESET)),)
  $(error PRESET=$(PRESET) is unknown: there are $(PRESETS))
endif
ifneq ($(call without_digits,$(subst .,,$(EPOCHS))),)
  $(error EPOCHS=$(EPOCHS) must be a number, such as EPOCHS=2)
endif
ifneq ($(filter-out 0 1 no yes false true,$(TRAIN)),)
  $(error TRAIN=$(TRAIN) must be 1 or 0)
endif
ifneq ($(filter-out 0 1 no yes false true,$(YES)),)
  $(error YES=$(YES) must be 1 or 0)
endif
ifneq ($(words $(PORT))$(call without_digits,$(PORT)),1)
  $(error PORT=$(PORT) must be a whole number, such as PORT=8000)
endif

PY := $(VENV)/bin/python
STAMP := $(VENV)/.gendiff-installed
BROWSER := $(VENV)/.gendiff-browser-installed
BENCH := $(VENV)/.gendiff-bench-installed
LAB := $(VENV)/.gendiff-lab-installed
HOOKS := $(VENV)/.gendiff-hooks-installed
BUILT := book/_build/html/index.html
KNOWN := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PIP = "$(PY)" -m pip install --quiet --disable-pip-version-check -c constraints.txt
LIBRARY = "$(PY)" -m gendiff_lib
SPREAD = -n logical --dist loadfile
YES_WORD = $(if $(filter 1 yes true,$(YES)), --yes)

.DEFAULT_GOAL := help
.PHONY: help env train book pdf preview readme serve test test-browser test-cluster test-records test-twice linkcheck imports lint replay runs status bench lab hooks clean

help: ## List the targets
	@echo "make TARGET [VENV=path] [PYTHON=python3.12]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "for train, book and runs: PRESET=smoke|laptop|overnight|paper (book: overnight once the paper's pair is published, else laptop; train and runs: laptop) DATASET=name; for book: TRAIN=1; for train: NAME=experiment; for both: EPOCHS=n YES=1 (though a training takes more than 20 minutes); for serve: PORT=n"

env: $(STAMP) ## Set up the virtual environment

# A folder that holds something else is never written to. A failed attempt leaves none behind, and what one that was
# interrupted has left, an environment without its Python, is made anew.
$(PY):
	@test ! -e "$(VENV)" || test -e "$(VENV)/pyvenv.cfg" || { test -d "$(VENV)" && test -z "$$(ls -A "$(VENV)")"; } || \
	  { echo "[env] VENV=$(VENV) is there and no virtual environment: name another folder" >&2; exit 2; }
	@$(PYTHON) -c '$(KNOWN)' 2>/dev/null || \
	  { echo "[env] $(PYTHON) is no Python 3.11, 3.12 or 3.13: name one with PYTHON=path" >&2; exit 2; }
	@echo "[env] making $(VENV)"
	@$(PYTHON) -m venv --clear "$(VENV)" || \
	  { rm -rf "$(VENV)"; echo "[env] $(PYTHON) could not make $(VENV): see above, then run make env again" >&2; exit 2; }

$(STAMP): pyproject.toml constraints.txt | $(PY)
	@"$(PY)" -c '$(KNOWN)' 2>/dev/null || \
	  { echo "[env] $(VENV) is of no Python 3.11, 3.12 or 3.13: name another folder with VENV=path" >&2; exit 2; }
	@echo "[env] installing the project and what it needs into $(VENV) (PyTorch is large: some minutes the first time)"
	@$(PIP) -e '.[test]'
	@touch "$(STAMP)"

$(BROWSER): $(STAMP)
	@$(PIP) -e '.[browser]'
	@touch "$(BROWSER)"

$(BENCH): $(STAMP)
	@$(PIP) -e '.[bench]'
	@touch "$(BENCH)"

$(LAB): $(STAMP)
	@echo "[lab] installing JupyterLab into $(VENV)"
	@$(PIP) -e '.[lab]'
	@touch "$(LAB)"

$(HOOKS): $(STAMP)
	@$(PIP) -e '.[hooks]'
	@touch "$(HOOKS)"

train: $(STAMP) ## Train what a book of PRESET needs and is missing, or one experiment (NAME=dcgan)
	@$(LIBRARY) train $(if $(NAME),"$$NAME",--all) --preset "$${PRESET:-laptop}" --dataset "$$DATASET" $(if $(EPOCHS),--epochs "$$EPOCHS")$(YES_WORD)

book: $(STAMP) ## Train what is missing and build book/_build/html/index.html
	@"$(PY)" book/build.py --preset "$$PRESET" --epochs "$$EPOCHS" --dataset "$$DATASET" $(if $(filter 1 yes true,$(TRAIN)),--train)$(YES_WORD)

pdf: $(STAMP) ## Print the built book: book/_build/pdf/gendiff.pdf (needs Chromium)
	@"$(PY)" book/paper.py pdf

preview: $(STAMP) ## Photograph the built front page for the README (needs Chromium)
	@"$(PY)" book/paper.py preview

readme: $(STAMP) ## Write the front page's answer, as published runs have it, into the README
	@"$(PY)" book/paper.py readme

serve: $(STAMP) ## Serve the built book to this machine
	@test -e $(BUILT) || { echo "[serve] there is no built book at $(BUILT): run make book first" >&2; exit 2; }
	@"$(PY)" -c 'import socket, sys; socket.create_server(("127.0.0.1", int(sys.argv[1])))' "$$PORT" 2>/dev/null || \
	  { echo "[serve] PORT=$(PORT) cannot be served from: name another from 1024 to 65535" >&2; exit 2; }
	@"$(PY)" -m http.server "$$PORT" --bind 127.0.0.1 --directory $(dir $(BUILT))

lab: $(LAB) ## Open the notebooks in JupyterLab, which is installed for it
	@"$(PY)" -m jupyterlab notebooks

# Files of tests go to whichever process is free, in the order of tests/conftest.py.
test: $(STAMP) ## Run the tests, one process a core
	@"$(PY)" -m pytest -q $(SPREAD) --no-loadscope-reorder

test-browser: $(BROWSER) ## Test the built book in a real browser (needs Chromium)
	@"$(PY)" -m pytest -q $(SPREAD) --dist loadgroup tests/browser --ignore tests/browser/test_twice.py

test-cluster: $(STAMP) ## Test jobs on a Slurm of one node that is started here (installs Debian's packages as root)
	@"$(PY)" -m pytest -q -s tests/cluster/slurm.py

test-records: $(BROWSER) ## Hold every score of the built book against its record; its links and its weight
	@"$(PY)" -m pytest -q tests/browser/test_records.py tests/browser/test_links.py

test-twice: $(BROWSER) ## Build the built book once more, and compare byte by byte
	@"$(PY)" -m pytest -q tests/browser/test_twice.py

linkcheck: $(STAMP) ## Ask every link to another site whether it is there (needs a network)
	@test -e $(BUILT) || { echo "[linkcheck] there is no built book at $(BUILT): run make book first" >&2; exit 2; }
	@"$(VENV)/bin/jupyter-book" build book --all --builder linkcheck

imports: $(STAMP) ## Import every package that the project asks for, and check that their versions agree
	@"$(PY)" -m pip check
	@"$(PY)" .ci/imports.py

lint: $(STAMP) ## Check format, lint, types and that notebooks are stripped
	@"$(PY)" -m ruff format --check .
	@"$(PY)" -m ruff check .
	@"$(PY)" -m mypy
	@"$(VENV)/bin/nbstripout" --verify notebooks/*.ipynb

runs: $(STAMP) ## Show which runs exist, are published, stale, or missing for a book of PRESET
	@$(LIBRARY) runs --preset "$${PRESET:-laptop}" --dataset "$$DATASET"

replay: $(STAMP) ## Train the first updates of published runs again, where their data are at hand, for five minutes
	@$(LIBRARY) replay --all --budget 5m

status: runs ## The same as runs

bench: $(BENCH) ## Measure speed beside other projects' loops
	@"$(PY)" -m benchmarks speed

hooks: $(HOOKS) ## Let git check format, lint, notebooks and the order of imports before each commit
	@"$(PY)" -m pre_commit install

clean: ## Remove what was built; runs and the environment stay
	@rm -rf book/code book/executed book/_build build .pytest_cache .mypy_cache .ruff_cache *.egg-info
	@find . -path './$(VENV)' -prune -o -path './.venv*' -prune -o -name __pycache__ -prune -exec rm -rf {} +
