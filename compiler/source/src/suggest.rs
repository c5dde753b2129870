//! Suggestions for misspelled names.

/// The maximum number of characters that are compared, which bounds the time.
const MAX_COMPARED: usize = 64;

/// Returns the candidate nearest to `word`, if it is near enough to be meant: at most a third of the
/// characters differ, by optimal string alignment distance (insert, delete, replace, swap).
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count().max(3)) / 3 + usize::from(word.chars().count() > 3);
    let word = folded(word);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &folded(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

/// Returns the compared characters, in lower case.
fn folded(text: &str) -> String {
    text.to_lowercase().chars().take(MAX_COMPARED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let words = ["container", "controller", "volume"];
        assert_eq!(nearest("contianer", words), Some("container"));
        assert_eq!(nearest("volumes", words), Some("volume"));
        assert_eq!(nearest("banana", words), None);
        assert_eq!(nearest("replica", ["replicas", "restart"]), Some("replicas"));
        assert_eq!(nearest("x", ["y"]), None);
    }
}
