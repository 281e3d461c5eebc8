# Two commands do everything, on a fresh Debian or Ubuntu: `make demo` and `make test`.
# PYTHON=... names another Python (3.10 to 3.13); CONFIG=... and RUN=... another run.

VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= examples/fashion-pynq-z2.yaml
RUN ?= runs/fashion-pynq-z2
PYTHON ?=
export PYTHON

TOOLS := python3:python3 venv:python3-venv g++:g++ verilator:verilator /usr/share/datasets/fashion-mnist:dataset-fashion-mnist
TEST_TOOLS := $(TOOLS) clang++:clang iverilog:iverilog shellcheck:shellcheck /usr/include/xrt/xrt/xrt_device.h:libxrt-dev
TOX := $(BIN)/tox --skip-missing-interpreters false

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  \1: /p' $(MAKEFILE_LIST)

demo: setup ## data set and board -> searched network, accelerator, proof, report
	@$(BIN)/codesign run $(CONFIG) --out $(RUN)

check: ## lint, types and the quick tests, for a first change (under three minutes)
	@scripts/environment.sh $(VENV) tox
	@$(TOX) run -e check

test: setup-test ## lint, types, every test but those of open synthesis, the built wheel
	@$(TOX) run-parallel --parallel 2 --parallel-live

test-synthesis: setup-test ## open synthesis of modules and machines: resources, paths, netlists simulated (some minutes)
	@$(TOX) run -e synthesis

coverage: setup-test ## every test, and the share of lines that they reach (90 % at least)
	@$(TOX) run -e coverage

test-kills: setup-test ## a whole run, killed at 100 random moments (CODESIGN_KILLS=... for another number)
	@$(TOX) run -e kills

test-long: setup-test ## the property tests with 5,000 cases (CODESIGN_CASES=... for another number)
	@$(TOX) run -e long

test-extremes: setup-test ## 500 configurations of extreme values, and as many command lines and boards (CODESIGN_CASES=...)
	@$(TOX) run -e extremes

test-fuzz: setup-test ## 5,000 mutated files of all front ends (CODESIGN_CASES=... for another number; a quarter of an hour)
	@$(TOX) run -e fuzz

test-ray: setup-test ## a sweep on a local Ray cluster of two workers
	@$(TOX) run -e ray

bench-peers: setup ## cycles and times beside other generators' -> docs/benchmarks.md (about half an hour)
	@$(BIN)/python benchmarks/peers.py --out docs/benchmarks.md

bench-ptq: setup ## float networks quantized after training, step by step -> docs/ptq.md (half an hour)
	@$(BIN)/python benchmarks/ptq.py --out docs/ptq.md

bench-dna: setup ## DNA's own cost model, searched at random and exactly -> docs/dna_reference.md (minutes)
	@$(BIN)/python -m benchmarks.dna --out docs/dna_reference.md

bench-correlation: setup ## do networks keep their order on other accelerators -> docs/rank_correlation.md (a minute)
	@$(BIN)/python benchmarks/correlation.py --out docs/rank_correlation.md

timing: setup ## is a path of a hardware module longer than tests/timing.csv says; REWRITE=1 rewrites it (half an hour)
	@$(BIN)/python benchmarks/paths.py $(if $(REWRITE),--rewrite)

bench-timing: setup ## engines placed and routed for an ECP5 -> docs/timing.md (an hour)
	@scripts/environment.sh $(VENV) --editable .[all,timing]
	@$(BIN)/python benchmarks/timing.py --out docs/timing.md

bench-clock: setup ## netlists of machines -> what clocks are estimated from: boards/technologies, tests/clock.csv (an hour)
	@$(BIN)/python benchmarks/clock.py

bench-resources: setup ## predicted resources beside open synthesis, whole designs -> docs/resources.md (about half an hour)
	@$(BIN)/python benchmarks/resources.py --out docs/resources.md

bench-cosearch: setup ## our co-search beside its rivals -> docs/cosearch.md (hours; goes on where it was)
	@$(BIN)/python benchmarks/cosearch.py --tiny
	@$(BIN)/python benchmarks/cosearch.py
	@$(BIN)/python benchmarks/cosearch.py --page

bench-design-search: setup ## the best design of known networks, and how long its proof takes -> docs/design_search.md (minutes)
	@$(BIN)/python benchmarks/design_search.py

bench-search-costs: setup ## time and memory of searches by space, design points a second -> docs/search_costs.md (minutes)
	@$(BIN)/python benchmarks/search_costs.py

bench-auto-space: setup ## data of one's own with `space: auto`, beside plain float networks -> docs/auto_space.md (half an hour)
	@scripts/environment.sh $(VENV) --editable .[all] scikit-learn
	@$(BIN)/python benchmarks/auto_space.py --out docs/auto_space.md

bench-onnx-nodes: setup ## onnx's own tests of operators, read as files -> docs/onnx_node_tests.md (seconds)
	@$(BIN)/python benchmarks/onnx_nodes.py --out docs/onnx_node_tests.md

bench-packaged: setup ## networks that packages ship, beside their runtimes -> docs/packaged.md (minutes; PACKAGES=folder)
	@$(BIN)/python benchmarks/packaged.py --out docs/packaged.md $(PACKAGES)

bench-published: setup ## trained networks beside the same on published boards -> docs/published.md (hours; CODESIGN_MODELS=...)
	@scripts/environment.sh $(VENV) --editable .[test]
	@$(BIN)/python benchmarks/published.py --out docs/published.md

lint: setup-test ## ruff and the import contracts
	@$(TOX) run -e lint

types: setup-test ## mypy
	@$(TOX) run -e types

format: setup-test ## rewrite the sources in the one format
	@$(TOX) exec -q -e lint -- ruff format .

setup: ## everything that `codesign` needs
	@scripts/system_packages.sh $(TOOLS)
	@scripts/environment.sh $(VENV) --editable .[all]

setup-test: ## everything that `make test` needs
	@scripts/system_packages.sh $(TEST_TOOLS)
	@scripts/environment.sh $(VENV) tox

clean: ## remove caches and build products
	rm -rf build *.egg-info .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage

distclean: clean ## remove the virtual environment and every run as well
	rm -rf $(VENV) runs
