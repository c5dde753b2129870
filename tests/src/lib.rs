//! Code that tests of several crates share.

pub mod architecture;
pub mod conformance;
pub mod crash;
pub mod etcd;
pub mod golden;
pub mod lab;
pub mod pause;
pub mod plan_equivalence;
pub mod planted;
pub mod project;
pub mod registry;
pub mod simulation;
pub mod spec_source;
pub mod store;
