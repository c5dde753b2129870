//! What the tests that span crates share.

pub mod architecture;
pub mod closely;
pub mod conformance;
pub mod crash;
pub mod etcd;
pub mod gate;
pub mod golden;
pub mod keeper;
pub mod lab;
pub mod letters;
pub mod planted;
pub mod registry;
pub mod simulation;
pub mod store;
