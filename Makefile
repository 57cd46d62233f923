# Everything works on a fresh machine with Rust, Python 3 and make; what else is needed is installed under .tools.

# A Temporal CLI of at least 1.9: the one on the PATH, else the one that the Python package brings.
TEMPORAL := $(shell .ci/temporal-on-path)
ifeq ($(TEMPORAL),)
TEMPORAL := .tools/venv/bin/temporal
endif
export RECOURSE_TEMPORAL_CLI := $(abspath $(TEMPORAL))
export RECOURSE_PYTHON := $(abspath .tools/venv/bin/python)
export RECOURSE_DELIVERY := $(abspath .tools/delivery/bin)
export RECOURSE_AXE := $(abspath .tools/axe/node_modules/axe-core/axe.min.js)

.PHONY: demo dev test postgres new-runs forced-replay histories mutants chaos fuzz coverage bench browser compose supply-chain sbom lint fmt \
	build programs clean help

# The tests whose cases go through many steps. The others are about one step, or stop workers by themselves.
END_TO_END := outcomes:: milestones:: contract_end:: payments:: lateness:: edges:: survival:: mode::
# Of these, the ones that do not look at a run or stop the worker between a run and the next.
IN_NEW_RUNS := outcomes:: milestones:: contract_end:: payments:: edges:: mode::

# Beside the crates' own tests: cases that move money, whatever else is kept in tables, and everything that fails there.
ON_POSTGRES := refunds:: notices:: evidence:: webhooks:: requests:: $(END_TO_END) api::stripe:: faults:: chaos::no_fault

# These mostly wait for the server.
FOUR_AT_ONCE := RUST_TEST_THREADS=4
# And these for workers that start and stop, which is done once for all that wait for it.
EIGHT_AT_ONCE := RUST_TEST_THREADS=8

TESTS := cargo test --workspace --locked
SWAPPED := RECOURSE_TEST_WORKER=swapped

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(TEMPORAL) programs ## Plays the main stories on a real server in seconds, and shows the money
	@target/debug/recourse demo

dev: $(TEMPORAL) programs ## Server, Web UI and worker for playing by hand, until Ctrl-C
	@target/debug/recourse dev

# Three at once keep both cores busy; a fourth makes nothing faster, and patience shorter.
test: $(TEMPORAL) .tools/venv/ready browser delivery build ## Every test, on real parts
	RUST_TEST_THREADS=3 cargo test --workspace --locked --no-fail-fast
	@$(MAKE) --no-print-directory postgres
	@$(MAKE) --no-print-directory new-runs

# The cases of both kinds are the same tests: in one run they are kept on the other database, and conducted by ever new workers.
postgres: $(TEMPORAL) .tools/venv/ready build ## What moves money, on PostgreSQL, with the worker swapped in every case
	.ci/with-postgres sh -c '$(FOUR_AT_ONCE) $(TESTS) --no-fail-fast --lib && \
		$(EIGHT_AT_ONCE) $(SWAPPED) $(TESTS) --no-fail-fast --test recourse -- $(ON_POSTGRES)'

new-runs: $(TEMPORAL) .tools/venv/ready build ## The end-to-end tests again, with cases that go on in new runs all the time
	$(FOUR_AT_ONCE) RECOURSE_TEST_WORKER=continued $(TESTS) --test recourse -- $(IN_NEW_RUNS)

forced-replay: $(TEMPORAL) .tools/venv/ready build ## The end-to-end tests again, with the worker swapped in every case, on SQLite
	$(EIGHT_AT_ONCE) $(SWAPPED) $(TESTS) --test recourse -- $(END_TO_END)

histories: $(TEMPORAL) .tools/venv/ready build ## Records the histories and commands that have changed
	RECOURSE_RECORD=$${RECOURSE_RECORD:-1} cargo test --workspace --locked --test recourse -- \
		replay::every_path_has_the_recorded_orders
	cargo test --workspace --locked --test recourse -- replay::

mutants: $(TEMPORAL) .tools/venv/ready ## Breaks the code on purpose, mistake by mistake, and sees each caught by a test
	tests/mutate

# CHAOS_DATABASE=postgres has the ledger on PostgreSQL.
chaos: $(TEMPORAL) .tools/venv/ready build ## Lets everything fail for CHAOS_MINUTES (10), and proves that nothing is lost
	CHAOS_MINUTES=$${CHAOS_MINUTES:-10} $(if $(filter postgres,$(CHAOS_DATABASE)),.ci/with-postgres) cargo test --workspace --locked --test recourse chaos::no_fault -- --nocapture

lint: ## Formatting and lints, as CI checks them
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

fmt: ## Formats the code
	cargo fmt --all

# Of the whole workspace, as the tests are built: by package, most dependencies would be built twice, with other features.
programs: ## The two programs
	@echo "building (a few minutes the first time)"
	@cargo build --workspace --bins --locked --quiet

build: ## The two programs, and the tests
	@echo "building (a few minutes the first time)"
	@cargo build --workspace --all-targets --locked --quiet

# Under a minute each the fuzzer mostly repeats what CI does; leave it on overnight with FUZZ_SECONDS=3600.
FUZZ_SECONDS ?= 60

fuzz: ## Feeds every parser and whole cases with bytes that a fuzzer makes up, FUZZ_SECONDS=60 each
	@.ci/fuzz $(FUZZ_SECONDS)

coverage: $(TEMPORAL) .tools/venv/ready ## Which lines of the rules and workflows the tests run; fails under 95 %
	@.ci/coverage

# BENCH="cases ledger" measures some parts only; BENCH_RUNS and BENCH_OPEN make it shorter, for trying it out. The first run opens
# 111,000 cases, which takes an hour to an hour and a half on two cores; they are kept under target/bench for the next.
bench: $(TEMPORAL) .tools/venv/ready ## What Recourse costs beside a bare workflow, a plain insert, an empty handler: half an hour, and the first time two hours
	@echo "building in release mode (some minutes the first time)"
	@cargo build --release --workspace --bins --bench figures --locked --quiet
	@RECOURSE_POSTGRES_DURABLE=1 .ci/with-postgres cargo bench --workspace --locked --quiet --bench figures -- $(BENCH)

compose: ## Checks docker-compose.yml, the image's Dockerfile, the alerts with their tests, and the dashboard; starts nothing
	@.ci/compose

supply-chain: ## Licences, banned crates, and where crates come from
	@.ci/supply-chain

sbom: ## What is in the two programs, as CycloneDX under target/sbom; builds its generator the first time
	@.ci/sbom

clean: ## Removes what was built and what was installed
	cargo clean
	rm -rf .tools

.tools/venv/bin/temporal: .tools/venv/ready

delivery: ## What checks metrics, alerts, the compose file and licences
	@.ci/tools >/dev/null

browser: ## The browser that the console is tested in
	@.ci/browser

# Pinned: the server that the tests were written on, the client that other languages use, and a mail server to test with.
.tools/venv/ready: tests/python/requirements.txt
	python3 -m venv .tools/venv
	.tools/venv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
	.tools/venv/bin/uv pip install --quiet --python .tools/venv/bin/python -r tests/python/requirements.txt
	@touch $@
