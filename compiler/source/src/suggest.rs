//! The nearest name to one that is not there.

/// The candidate nearest to `word`, if one is near enough to be meant: at most a third of the
/// word's characters differ (optimal string alignment distance: insert, delete, replace, swap).
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count().max(3)) / 3 + usize::from(word.chars().count() > 3);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().take(64).collect();
    let b: Vec<char> = b.chars().take(64).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut row = Vec::with_capacity(b.len() + 1);
        row.push(i + 1);
        for (j, y) in b.iter().enumerate() {
            let left = row.get(j).copied().unwrap_or(usize::MAX - 1) + 1;
            let up = last.get(j + 1).copied().unwrap_or(usize::MAX - 1) + 1;
            let diagonal = last.get(j).copied().unwrap_or(usize::MAX - 1) + usize::from(x != y);
            let mut best = left.min(up).min(diagonal);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if swapped && let Some(cost) = before.get(j - 1) {
                best = best.min(cost + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
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
