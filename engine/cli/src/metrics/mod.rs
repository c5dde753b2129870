//! `tally run --metrics ADDRESS`: what the loop counts, for Prometheus.

pub mod serve;
mod text;

pub use serve::{Address, Server};
