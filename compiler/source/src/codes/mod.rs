//! Stable codes of diagnostics. A code is never given to another mistake; each has a page
//! `docs/diagnostics/<code>.md`, kept in step by a test.

mod code;
mod compile;
pub mod engine;

pub use code::{Code, CodeInfo};

/// Returns all codes, in order.
pub fn all_codes() -> impl Iterator<Item = &'static CodeInfo> {
    compile::CODES.iter().chain(engine::CODES)
}

/// Returns the entry of one code.
#[must_use]
pub fn code_info(code: Code) -> Option<&'static CodeInfo> {
    all_codes().find(|info| info.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_and_unique() {
        let codes: Vec<Code> = all_codes().map(|info| info.code).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
    }
}
