# Everything is done by these: `make train` runs the main job, `make test` passes all checks.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help setup train test test-all test-engines lint format bench golden faults experiments clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.installed  ## an environment with everything in it

# made anew when what the project needs has changed
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --editable . --group dev
	touch $@

train: setup  ## the main job: expkit train with its defaults
	$(BIN)/expkit train

test: lint  ## the quick checks: three minutes on two quiet cores
	$(BIN)/python -m pytest -m "not slow"

test-all: lint  ## all checks, the broad and the long ones too
	$(BIN)/python -m pytest

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

format: setup  ## put the code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# the others are what these import
BENCHMARKS := $(filter-out %/bounds.py %/golden.py %/loops.py %/usual_loop.py,$(wildcard benchmarks/*.py))

bench: setup  ## the figures that the README quotes, each with its bound
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

faults: setup  ## how often diagnosis is right: every fault and every sound run (fifteen minutes)
	$(BIN)/python benchmarks/faults/run.py

# each recipe with those that its page compares it with; an unmet criterion is a result, not an error
PUZZLES := puzzle_simple_conv puzzle_deep_head puzzle_larger_backbone \
	puzzle_deep_head_repaired puzzle_larger_backbone_quick
ABLATIONS := scan_line_no_weights scan_line_no_normalisation scan_line_lr_1e-3 scan_line_4_layers
SCANS := scan_line_baseline scan_line_fixed scan_line_reference $(ABLATIONS)
CHERRIES := cherry_small_conv cherry_resnet18_scratch cherry_small_two_stage
CHERRY ?=

experiments: setup  ## run the recipes for real and write their pages (CHERRY=FOLDER: log 4's too)
	@set -e; latest() { ls -d outputs/experiments/*_$$1 | tail -n 1; }; \
	page() { to=experiments/$$1; runs=; for name in "$$@"; do runs="$$runs $$(latest $$name)"; done; \
		$(BIN)/expkit report $$runs --to $$to; }; \
	run() { $(BIN)/expkit train experiment=$$1 output_dir=outputs/experiments $$2 || [ $$? -eq 1 ]; }; \
	for recipe in $(PUZZLES) $(SCANS); do run $$recipe; done; \
	page puzzle_simple_conv puzzle_larger_backbone; \
	page puzzle_deep_head puzzle_simple_conv; \
	page puzzle_larger_backbone puzzle_simple_conv puzzle_deep_head; \
	page puzzle_deep_head_repaired puzzle_deep_head; \
	page puzzle_larger_backbone_quick puzzle_larger_backbone; \
	page scan_line_baseline scan_line_fixed; \
	page scan_line_fixed scan_line_baseline $(ABLATIONS); \
	for recipe in scan_line_reference $(ABLATIONS); do page $$recipe scan_line_fixed; done; \
	$(BIN)/expkit train -m +ablation=puzzle_repairs output_dir=outputs/experiments || [ $$? -eq 1 ]; \
	$(BIN)/expkit report $$(latest sweep) --to experiments/puzzle_repairs; \
	if [ -n "$(CHERRY)" ]; then \
		for recipe in $(CHERRIES); do run $$recipe dataset.root=$(CHERRY); done; \
		page cherry_small_conv; \
		page cherry_resnet18_scratch cherry_small_conv; \
		page cherry_small_two_stage cherry_small_conv; \
	fi

clean:  ## remove the environment and the caches; runs stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
