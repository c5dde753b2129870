//! Codes of the compiler.

use super::{Code, CodeInfo};

const fn code(number: u16, title: &'static str) -> CodeInfo {
    CodeInfo { code: Code(number), title }
}

pub(super) static CODES: &[CodeInfo] = &[
    code(101, "the text is not valid KDL"),
    code(301, "a value of the wrong type"),
];
