//! The inventory: the containers that exist on each host, classified, and the status of the hosts.

pub mod classify;
pub mod collect;
pub mod containers;
pub(crate) mod fast_path;
pub(crate) mod host_status;
pub(crate) mod patterns;
pub(crate) mod pod_index;
