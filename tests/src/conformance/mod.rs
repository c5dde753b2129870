//! The conformance suite: sequences of calls with their expected results, run on the simulator and on a real engine.
//! Where the two differ, the simulator is wrong.
//!
//! Cases are text, one file per topic, in `tests/conformance`. A case starts with `case` and its promise; each line
//! after it is a call or an observation:
//!
//! ```text
//! case a name is taken once
//! create a
//! create a => conflict
//! see a state=created
//! ```
//!
//! `=> KIND` is the expected error of a call; without it the call must succeed. `see` waits until its condition holds.
//! Names are made unique to the case; `$1` to `$9` are host ports of its own.

mod parse;
mod run;
mod words;

pub use parse::{Case, cases};
pub use run::{World, clean_up, run};

/// The image of the cases: a shell, and busybox's programs.
pub const IMAGE: &str = "tally.local/hello:1";
