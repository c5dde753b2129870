//! The reason why a secret cannot be read.

/// A secret that cannot be read.
pub(super) struct Unread {
    /// The reason, as the end of a headline.
    pub what: String,
    /// The way out.
    pub help: String,
}
