//! Splits a line into words, as a shell does with quotes and nothing else. A backtick is a third kind of quote, so
//! that quotes nest.

/// Returns the words of a line, without their quotes.
pub(super) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for char in line.chars() {
        match (quote, char) {
            (Some(open), _) if char == open => quote = None,
            (Some(_), _) => word.get_or_insert_default().push(char),
            (None, '"' | '\'' | '`') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    if quote.is_some() { Err(format!("a quote is open: {line}")) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_group() {
        let words = split(r#"create a cmd="sh -c 'exit 3'" "" x"#);
        let expected = ["create", "a", "cmd=sh -c 'exit 3'", "", "x"];
        assert_eq!(words, Ok(expected.map(str::to_owned).to_vec()));
        assert!(split("a \"b").is_err());
    }
}
