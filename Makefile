# Every verb sets up what it needs. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m rag
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt

.DEFAULT_GOAL := help
.PHONY: help chat ingest test check eval tune bench bench-engine bench-ingest soak format golden clean browser

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "expected Python 3.11 or newer; found " + sys.version.split()[0] + "; run: make PYTHON=python3.11 <verb>")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing what constraints.txt pins (once; a few minutes) ..."
	$(PIP) -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(PIP) -e '.[dev]'
	@touch $@

chat: $(VENV)/.ready ## prepare the models, ingest if nothing is live, serve the page on http://127.0.0.1:7860
	$(RUN) serve

ingest: $(VENV)/.ready ## read the corpus into a new index generation
	$(RUN) ingest

test: check ## everything: style, types, units, real models end to end, a real browser
	$(BIN)/python -m pytest -m 'model or browser or slow'

check: $(VENV)/.ready-dev browser ## style, types and the unit tests (no models, no browser)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m 'not model and not browser and not slow'

eval: $(VENV)/.ready ## score the answers on corpus/gold/test and corpus/gold/plain, judge them by expected.toml
	$(RUN) ingest
	$(RUN) eval corpus
	$(RUN) eval answers --gold corpus/gold/test --learnt corpus/gold/train --json .shoptalk/eval/test.json
	$(RUN) eval answers --gold corpus/gold/plain --learnt corpus/gold/train --json .shoptalk/eval/plain.json

tune: $(VENV)/.ready ## teach selector and generator (hours; goes on after a kill), compare on gold, activate what is no worse
	$(PIP) -e '.[tune]'
	$(RUN) ingest
	$(RUN) tune selector --gold corpus/gold/train --out .shoptalk/tune/selector
	$(RUN) tune activate --selector .shoptalk/tune/selector/model --out .shoptalk/tune/trial-selector
	$(RUN) tune generator --gold corpus/gold/train --start rag/models/answers --out .shoptalk/tune/generator --steps 2000 --rate 0.0004 --compile
	$(RUN) tune activate --adapter .shoptalk/tune/generator/adapter --out .shoptalk/tune/trial-generator

bench: $(VENV)/.ready ## time retrieval over 1,000, 10,000 and 100,000 chunks; the table goes to tests/bench/results.md
	$(BIN)/python -m tests.bench.retrieval

bench-engine: $(VENV)/.ready ## hold the generator's replies and time against plain transformers; the table goes to tests/bench/engine.md
	$(RUN) ingest
	$(BIN)/python -m tests.bench.engine

bench-ingest: $(VENV)/.ready-dev ## time files to index against LangChain; the table goes to tests/bench/ingest.md
	$(PIP) --no-deps langchain-huggingface langchain-chroma
	$(BIN)/python -m tests.bench.ingest

soak: $(VENV)/.ready-dev ## keep the promises about faults at their full figures (hours); the table goes to tests/bench/promises.md
	$(BIN)/python -m tests.soak

format: $(VENV)/.ready-dev ## rewrite the code in the house style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

golden: $(VENV)/.ready-dev ## rewrite tests/golden from what the code does now (review the diff)
	GOLDEN=write $(BIN)/python -m pytest -m 'not model and not browser'

browser:
	@command -v chromium chromium-browser google-chrome >/dev/null || { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	&& echo "Installing Chromium for the browser test ..." && apt-get update -qq && apt-get install -y -qq chromium fonts-noto-cjk >/dev/null; } \
	|| { echo "expected Chromium or Chrome for the browser test; found none; install one (apt-get install chromium) and run make again"; exit 1; }

clean: ## remove what is made at run time (not .venv)
	rm -rf .shoptalk
