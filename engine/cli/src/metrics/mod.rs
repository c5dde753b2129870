//! `tally run --metrics ADDRESS`: metrics of the loop for Prometheus.

pub mod serve;
mod text;

pub use serve::{ListenAddress, Server};
