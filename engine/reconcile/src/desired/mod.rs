//! The desired state: the containers that a workload's pod must consist of.

pub mod realise;
