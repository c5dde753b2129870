//! etcd (version 3, through its JSON gateway) as an implementation of the trait `Store`. This crate defines the keys;
//! `tally-control` decides who leads.

mod address;
mod channel;
mod etcd;
mod wire;

pub use address::{AddressError, StoreAddress};
pub use etcd::{Etcd, OpenError};
