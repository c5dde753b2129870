//! The planner: decides per workload and pod, and emits the operations of the plan.

mod blocking;
mod cluster;
pub(crate) mod context;
pub(crate) mod images;
pub(crate) mod objects;
pub(crate) mod pod;
mod ports;
mod rebalance;
pub(crate) mod reconcile;
pub(crate) mod removals;
mod unsupported;
