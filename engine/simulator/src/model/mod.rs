//! A simulated Docker engine: its state as plain data, and the effect of each call on it. It has no clock and no
//! randomness of its own: the time is a parameter, and IDs come from a seeded counter, so that the same calls at the
//! same times give the same state.

mod containers;
mod inject;
mod inspect;
mod lifecycle;
mod objects;
mod record;
mod state;

pub use inject::ContainerView;
pub use record::Record;
pub use state::{Image, Model};
