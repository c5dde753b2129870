//! Convergence: observe, plan, execute, judge the result, observe again.
//!
//! [`Convergence`] holds the state that one pass hands to the next and has the steps that every driver shares.
//! [`Session`] drives them a bounded number of times (`tally apply`, `tally destroy`, saved plans, and the
//! simulation's operator); the control loop drives them for as long as it runs. Nothing here prints: an
//! [`Observer`] is called as things happen, and the result is a [`SessionOutcome`].

mod core;
mod observer;
mod outcome;
mod saved_plan;
mod session;

pub use core::{Actor, Convergence};
pub use observer::{Observer, PlanningResult, Refused};
pub use outcome::{ConvergenceError, SessionOutcome};
pub use saved_plan::still_fits;
pub use session::{Request, Session};
