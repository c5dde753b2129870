//! The Docker side of the trait `Host`: reaching engines over Unix sockets, TCP, TLS and SSH, and calling their
//! API. Types of the client library do not leave this crate.

mod classify;
mod connect;
mod convert;
mod create;
mod credentials;
mod default_host;
mod docker_host;
mod files;
mod infra;
mod pull;
mod read;
mod registries;
mod stream;
mod time;
mod write;

pub use connect::{Endpoint, connect, connect_read};
pub use default_host::default_host;
pub use docker_host::ConnectOptions;
pub use infra::infra_program;
