//! What no single node can know: circles, ports of hosts, volumes and hosts.

mod dependencies;
mod hosts;
mod pod_names;
mod ports;
mod secrets;
mod volumes;

pub(crate) use dependencies::dependencies;
pub(crate) use hosts::placement;
pub(crate) use pod_names::pod_names;
pub(crate) use ports::host_ports;
pub(crate) use secrets::secrets;
pub(crate) use volumes::{volumes, volumes_on_hosts};
