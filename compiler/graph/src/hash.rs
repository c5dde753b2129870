//! Hashes as text.

use sha2::{Digest, Sha256};

/// Returns the SHA-256 of some bytes, 64 hex digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    let digits = Sha256::digest(bytes).into_iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}
