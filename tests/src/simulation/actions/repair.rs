//! The ways in which faults end.

use tally_reconcile::memory::Memory;

/// A host that is reachable again counts as given up for this duration, in milliseconds: engines have yet to observe
/// it.
pub(super) const PRESUMED_LOST_MS: i64 = 75_000;

/// The end of a fault.
pub(super) enum Repair {
    Heal(String),
    Events(String),
    Disk(String),
    Fast(String),
    Inspect(String),
    Image,
    Loose(String, String),
    Healthy(String, String),
    CrashAgain(String, String, u32),
    Begin(u32, Box<Memory>),
    GoOn(u32),
    SecondEnds,
    Unfreeze,
    SpecBack(usize),
    Stranger(String, String),
    Store,
    UpToDate(u32),
}
