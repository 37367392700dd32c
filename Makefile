.RECIPEPREFIX = >
.PHONY: help dev check unit test live soak demo bench fuzz clean wheel deb rpm man lock
PY := .venv/bin/python
MINUTES ?= 20

help: ## this list
> @awk -F ':.*## ' '/^[a-z ]+:.*## /{printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.ready: pyproject.toml
> @sh tests/testbed/venv.sh .venv
> @touch $@

dev: .venv/.ready ## a working checkout in .venv, with everything for development

check: .venv/.ready ## lint, types, import contracts, unit tests (under a minute)
> .venv/bin/ruff check .
> .venv/bin/ruff format --check .
> .venv/bin/lint-imports --no-cache
> .venv/bin/mypy
> .venv/bin/pyright --warnings
> $(PY) -m pytest -q -n 4 -m "not live"

unit: .venv/.ready ## the fast tests alone
> $(PY) -m pytest -q -n 4 -m "not live"

live: .venv/.ready ## the tests with real daemons and virtual machines
> PYTHONPATH=tests $(PY) -m testbed build
> PYTHONPATH=tests $(PY) -m vbox build
> $(PY) -m pytest -n 2 --dist loadfile --no-loadscope-reorder --durations 15 -m "live and not alone"
> $(PY) -m pytest --durations 15 -m "live and alone"

test: check live ## everything; what CI runs

soak: .venv/.ready ## random load and random faults: make soak MINUTES=120 SEED=7 KINDS="VM killed,schedd killed"
> PYTHONPATH=tests $(PY) -m testbed build
> PYTHONPATH=tests $(PY) -m live.soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(if $(KINDS),--kinds "$(KINDS)") $(if $(JSON),--json $(JSON))

demo: .venv/.ready ## a Slurm job in an elastic worker VM, shown step by step
> PYTHONPATH=tests $(PY) -m testbed build
> PYTHONPATH=tests $(PY) -m testbed.demo

bench: .venv/.ready ## benchmarks; each prints ratios measured in one run
> for b in bench/bench_*.py; do echo "== $$b"; $(PY) $$b || exit 1; done

INPUTS := 3000000

fuzz: .venv/.ready ## hostile inputs for every parser (5 min); make fuzz INPUTS=10000000
> @$(PY) -c 'import atheris' 2>/dev/null || $(PY) -m pip install -q -e '.[fuzz]' || echo "hotslot: without atheris"
> PYTHONPATH=tests $(PY) -m fuzz --inputs $(INPUTS)

wheel deb rpm: ## packages into dist/: a wheel and sdist, .deb or .rpm, each for hosts and workers
> sh packaging/build.sh $@

man: .venv/.ready ## the man pages into dist/man
> $(PY) packaging/man/manpages.py dist/man

lock: ## pin anew what the packages ship (some minutes)
> sh packaging/lock.sh

clean: ## forget the virtual environment and caches of the checkout
> rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz
