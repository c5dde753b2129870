//! Checks of the source tree itself: import cycles between the modules of a crate, the style of modules,
//! the length of files, the names of types.
//!
//! The checks read the text of the sources. They know `use` declarations and paths, no types and no macros'
//! output; this is enough for imports, since each import is written down.

pub mod crates;
pub mod cycles;
pub mod imports;
pub mod layout;
pub mod modules;
pub mod names;
pub mod scan;
pub mod tokens;
