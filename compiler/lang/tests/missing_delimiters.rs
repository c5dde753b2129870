//! A missing brace or quote is one mistake, wherever it is missing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

mod common;

use common::rendered;
use tally_lang::{MemoryLoader, compile};
use tally_source::Severity;

#[test]
fn any_missing_brace_or_quote_causes_one_error() {
    let text = include_str!("specs/shop.kdl");
    let mut tried = 0;
    for (at, sign) in text.char_indices().filter(|(_, c)| matches!(c, '{' | '}' | '"')) {
        let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
        if text[line..at].contains(" //") {
            continue;
        }
        let mut spoilt = text.to_owned();
        spoilt.remove(at);
        let mut loader = MemoryLoader::single("tally.kdl", &spoilt).with("cache.kdl", "");
        let compiled = compile("tally.kdl", &mut loader);
        let errors = compiled.diagnostics.iter().filter(|found| found.severity == Severity::Error);
        assert_eq!(errors.count(), 1, "without the {sign:?} at {at}:\n{}", rendered(&compiled));
        tried += 1;
    }
    assert!(tried > 80, "{tried}");
}
