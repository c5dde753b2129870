//! Deterministic simulation: the real control loop and executor with simulated Docker hosts, their
//! clocks, the network and people, all driven by one seed.
//!
//! | module | purpose |
//! |---|---|
//! | `rng`, `spec` | random numbers; generated specs and the pods that they ask for |
//! | `world` | hosts, clocks, network conditions, the trace |
//! | `faults` | the kinds of faults and of people's actions |
//! | `connection` | the connection of an engine to a host |
//! | `shared_store`, `store_connection` | the store that engines share, and the connection of an engine to it |
//! | `lock` | locks without poison |
//! | `engine` | engines that are killed, stalled, or started beside each other |
//! | `manual_apply` | a person who runs `tally apply` |
//! | `actions` | the effect of each fault and each action, and how it ends |
//! | `run` | one run: a time with faults, then a time without |
//! | `invariants` | checks of each call (S1 to S6, S8 to S10) |
//! | `convergence` | checks at the end of a run (L1 to L6, S11) |
//! | `many` | many runs over several cores |

pub mod actions;
pub mod connection;
pub mod convergence;
pub mod engine;
pub mod faults;
pub mod invariants;
mod lock;
pub mod manual_apply;
pub mod many;
pub mod rng;
pub mod run;
pub mod shared_store;
pub mod spec;
mod store_connection;
pub mod world;

pub use run::{Outcome, Settings, run};
