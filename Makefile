# Quorate. `make demo` shows it, `make test` tests it; both set themselves up.

SHELL := /bin/bash
.DEFAULT_GOAL := help

export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/build/bin:$(PATH)
export SOLCX_BINARY_PATH := $(CURDIR)/build/bin
# Ape's downloads and caches of this checkout; `ape` typed by hand uses ~/.ape and its accounts.
export APE_DATA_FOLDER ?= $(CURDIR)/build/ape

PYTHON_SOURCES = $(wildcard nodeagent scripts bench lab tools tests)
TYPED_SOURCES = $(wildcard nodeagent scripts bench lab tools)
SOLIDITY_SOURCES = $(wildcard contracts tests)

.PHONY: help setup setup-toolkit compile demo test test-contracts test-agent test-scripts test-e2e test-deep test-mutation coverage slither test-proofs lint fmt bench-content bench-gas bench-runtime lock clean

help:                ## this list
	@sed -n 's/^\([a-z0-9-]*\): .*## \(.*\)/  make \1\t\2/p; s/^\([a-z0-9-]*\):  *## \(.*\)/  make \1\t\2/p' Makefile | sort -u | expand -t 24

setup:               ## environments, node_modules and the compiler
	@tools/setup.sh

setup-toolkit:
	@tools/setup.sh toolkit

compile: setup-toolkit  ## compile the contracts with ape
	@ape compile

demo: setup-toolkit  ## five agents classify real files (FILES=folder); APPEAL=1: an appeal, told step by step
	@.venv/bin/quorate demo $(if $(APPEAL),--appeal) $(if $(FILES),--files "$(FILES)")

test: setup          ## every test; skips are printed with their reason
	@tools/test.sh

test-contracts: setup  ## forge tests only
	@tools/test.sh contracts

test-agent: setup    ## agent unit tests, without and with the toolkit, and against a real Kubo
	@tools/test.sh agent-base agent content

test-scripts: setup  ## script tests over real RPC
	@tools/test.sh scripts

test-e2e: setup      ## end to end with real processes
	@tools/test.sh gas e2e

test-deep: setup     ## ten million calls over the invariants, then 100,000 cases of each fuzz test (MINUTES=n); goes on where it stopped
	@.venv/bin/python -m tools.deep $(if $(MINUTES),--minutes $(MINUTES))

test-mutation: setup ## mutants of the contracts, killed or not (MINUTES=n, SAMPLE=n); goes on where it stopped
	@.venv/bin/python -m tools.mutation $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SAMPLE),--sample $(SAMPLE))

coverage: setup      ## branch coverage of the contracts, into build/coverage.json
	@.venv/bin/python -m tools.coverage

slither: setup       ## Slither's high and medium findings, into build/slither.json
	@tools/setup.sh analysis
	@.venv/bin/python -m tools.slither

test-proofs: setup-toolkit  ## Halmos proofs of money, packing, trees and draws, into build/proofs.json
	@tools/setup.sh proofs
	@.venv/bin/python tools/proofs.py

lint: setup          ## linters, types, formats, stale files
	@tools/lint.sh

fmt: setup           ## format everything
	@ruff check --quiet --fix $(PYTHON_SOURCES)
	@ruff format --quiet $(PYTHON_SOURCES)
	@forge fmt $(SOLIDITY_SOURCES)

bench-runtime: setup-toolkit  ## what jail and agent cost around a runtime, into build/bench/runtime.json
	@.venv/bin/python -m bench.runtime

bench-content: setup-toolkit  ## hashing, CARs and fetching beside Kubo, a library and curl, into build/bench/content.json
	@tools/setup.sh kubo
	@npm ci --prefix bench/unixfs --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null
	@PATH=$(CURDIR)/build/bin:$$PATH .venv/bin/python -m bench.content

bench-gas: setup-toolkit  ## gas of every step and room of every contract; all receipts into build/bench/gas.json (10 min)
	@.venv/bin/python -m bench.gas

lock:                ## resolve requirements/*.txt and package-lock.json again
	@tools/setup.sh uv
	@tools/lock.sh
	@tools/setup.sh
	@.venv/bin/python tools/check_config.py

clean:               ## delete all that was built or installed
	rm -rf build .build .venv .venv-base .venv-analysis .venv-proofs node_modules contracts/.cache \
		.mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
