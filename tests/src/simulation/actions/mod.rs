//! The effect of each fault and of each action of people, and how it ends.
//!
//! | module | |
//! |---|---|
//! | `director` | the faults and actions of one run |
//! | `by_hand` | changes that people make to containers |
//! | `shared_store` | faults of engines that share a store, and of the store |
//! | `repair`, `repairs` | the ways in which faults end; ending them |

mod by_hand;
mod director;
mod repair;
mod repairs;
mod shared_store;

pub use director::Director;
