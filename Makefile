# Everything is done by these: `make train` runs the main job, `make test` passes all checks.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help setup train test lint format bench experiments clean

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

test: lint  ## all checks
	$(BIN)/python -m pytest

lint: setup  ## format, lint, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup  ## put the code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## the figures that the README quotes, each with its bound
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || failed=1; done; \
	exit $${failed:-0}

# each recipe with those that its page compares it with; an unmet criterion is a result, not an error
RECIPES := puzzle_simple_conv puzzle_deep_head puzzle_larger_backbone \
	puzzle_deep_head_repaired puzzle_larger_backbone_quick

experiments: setup  ## run all recipes for real and write their pages
	@set -e; latest() { ls -d outputs/experiments/*_$$1 | tail -n 1; }; \
	page() { to=experiments/$$1; runs=; for name in "$$@"; do runs="$$runs $$(latest $$name)"; done; \
		$(BIN)/expkit report $$runs --to $$to; }; \
	for recipe in $(RECIPES); do \
		$(BIN)/expkit train experiment=$$recipe output_dir=outputs/experiments || [ $$? -eq 1 ]; \
	done; \
	page puzzle_simple_conv puzzle_larger_backbone; \
	page puzzle_deep_head puzzle_simple_conv; \
	page puzzle_larger_backbone puzzle_simple_conv puzzle_deep_head; \
	page puzzle_deep_head_repaired puzzle_deep_head; \
	page puzzle_larger_backbone_quick puzzle_larger_backbone

clean:  ## remove the environment and the caches; runs stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
