//! Scenarios: a spec is compiled, planned, applied and looked at again, on the simulator and on
//! the real engine (where `TALLY_TEST_DOCKER=1`). Checks look at state, not at output.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    missing_docs,
    reason = "tests stop loudly"
)]

mod classes;
mod clocks;
mod convergence;
mod courses;
mod defaults;
mod dependencies;
mod failures;
mod field_coverage;
mod fields;
mod foreign;
mod glance;
mod held;
mod keeping;
mod leases;
mod many;
mod placement;
mod pods;
mod purity;
mod rebalance;
mod recorded;
mod registry;
mod rollback;
mod rollouts;
mod secrets;
mod silent;
mod tags;
mod told;
mod upgrade;
mod world;
