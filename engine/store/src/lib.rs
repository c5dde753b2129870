//! The real side of the trait `Store`: etcd, version 3, by its JSON gateway. It knows what lies where;
//! who leads and what follows from that is `tally-control`'s.

mod address;
mod channel;
mod etcd;
mod wire;

pub use address::{Address, AddressError};
pub use etcd::{Etcd, OpenError};
