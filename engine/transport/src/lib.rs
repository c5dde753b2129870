//! Connections over TCP and TLS, and pooled HTTP clients over them. The Docker client and the store share them,
//! so that one set of rules holds for both: TLS trusts the given authority only, and plain text leaves this
//! machine only when the user allows it.

pub mod address;
mod cause;
mod connector;
mod tcp;
mod tls;

pub use address::TcpAddress;
pub use cause::{innermost, transport_error_in};
pub use connector::{Connecting, Route, Stream, StreamConnector, pooled};
pub use tcp::TcpRoute;
pub use tls::{Tls, TlsPaths};
