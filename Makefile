# Two commands do everything on a fresh Debian or Ubuntu machine: `make demo` and `make test`.
# What a target needs (packages, the Rust toolchain, a Docker engine, small local images) is
# installed when it is missing, with one line for each thing that is done.
#
# Honoured: CARGO_TARGET_DIR, DOCKER_HOST, CI.

.DEFAULT_GOAL := help
.PHONY: help tools build images demo demo-clean lint test fuzz pictures lab-up lab-down \
	conformance-podman conformance-docker test-docker pause chaos bench-repair bench bench-noop bench-hosts bench-apply bench-simulated bench-compile bench-memory bench-idle bench-size sim sim-many planted mutants

# A toolchain that was installed a moment ago is not in this shell's PATH yet.
export PATH := $(PATH):$(if $(CARGO_HOME),$(CARGO_HOME),$(HOME)/.cargo)/bin

T := tests/tools
# In CI the lock file is the truth; while developing, a changed manifest may update it.
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

demo: build ## run specs/hello on the local Docker engine (on a simulated host where there is none)
	@$(T)/demo.sh

demo-clean: ## take back what `make demo` made: the cluster and the images
	@$(T)/demo-clean.sh

lint: tools ## formatting, clippy and the shell scripts; warnings are errors
	@$(T)/packages.sh test
	cargo fmt --all --check
	cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings
	shellcheck -x .ci/run $(T)/images/base/as-child $$(find $(T) specs -name '*.sh')

test: lint ## everything that CI runs: lint, then all tests, those on a real Docker engine too
	@$(T)/test.sh $(LOCKED)

lab-up: tools ## several real engines on this machine, by socket, TLS and ssh (root, Linux)
	@$(T)/lab.sh up

lab-down: ## take the lab away; nothing is left of it
	@$(T)/lab.sh down

conformance-podman: tools ## the conformance suite on Debian's Podman (root)
	@$(T)/podman.sh

conformance-docker: tools ## the conformance suite on the Docker of another Debian suite: SUITE=trixie or sid (root)
	@cargo test $(LOCKED) -p tally-tests --test conformance --no-run
	@TALLY_TEST_DOCKER=1 $(T)/newer-docker.sh "$(or $(SUITE),sid)" \
		cargo test $(LOCKED) -p tally-tests --test conformance -- --nocapture

test-docker: tools ## all tests on the Docker of another Debian suite: SUITE=trixie or sid (root; long)
	@cargo test $(LOCKED) --workspace --no-run
	@$(T)/newer-docker.sh "$(or $(SUITE),sid)" $(T)/test.sh $(LOCKED)

pause: tools ## make the infra image's program for both architectures from its source (root)
	@$(T)/pause.sh

chaos: tools ## harm a cluster of five real engines at random for MINUTES (60), from SEED; never part of CI
	@$(T)/lab-runs.sh chaos "$(or $(MINUTES),60)" $(SEED)

fuzz: tools ## random bytes for the compiler, for FUZZ_SECONDS (300); never part of CI
	@$(T)/fuzz.sh

pictures: build ## make the README's pictures of a plan and of an error, from real output
	@$(T)/pictures.sh

# Long runs, never part of CI; their last results stand in docs/devel/benchmarks.md.
sim: tools ## replay one simulated seed with its trace: make sim SEED=1
	cargo run --release $(LOCKED) -p tally-tests --example sim -- one $(or $(SEED),1)

sim-many: tools ## many simulated seeds, on all cores (long): make sim-many SEEDS=100000
	cargo run --release $(LOCKED) -p tally-tests --example sim -- many $(or $(SEEDS),100000) $(or $(FIRST),1)

planted: tools ## the simulation against each planted bug (long)
	@$(T)/planted.sh $(SEEDS)

mutants: tools ## the tests against each mutant of planner and loop (half an hour)
	@$(T)/mutants.sh $(PACKAGES)

bench: bench-noop bench-apply bench-simulated bench-compile bench-memory bench-idle bench-size ## all benchmarks

bench-repair: tools ## from a fault to its repair, beside Swarm and restart policies (root; not in `bench`)
	@$(T)/lab-runs.sh repair "$(or $(ROUNDS),10)"

# Each builds what it needs and no more: `build` has other features, and the two would build each other's anew.
bench-noop: tools ## no-op plan of 60 pods, against a minimal client and compose
	@$(T)/bench.sh noop
bench-hosts: tools ## the same over three engines of a lab (root; not in `bench`)
	@$(T)/bench.sh hosts
bench-apply: tools ## 60 pods from nothing, against a minimal client and compose
	@$(T)/bench.sh apply
bench-simulated: tools ## no-op plan of 1,000 and 10,000 simulated pods, against terraform
	@$(T)/bench.sh simulated
bench-compile: tools ## 1 MB of spec, against the kdl crate's own parse
	@$(T)/bench.sh compile
bench-memory: tools ## peak memory of a plan for 10,000 pods (after bench-simulated)
	@$(T)/bench.sh memory
bench-idle: tools ## the loop over 1,000 containers of ten engines to which nothing happens
	@$(T)/bench.sh idle
bench-size: tools ## size of the stripped binary
	@$(T)/bench.sh size
