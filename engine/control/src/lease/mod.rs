//! Several engines for one cluster: one leads, by a lease in a store that they share. The decisions here are pure; the
//! loop passes in the time and the store's answers.

mod common;
mod merge;
mod state_machine;
mod store;

pub use common::{Common, Tried};
pub use merge::merge;
pub use state_machine::{Aside, Ask, Bounds, Lease, LeaseAnswer, LeaseRole, Loss};
pub use store::{
    Document, MOST_EARLIER, MOST_SHARED_BYTES, Renewed, SpecRecord, Store, StoreError,
    StoreVerdict, StoreView, Taken, Term,
};
