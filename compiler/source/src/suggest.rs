//! Suggestions for misspelled names.

/// The maximum number of characters that are compared, which bounds the time.
const MAX_COMPARED: usize = 64;

/// Returns the candidate nearest to `word`, if it is near enough to be meant and no other is as near: at most a third
/// of the characters differ, by optimal string alignment distance (insert, delete, replace, swap).
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).max(1);
    let word = folded(word);
    let mut best: Option<(usize, &str)> = None;
    let mut tie = false;
    for candidate in candidates {
        let distance = strsim::osa_distance(&word, &folded(candidate));
        if distance > limit || distance >= candidate.chars().count() {
            continue;
        }
        match best {
            Some((least, known)) if distance > least || known == candidate => {}
            Some((least, _)) if distance == least => tie = true,
            _ => (best, tie) = (Some((distance, candidate)), false),
        }
    }
    best.filter(|_| !tie).map(|(_, candidate)| candidate)
}

/// Returns the only candidate that differs from `word` by one character (inserted, deleted, replaced, or swapped with
/// the next one) or by its capitals.
pub fn misspelt<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = folded(word);
    let near = |candidate: &&str| {
        candidate.len().abs_diff(word.len()) <= 4
            && strsim::osa_distance(&word, &folded(candidate)) <= 1
    };
    let mut near = candidates.into_iter().filter(near);
    let only = near.next()?;
    near.all(|other| other == only).then_some(only)
}

/// Returns the compared characters, in lower case.
fn folded(text: &str) -> String {
    text.to_lowercase().chars().take(MAX_COMPARED).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_differs_by_one_character_from_one_word_only() {
        let words = ["port", "pull", "zone-1", "zone-2"];
        assert_eq!(misspelt("prot", words), Some("port"));
        assert_eq!(misspelt("Port", words), Some("port"));
        assert_eq!(misspelt("ports", words), Some("port"));
        assert_eq!(misspelt("zone-", words), None);
        assert_eq!(misspelt("zone-3", words), None);
        assert_eq!(misspelt("parts", words), None);
    }

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not() {
        let words = ["container", "controller", "volume"];
        assert_eq!(nearest("contianer", words), Some("container"));
        assert_eq!(nearest("volumes", words), Some("volume"));
        assert_eq!(nearest("banana", words), None);
        assert_eq!(nearest("replica", ["replicas", "restart"]), Some("replicas"));
        assert_eq!(nearest("x", ["y"]), None);
        assert_eq!(nearest("cpuset", ["user"]), None);
        assert_eq!(nearest("data-2", ["data-1", "data-3"]), None);
        assert_eq!(nearest("data-2", ["data-1", "data-1"]), Some("data-1"));
    }
}
