//! Simulated Docker hosts behind the same trait as real ones.
//!
//! People learn, try changes and test their specs on them without Docker; our own tests run the
//! whole engine on them, with faults. What a simulated host does, a real one does: the conformance
//! suite runs on both. What it does not model is listed in `docs/user/simulated-hosts.md`.

mod clock;
mod faults;
mod file;
mod host;
mod model;
mod program;
mod watch;

pub use clock::{Clock, ManualClock, tokio_clock, wall_clock};
pub use faults::{Fault, FaultKind, FaultPlan, When};
pub use file::open_file;
pub use host::{SimHost, SimOptions};
pub use model::{Image, Model, Record, Shown};
