//! What is declared in several places, made one: entry by entry, three ways. Pure.

use std::collections::BTreeMap;

use tally_reconcile::memory::Declarations;

/// What is declared in all, when `base` was common last, `ours` is declared here now and `theirs` is
/// common now: where ours differs from what was common somebody declared that here, and everything else
/// is theirs.
#[must_use]
pub fn merge(base: &Declarations, ours: &Declarations, theirs: &Declarations) -> Declarations {
    Declarations {
        hosts: map(&base.hosts, &ours.hosts, &theirs.hosts),
        paused: map(&base.paused, &ours.paused, &theirs.paused),
        frozen: if ours.frozen == base.frozen { &theirs.frozen } else { &ours.frozen }.clone(),
        undone: map(&base.undone, &ours.undone, &theirs.undone),
        restarts: map(&base.restarts, &ours.restarts, &theirs.restarts),
    }
}

fn map<T: Clone + PartialEq>(
    base: &BTreeMap<String, T>,
    ours: &BTreeMap<String, T>,
    theirs: &BTreeMap<String, T>,
) -> BTreeMap<String, T> {
    let keys = ours.keys().chain(theirs.keys());
    let one = |key: &String| {
        let changed_here = ours.get(key) != base.get(key);
        let counts = if changed_here { ours.get(key) } else { theirs.get(key) };
        Some((key.clone(), counts?.clone()))
    };
    keys.filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use tally_reconcile::memory::Declared;

    use super::*;

    fn hosts(all: &[(&str, Declared)]) -> Declarations {
        let all = all.iter().map(|(name, declared)| ((*name).to_owned(), *declared));
        Declarations { hosts: all.collect(), ..Declarations::default() }
    }

    #[test]
    fn what_is_declared_here_and_there_counts_in_both_places() {
        use Declared::{Fenced, Lost};
        let base = hosts(&[("a", Lost), ("b", Lost)]);
        let ours = hosts(&[("b", Fenced), ("c", Lost)]);
        let theirs = hosts(&[("a", Lost), ("b", Lost), ("d", Lost)]);
        let all = hosts(&[("b", Fenced), ("c", Lost), ("d", Lost)]);
        assert_eq!(merge(&base, &ours, &theirs), all, "a was restored here");
        assert_eq!(merge(&all, &all, &theirs), theirs, "nothing was declared here");
        assert_eq!(merge(&theirs, &ours, &theirs), ours, "nothing was declared there");
    }

    #[test]
    fn a_freeze_that_ended_elsewhere_ends_here_and_a_new_one_stands() {
        let frozen = |why: Option<&str>| Declarations {
            frozen: why.map(str::to_owned),
            ..Declarations::default()
        };
        let (none, one) = (frozen(None), frozen(Some("release")));
        assert_eq!(merge(&one, &one, &none), none);
        assert_eq!(merge(&none, &one, &none), one);
        assert_eq!(merge(&one, &none, &one), none, "it was ended here");
    }
}
