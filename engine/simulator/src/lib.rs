//! Simulated Docker hosts behind the same trait as real ones.
//!
//! People learn, try changes and test their specs on them without Docker; our own tests run the whole engine on them,
//! with faults. A simulated host behaves as a real one: the conformance suite runs on both.
//! `docs/user/simulated-hosts.md` lists the parts that are not modelled.

mod clock;
mod events;
mod faults;
mod file;
mod host;
mod model;
mod open_file;
mod program;
mod store;

pub use clock::{Clock, ManualClock, tokio_clock, wall_clock};
pub use faults::{Fault, FaultKind, FaultPlan, When};

pub use host::{SimHost, SimOptions};
pub use model::{ContainerView, Image, Model, Record};
pub use open_file::open_file;
