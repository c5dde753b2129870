//! The pure core: what a spec asks for, against what was seen, gives a plan.
//!
//! No I/O, no clock, no randomness: the same graph and the same observation give the same plan,
//! byte for byte. [`reconcile`] is the one door.

pub mod applied;
mod assign;
pub mod balance;
mod builder;
pub mod classify;
pub mod diff;
pub mod found;
mod gone;
mod hold;
mod images;
pub mod labels;
pub mod memory;
mod needs;
mod objects;
pub mod observed;
pub mod place;
pub mod plan;
mod planner;
mod pods;
mod ports;
mod quiet;
pub mod realise;
mod rebalance;
mod reconcile;
pub mod request;
pub mod rollback;
mod rollout;
mod standing;
pub mod undo;
mod unsupported;
mod verdict;
mod whereabouts;

pub use classify::owns;
pub use images::digest_of;
pub use reconcile::{LOCAL_HOST, Options, Prepared, reconcile, reconcile_prepared};
