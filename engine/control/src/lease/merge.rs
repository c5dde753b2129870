//! Merges the declarations of several engines: entry by entry, three ways. Pure.

use std::collections::BTreeMap;

use tally_reconcile::memory::Declarations;

/// Returns the merged declarations, when `base` was shared last, `ours` are those of this engine and `theirs` are
/// shared now: where ours differ from the base somebody declared that here, and everything else is theirs.
#[must_use]
pub fn merge(base: &Declarations, ours: &Declarations, theirs: &Declarations) -> Declarations {
    each::<Merged>(base, ours, theirs)
}

/// Returns the declarations that were shared last, when `base` surely was and `tried` may have been written since:
/// `theirs` where they equal `tried`, and `base` everywhere else.
#[must_use]
pub fn known(base: &Declarations, tried: &Declarations, theirs: &Declarations) -> Declarations {
    each::<KnownDeclaration>(base, tried, theirs)
}

/// Which of three places decides an entry.
trait Decide {
    fn decide<T: PartialEq>(base: T, second: T, theirs: T) -> T;
}

struct Merged;

impl Decide for Merged {
    fn decide<T: PartialEq>(base: T, ours: T, theirs: T) -> T {
        if ours == base { theirs } else { ours }
    }
}

struct KnownDeclaration;

impl Decide for KnownDeclaration {
    fn decide<T: PartialEq>(base: T, tried: T, theirs: T) -> T {
        if tried == theirs { theirs } else { base }
    }
}

fn each<D: Decide>(
    base: &Declarations,
    second: &Declarations,
    theirs: &Declarations,
) -> Declarations {
    Declarations {
        hosts: map::<D, _>(&base.hosts, &second.hosts, &theirs.hosts),
        paused: map::<D, _>(&base.paused, &second.paused, &theirs.paused),
        frozen: D::decide(&base.frozen, &second.frozen, &theirs.frozen).clone(),
        rolled_back: map::<D, _>(&base.rolled_back, &second.rolled_back, &theirs.rolled_back),
        restarts: map::<D, _>(&base.restarts, &second.restarts, &theirs.restarts),
    }
}

fn map<D: Decide, T: Clone + PartialEq>(
    base: &BTreeMap<String, T>,
    second: &BTreeMap<String, T>,
    theirs: &BTreeMap<String, T>,
) -> BTreeMap<String, T> {
    let keys = base.keys().chain(second.keys()).chain(theirs.keys());
    let one = |key: &String| {
        let counts = D::decide(base.get(key), second.get(key), theirs.get(key))?;
        Some((key.clone(), counts.clone()))
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
