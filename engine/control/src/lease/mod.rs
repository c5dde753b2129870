//! Several engines for one cluster: who leads, by a lease in a store that they share. What is decided
//! here is pure; the loop brings the time and the store's answers.

mod common;
mod election;
mod merge;
mod store;

pub use common::{Common, Tried};
pub use election::{Answer, Aside, Ask, Bounds, Lease, Loss, Role};
pub use merge::merge;
pub use store::{
    Document, MOST_EARLIER, MOST_SHARED_BYTES, Renewed, Seen, SpecRecord, Store, StoreError, Taken,
    Term, Verdict,
};
