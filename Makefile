# Everything is done by these: `make train` runs the main job, `make test` passes all checks.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# kept even where the shell says not to: a suite starts a hundred processes
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup train test test-all test-oldest smoke-oldest smoke-wheel smoke-models test-engines \
	test-browser test-loggers lint format docs bench golden faults experiments clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.installed  ## an environment with everything in it

# made anew when what the project needs has changed
$(VENV)/.installed: pyproject.toml requirements/newest-known-good.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --editable . --group dev --constraint requirements/newest-known-good.txt
	touch $@

train: setup  ## the main job: expkit train with its defaults
	$(BIN)/expkit train

test: lint  ## the quick checks: about three minutes on two quiet cores
	$(BIN)/python -m pytest -m "not slow"

test-all: lint  ## all checks, the broad and the long ones too
	$(BIN)/python -m pytest

# the oldest of everything, Python too where it is there
OLDEST := .venv-oldest
$(OLDEST)/.installed: pyproject.toml requirements/oldest.txt
	$$(command -v python3.11 || echo $(PYTHON)) -m venv $(OLDEST)
	$(OLDEST)/bin/pip install --quiet --upgrade "pip>=25.1"
	$(OLDEST)/bin/pip install --quiet --editable . --group test --constraint requirements/oldest.txt
	touch $@

test-oldest: $(OLDEST)/.installed  ## the quick tests with the oldest release of every dependency
	$(OLDEST)/bin/python -m pytest -m "not slow"

smoke-oldest: $(OLDEST)/.installed  ## the built wheel tried outside the repository, with the oldest releases
	tests/smoke.sh $(OLDEST)

smoke-wheel: setup  ## the built wheel tried outside the repository, with the newest releases
	tests/smoke.sh $(VENV)

# all but logo_vit_base, which is for 224 x 224 and takes as long as the others together
MODELS := $(filter-out timm logo_vit_base,$(basename $(notdir $(wildcard conf/model/*.yaml))))
COMMA := ,
EMPTY :=
smoke-models: setup  ## can the ready models still learn? Both gates of each
	$(BIN)/expkit smoke model=$(subst $(EMPTY) $(EMPTY),$(COMMA),$(MODELS))

lint: setup  ## format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# the engines are Debian's and pip's; where they are not installed, their tests say so
test-engines: setup  ## sweeps on a real SLURM and a real Ray, and a real search (installs them; Debian, as root)
	if [ "$$(id -u)" = 0 ] && command -v apt-get; then \
		apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends slurm-wlm munge; fi
	$(BIN)/pip install --quiet --editable ".[slurm,ray,optuna]"
	$(BIN)/python -m pytest -n 0 -rs tests/system/test_slurm.py tests/system/test_ray.py \
		tests/system/test_optuna.py

# the browser is Debian's; where it is not installed, its tests say so
test-browser: setup  ## the pages in a real headless Chromium (installs it; Debian, as root)
	if [ "$$(id -u)" = 0 ] && command -v apt-get; then \
		apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends chromium chromium-driver; fi
	$(BIN)/python -m pytest -n 0 -rs tests/browser

test-loggers: setup  ## runs sent to the real TensorBoard, MLflow, wandb and trackio (installs them)
	$(BIN)/pip install --quiet --editable ".[tensorboard,mlflow,wandb,trackio]"
	$(BIN)/python -m pytest -n 0 -rs tests/loggers tests/system/test_logging.py

format: setup  ## put the code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# the others are what these import
BENCHMARKS := $(filter-out %/bounds.py %/golden.py %/loops.py %/usual_loop.py,$(wildcard benchmarks/*.py))

bench: setup  ## the figures of docs/measured.md, each with its bound
	@for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python $$script || failed=1; done; \
	exit $${failed:-0}

# the last commit's code, or another's: make golden BASE=COMMIT
BASE ?= HEAD
GOLDEN := outputs/golden

golden: setup  ## seeded runs of every kind, by this code and by BASE's: all must be equal (six minutes)
	rm -rf $(GOLDEN) && mkdir -p $(GOLDEN)
	git archive --prefix=$(GOLDEN)/base/ $(BASE) src conf benchmarks/golden.py | tar -x
	PYTHONPATH=$(CURDIR)/$(GOLDEN)/base/src $(BIN)/python $(GOLDEN)/base/benchmarks/golden.py record $(GOLDEN)/old
	$(BIN)/python benchmarks/golden.py record $(GOLDEN)/new
	$(BIN)/python benchmarks/golden.py compare $(GOLDEN)/old $(GOLDEN)/new

faults: setup  ## how often diagnosis is right: every fault and every sound run (half an hour and more)
	$(BIN)/python benchmarks/faults/run.py

CHERRY ?=

experiments: setup  ## run the recipes for real and write their pages (CHERRY=FOLDER: log 4's too)
	PATH="$(CURDIR)/$(BIN):$$PATH" experiments/make.sh $(CHERRY)

docs: setup  ## write anew the pages of docs/ that are made from the code
	$(BIN)/python docs/make.py

clean:  ## remove the environment and the caches; runs stay
	rm -rf $(VENV) $(OLDEST) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
