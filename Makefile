# Two commands do everything on a fresh Debian or Ubuntu machine: `make demo` and `make test`.
# Each target installs its missing requirements (packages, the Rust toolchain, a Docker engine, small local images) and
# prints one line for each action.
#
# Variables: CARGO_TARGET_DIR, DOCKER_HOST, CI.

.DEFAULT_GOAL := help
.PHONY: help tools build images demo demo-clean lint deny advisories test fuzz pictures lab-up lab-down \
	conformance-podman conformance-docker test-docker pause chaos bench-repair bench bench-noop bench-hosts bench-apply bench-simulated bench-compile bench-memory bench-idle bench-size sim sim-many planted mutants

# A newly installed toolchain is not in this shell's PATH yet.
export PATH := $(PATH):$(if $(CARGO_HOME),$(CARGO_HOME),$(HOME)/.cargo)/bin

T := tests/tools
# In CI the lock file must be up to date; during development a changed manifest may update it.
LOCKED := $(if $(filter true,$(CI)),--locked)

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

tools:
	@$(T)/packages.sh build
	@$(T)/rust.sh

build: tools ## build the release binary: target/release/tally
	cargo build --release $(LOCKED) -p tally-cli

images: ## build the small local images that the specs use
	@$(T)/engine.sh
	@$(T)/images.sh

demo: build ## run specs/hello on the local Docker engine (or on a simulated host if there is none)
	@$(T)/demo.sh

demo-clean: ## remove the cluster and the images of `make demo`
	@$(T)/demo-clean.sh

lint: tools ## check formatting, clippy, the shell scripts, the prose and the dependencies; warnings are errors
	@$(T)/packages.sh test
	cargo fmt --all --check
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
	shellcheck -x .ci/run $(T)/images/base/as-child $$(find $(T) specs -name '*.sh')
	@$(T)/prose.sh
	@$(T)/deny.sh || [ $$? -eq 3 ]

deny: tools ## check licenses and sources of the dependencies, and crates in two versions
	@$(T)/deny.sh

advisories: tools ## check the dependencies for known vulnerabilities, with the RustSec database on GitHub; never part of CI
	@$(T)/deny.sh advisories

test: lint ## run everything that CI runs: lint, then all tests, including those on a real Docker engine
	@$(T)/test.sh $(LOCKED)

lab-up: tools ## start several real engines on this machine, with socket, TLS and ssh (root, Linux)
	@$(T)/lab.sh up

lab-down: ## remove the lab completely
	@$(T)/lab.sh down

conformance-podman: tools ## run the conformance suite on Debian's Podman (root)
	@$(T)/podman.sh

conformance-docker: tools ## run the conformance suite on the Docker of another Debian suite: SUITE=trixie or sid (root)
	@cargo test $(LOCKED) -p tally-tests --test conformance --no-run
	@TALLY_TEST_DOCKER=1 $(T)/newer-docker.sh "$(or $(SUITE),sid)" \
		cargo test $(LOCKED) -p tally-tests --test conformance -- --nocapture

test-docker: tools ## run all tests on the Docker of another Debian suite: SUITE=trixie or sid (root; long)
	@cargo test $(LOCKED) --workspace --no-run
	@$(T)/newer-docker.sh "$(or $(SUITE),sid)" $(T)/test.sh $(LOCKED)

pause: tools ## build the infra image's program for both architectures from its source (root)
	@$(T)/pause.sh

chaos: tools ## inject random faults into a cluster of five real engines for MINUTES (60), from SEED; never part of CI
	@$(T)/lab-runs.sh chaos "$(or $(MINUTES),60)" $(SEED)

fuzz: tools ## fuzz the compiler for FUZZ_SECONDS (300); never part of CI
	@$(T)/fuzz.sh

pictures: build ## create the README's pictures of a plan and of an error, from real output
	@$(T)/pictures.sh

# Long runs, never part of CI; docs/devel/benchmarks.md and docs/devel/proof.md have their last results.
sim: tools ## replay one simulated seed with its trace: make sim SEED=1
	cargo run --release $(LOCKED) -p tally-tests --example sim -- one $(or $(SEED),1)

sim-many: tools ## run many simulated seeds, on all cores (long): make sim-many SEEDS=100000
	cargo run --release $(LOCKED) -p tally-tests --example sim -- many $(or $(SEEDS),100000) $(or $(FIRST),1)

planted: tools ## run the simulation against each planted bug (long)
	@$(T)/planted.sh $(SEEDS)

mutants: tools ## run the tests against each mutant of planner and loop (half an hour)
	@$(T)/mutants.sh $(PACKAGES)

bench: bench-noop bench-apply bench-simulated bench-compile bench-memory bench-idle bench-size ## run all benchmarks

bench-repair: tools ## time from a fault to its repair, compared with Swarm and restart policies (root; not in `bench`)
	@$(T)/lab-runs.sh repair "$(or $(ROUNDS),10)"

# Each builds only its own requirements: `build` has other features, and the two would rebuild each other's crates.
bench-noop: tools ## no-op plan of 60 pods, compared with a minimal client and compose
	@$(T)/bench.sh noop
bench-hosts: tools ## no-op plan over three engines of a lab (root; not in `bench`)
	@$(T)/bench.sh hosts
bench-apply: tools ## 60 pods from nothing, compared with a minimal client and compose
	@$(T)/bench.sh apply
bench-simulated: tools ## no-op plan of 1,000 and 10,000 simulated pods, compared with terraform
	@$(T)/bench.sh simulated
bench-compile: tools ## 1 MB of spec, compared with the kdl crate's own parse
	@$(T)/bench.sh compile
bench-memory: tools ## peak memory of a plan for 10,000 pods (after bench-simulated)
	@$(T)/bench.sh memory
bench-idle: tools ## CPU time and memory of the loop over 1,000 idle containers of ten engines
	@$(T)/bench.sh idle
bench-size: tools ## size of the stripped binary
	@$(T)/bench.sh size
