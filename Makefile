# Everything works on a fresh machine with Rust, Python 3 and make; what else is needed is installed under .tools.

# A Temporal CLI of at least 1.9: the one on the PATH, else the one that the Python package brings.
TEMPORAL := $(shell .ci/temporal-on-path)
ifeq ($(TEMPORAL),)
TEMPORAL := .tools/venv/bin/temporal
endif
export RECOURSE_TEMPORAL_CLI := $(abspath $(TEMPORAL))
export RECOURSE_PYTHON := $(abspath .tools/venv/bin/python)

.PHONY: demo dev test lint fmt build fuzz coverage clean help

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(TEMPORAL) build ## Plays the main stories on a real server in seconds, and shows the money
	@target/debug/recourse demo

dev: $(TEMPORAL) build ## Server, Web UI and worker for playing by hand, until Ctrl-C
	@target/debug/recourse dev

test: $(TEMPORAL) .tools/venv/ready build ## Every test, on real parts
	cargo test --workspace --locked --no-fail-fast

lint: ## Formatting and lints, as CI checks them
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: ## Formats the code
	cargo fmt --all

# Programs and tests in one go: building them apart would build most dependencies twice, with other features.
build: ## The two programs, and the tests
	@echo "building (a few minutes the first time)"
	@cargo build --workspace --all-targets --locked --quiet

# Under a minute each the fuzzer mostly repeats what CI does; leave it on overnight with FUZZ_SECONDS=3600.
FUZZ_SECONDS ?= 60

fuzz: ## Feeds every parser and whole cases with bytes that a fuzzer makes up, FUZZ_SECONDS=60 each
	@.ci/fuzz $(FUZZ_SECONDS)

coverage: $(TEMPORAL) .tools/venv/ready ## Which lines of the rules and workflows the tests run; fails under 95 %
	@.ci/coverage

clean: ## Removes what was built and what was installed
	cargo clean
	rm -rf .tools

.tools/venv/bin/temporal: .tools/venv/ready

# Pinned: the server that the tests were written on, the client that other languages use, and a mail server to test with.
.tools/venv/ready: tests/python/requirements.txt
	python3 -m venv .tools/venv
	.tools/venv/bin/pip install --quiet --disable-pip-version-check -r tests/python/requirements.txt
	@touch $@
