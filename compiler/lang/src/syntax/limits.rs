//! Limits of the parser.

/// The deepest nesting of blocks. Specs need 6.
pub(super) const MAX_DEPTH: usize = 32;

/// The maximum number of mistakes reported for one file. Nobody reads more, and a hostile file could
/// hold millions.
pub(super) const MAX_MISTAKES: usize = 500;
