//! Hashes as text.

use sha2::{Digest, Sha256};

/// SHA-256 of some bytes, 64 hex digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
