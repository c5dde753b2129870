//! The lab's network: a bridge in a namespace of its own (the fabric), and a cable from it to each host and to this
//! machine.

use super::options::LabOptions;
use super::run::{LabError, run};

/// Returns the name of the namespace with the bridge.
pub(super) fn fabric_name(options: &LabOptions) -> String {
    format!("tally-{}-fabric", options.name)
}

/// Returns the name of this machine's end of its cable.
pub(super) fn device_name(options: &LabOptions) -> String {
    format!("tl-{}", options.name)
}

/// Returns this machine's address on the network of that number.
pub(super) fn outside_ip(network: u8) -> String {
    format!("10.99.{network}.253")
}

/// Creates the fabric, and this machine's cable to it.
pub(super) fn fabric(options: &LabOptions) -> Result<(), LabError> {
    let fabric = fabric_name(options);
    let device = device_name(options);
    let net = options.network;
    run("ip", &["netns", "add", &fabric])?;
    inside(&fabric, &["link", "set", "lo", "up"])?;
    inside(&fabric, &["link", "add", "br0", "type", "bridge"])?;
    inside(&fabric, &["link", "set", "br0", "up"])?;
    inside(&fabric, &["addr", "add", &format!("10.99.{net}.254/24"), "dev", "br0"])?;
    let cable = ["link", "add", "v0", "netns", &fabric, "type", "veth", "peer", "name", &device];
    run("ip", &cable)?;
    inside(&fabric, &["link", "set", "v0", "master", "br0", "up"])?;
    run("ip", &["addr", "add", &format!("{}/24", outside_ip(net)), "dev", &device])?;
    run("ip", &["link", "set", &device, "up"])?;
    Ok(())
}

/// Runs `ip` in a namespace.
pub(super) fn inside(netns: &str, args: &[&str]) -> Result<String, LabError> {
    run("ip", &[&["-n", netns], args].concat())
}
