//! The pure core: what a spec asks for, against what was seen, gives a plan.
//!
//! No I/O, no clock, no randomness: the same graph and the same observation give the same plan,
//! byte for byte.

pub mod labels;
pub mod observed;
pub mod plan;
pub mod request;
