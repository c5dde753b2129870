//! The causes below an error of the HTTP client.

use std::error::Error;

use tally_host::TransportError;

use crate::tls;

/// Returns why no connection was made, when an error of the HTTP client or a cause of it says so.
#[must_use]
pub fn transport_error_in(error: &(dyn Error + 'static)) -> Option<TransportError> {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<TransportError>() {
            return Some(found.clone());
        }
        // An I/O error shows the source of the error that it holds, but not that error.
        if let Some(found) = error.downcast_ref::<std::io::Error>()
            && let Some(found) = tls::rustls_error(found)
        {
            return Some(tls::fault(found));
        }
        next = error.source();
    }
    None
}

/// Returns the text of the deepest cause, which is the one that says what happened.
#[must_use]
pub fn innermost(error: &dyn Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
