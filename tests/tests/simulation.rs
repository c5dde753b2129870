//! Some hundred seeds of the simulation, each run twice. For more seeds, run `make sim-many`.

use tally_tests::simulation::faults::Kind;
use tally_tests::simulation::many::many;
use tally_tests::simulation::{Settings, run};

/// The number of seeds; a debug build runs them within a minute on one core.
const SEEDS: u64 = 120;

#[test]
fn no_fault_violates_an_invariant() {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let tally = many(1, SEEDS, threads, Settings::default(), true);
    assert_eq!(tally.nondeterministic, Vec::<u64>::new(), "seeds whose second run was another");
    assert_eq!(tally.seeds, SEEDS);
    assert!(
        tally.bad.is_empty(),
        "replay with `make sim SEED=…`: {:#?}",
        tally.bad.iter().collect::<Vec<_>>()
    );
    assert!(tally.rollbacks > 0, "no rollout was rolled back");
    // Rare kinds of faults take some hundred seeds, as in `make sim-many`.
    assert!(tally.fired.len() + 2 >= Kind::ALL.len(), "never came to pass: {:?}", tally.never());
}

#[test]
fn in_the_steady_state_nothing_changes_for_an_hour() {
    for seed in 1..=6 {
        let outcome = run(seed, Settings { deep: true, ..Settings::default() });
        assert!(outcome.violations.is_empty(), "seed {seed}: {:?}", outcome.violations);
    }
}
