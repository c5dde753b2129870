//! Deterministic simulation: the real control loop and executor, simulated Docker hosts, their
//! clocks, the network and people, all from one seed.
//!
//! | module | |
//! |---|---|
//! | `rng`, `spec` | chance; seeded specs and what they ask for |
//! | `world` | hosts, clocks, the weather between, the trace |
//! | `faults` | the kinds of faults and actions |
//! | `door` | the way of a call |
//! | `depot`, `store_client` | the store that engines share; the connection of one engine to it |
//! | `lock` | locks without poison |
//! | `engine` | engines that are killed, stalled, doubled |
//! | `hand` | who applies by hand |
//! | `actions` | the effect of each fault and action, and how it ends |
//! | `run` | one run: a time of faults, then quiet |
//! | `judge` | what must never happen (S1 to S6, S8 to S10) |
//! | `ending` | what must have come about (L1 to L6), and S11 |
//! | `many` | many runs over several cores |

pub mod actions;
pub mod depot;
pub mod door;
pub mod ending;
pub mod engine;
pub mod faults;
pub mod hand;
pub mod judge;
mod lock;
pub mod many;
pub mod rng;
pub mod run;
pub mod spec;
mod store_client;
pub mod world;

pub use run::{Outcome, Settings, run};
