//! Scenarios: a spec is compiled, planned, applied and observed again, on the simulator and on
//! the real engine (if `TALLY_TEST_DOCKER=1`). Checks inspect state, not at output.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "tests stop loudly"
)]

mod blocked;
mod clocks;
mod control_loop;
mod convergence;
mod defaults;
mod dependencies;
mod docker_requests;
mod failures;
mod fast_path;
mod field_coverage;
mod fields;
mod leases;
mod many;
mod placement;
mod pods;
mod purity;
mod rebalance;
mod recorded;
mod registry;
mod replacements;
mod rollback;
mod rollback_loop;
mod rollback_tracking;
mod rollouts;
mod secrets;
mod tags;
mod unmanaged;
mod unreachable;
mod update_classes;
mod upgrade;
mod world;
