//! Many runs over several cores: their speed, faults and violations.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::faults::Kind;
use super::run::{Settings, run};

/// The maximum number of seeds whose violations are kept.
const MAX_REPORTED: usize = 50;

/// The outcome of many runs.
#[derive(Debug, Default)]
pub struct Summary {
    /// The number of runs.
    pub seeds: u64,
    /// The duration.
    pub took: Duration,
    /// The number of times that each kind of fault took effect.
    pub fired: BTreeMap<Kind, u64>,
    /// Seeds with violations.
    pub bad: BTreeMap<u64, Vec<String>>,
    /// The number of seeds with violations.
    pub bad_seeds: u64,
    /// Seeds whose second run differed.
    pub nondeterministic: Vec<u64>,
    /// Number of calls.
    pub calls: u64,
    /// Number of rollbacks.
    pub rollbacks: u64,
    /// Simulated time.
    pub simulated: Duration,
    /// The sum of the hashes of all runs, independent of their order: an optimization that changes no behaviour keeps
    /// it.
    pub hash: u64,
}

/// Runs `count` seeds from `first` on this number of threads; `twice` compares two runs of each.
#[must_use]
pub fn many(first: u64, count: u64, threads: usize, settings: Settings, twice: bool) -> Summary {
    let began = Instant::now();
    let next = AtomicU64::new(first);
    let mut all = Summary::default();
    std::thread::scope(|scope| {
        let work = || {
            let mut tally = Summary::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= first + count {
                    return tally;
                }
                tally.add(seed, settings, twice);
            }
        };
        let threads: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            if let Ok(tally) = thread.join() {
                all.merge(tally);
            } else {
                all.bad_seeds += 1;
                all.bad.insert(u64::MAX, vec!["a run panicked".to_owned()]);
            }
        }
    });
    all.took = began.elapsed();
    all
}

impl Summary {
    fn add(&mut self, seed: u64, settings: Settings, twice: bool) {
        let outcome = run(seed, settings);
        if twice && run(seed, settings).hash != outcome.hash {
            self.nondeterministic.push(seed);
        }
        self.seeds += 1;
        self.hash = self.hash.wrapping_add(outcome.hash);
        self.calls += outcome.calls;
        self.rollbacks += outcome.rollbacks;
        self.simulated += Duration::from_millis(u64::try_from(outcome.simulated_ms).unwrap_or(0));
        for (kind, count) in outcome.fired {
            *self.fired.entry(kind).or_default() += count;
        }
        if !outcome.violations.is_empty() {
            self.bad_seeds += 1;
            if self.bad.len() < MAX_REPORTED {
                self.bad.insert(seed, outcome.violations);
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.hash = self.hash.wrapping_add(other.hash);
        self.calls += other.calls;
        self.rollbacks += other.rollbacks;
        self.simulated += other.simulated;
        self.bad_seeds += other.bad_seeds;
        self.nondeterministic.extend(other.nondeterministic);
        for (kind, count) in other.fired {
            *self.fired.entry(kind).or_default() += count;
        }
        self.bad.extend(other.bad);
    }

    /// Returns the kinds of faults that never took effect.
    #[must_use]
    pub fn never(&self) -> Vec<Kind> {
        Kind::ALL.iter().copied().filter(|kind| !self.fired.contains_key(kind)).collect()
    }
}
