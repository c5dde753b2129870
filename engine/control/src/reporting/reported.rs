//! Findings of plans that the journal has already.

use tally_reconcile::plan::reason::BlockReason;
use tally_reconcile::plan::subject::Subject;
use tally_source::Code;

/// Something that a plan showed and that the journal has already.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[expect(clippy::large_enum_variant, reason = "most of them are the large ones")]
pub(crate) enum Reported {
    /// The cluster is as the spec says.
    Tallies,
    /// An error or a warning of planning, by its code and headline.
    Finding(Code, String),
    /// Something that the plan does not do.
    Blocked(Subject, BlockReason),
}
