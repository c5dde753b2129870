//! Engines behind SSH, through the plain `ssh` program.

mod address;
mod messages;
mod tunnel;

pub(crate) use address::SshAddress;
pub(crate) use tunnel::Tunnel;
