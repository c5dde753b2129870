//! The input of the planner: options, observation and the dependencies between workloads.

pub(crate) mod needs;
pub mod observed;
pub mod options;
