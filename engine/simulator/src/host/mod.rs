//! The trait `Host` over the model.

mod read;
mod sim_host;
mod write;

pub use sim_host::{SimHost, SimOptions};
