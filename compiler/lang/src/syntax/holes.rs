//! Holes in texts: `${` opens one, and `$${` is the escape for the characters `${`.

/// An occurrence of `${`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening {
    /// The offset of its `$`.
    pub at: usize,
    /// Whether it is written `$${`, and opens nothing.
    pub escaped: bool,
}

/// Returns the first `${` at or after an offset.
pub(crate) fn next(text: &str, from: usize) -> Option<Opening> {
    let at = from + text.get(from..)?.find("${")?;
    let escaped = at > 0 && text.as_bytes().get(at - 1) == Some(&b'$');
    Some(Opening { at, escaped })
}

/// Checks whether a text holds `${`, escaped or not.
pub(crate) fn any(text: &str) -> bool {
    text.contains("${")
}

/// Returns a text without holes, its escapes resolved; `None` if it holds one.
pub(crate) fn unescaped(text: &str) -> Option<String> {
    let open = text.replace("$${", "").contains("${");
    (!open).then(|| text.replace("$${", "${"))
}
