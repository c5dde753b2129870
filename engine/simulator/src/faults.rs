//! Faults of a simulated host, as data: which calls fail, and how.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Which calls fail. Rules are tried in order; the first that matches a call decides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FaultPlan {
    /// The seed of the probabilities: the same seed gives the same faults.
    pub seed: u64,
    /// The rules.
    pub rules: Vec<Fault>,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The call's name as in the trait (`create_container`); any call when `None`.
    pub call: Option<String>,
    /// Which of the calls of that name.
    pub when: When,
    /// The fault.
    pub kind: FaultKind,
}

/// Which of the calls of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Every one.
    Always,
    /// The one with that number, from 1.
    Nth(u64),
    /// Those from that number on, from 1.
    From(u64),
    /// Each with that probability, in thousandths.
    PerMille(u32),
}

/// A fault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The reply is late.
    Slow {
        /// The delay in milliseconds.
        millis: u64,
    },
    /// The request is lost: nothing happens, and no reply comes.
    LoseRequest,
    /// The call takes effect, and the reply is lost.
    LoseReply,
    /// The call is refused.
    Refuse {
        /// With that HTTP status.
        status: u16,
        /// The message.
        message: String,
    },
    /// No answer comes until the deadline.
    Hang {
        /// Whether the call takes effect all the same.
        applied: bool,
    },
    /// Nothing answers at the host's address.
    Unreachable,
}

/// The faults of a host, and how often they occurred.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    plan: FaultPlan,
    counts: BTreeMap<&'static str, u64>,
    drawn: u64,
    fired: BTreeMap<FaultKind, u64>,
}

impl Faults {
    pub(crate) fn new(plan: FaultPlan) -> Self {
        Self { plan, ..Self::default() }
    }

    /// Returns the fault of the next call of that name.
    pub(crate) fn next(&mut self, call: &'static str) -> Option<FaultKind> {
        let count = self.counts.entry(call).or_default();
        *count += 1;
        let count = *count;
        let mut found = None;
        for rule in &self.plan.rules {
            if rule.call.as_deref().is_some_and(|name| name != call) {
                continue;
            }
            let fits = match rule.when {
                When::Always => true,
                When::Nth(nth) => count == nth,
                When::From(first) => count >= first,
                When::PerMille(chance) => {
                    self.drawn += 1;
                    draw(self.plan.seed, self.drawn) % 1_000 < u64::from(chance)
                }
            };
            if fits {
                found = Some(rule.kind.clone());
                break;
            }
        }
        if let Some(kind) = &found {
            *self.fired.entry(kind.clone()).or_default() += 1;
        }
        found
    }

    pub(crate) fn fired(&self) -> BTreeMap<FaultKind, u64> {
        self.fired.clone()
    }

    pub(crate) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.clone()
    }
}

/// Returns the `count`th number of a seed (splitmix64).
fn draw(seed: u64, count: u64) -> u64 {
    let mut value = seed.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(call: Option<&str>, when: When) -> Fault {
        Fault { call: call.map(str::to_owned), when, kind: FaultKind::LoseReply }
    }

    #[test]
    fn rules_pick_calls_by_name_and_number() {
        let rules = vec![rule(Some("start"), When::Nth(2)), rule(Some("stop"), When::From(3))];
        let mut faults = Faults::new(FaultPlan { seed: 1, rules });
        let mut hit = |call| faults.next(call).is_some();
        assert_eq!([hit("start"), hit("start"), hit("start")], [false, true, false]);
        assert_eq!(
            [hit("stop"), hit("stop"), hit("stop"), hit("stop")],
            [false, false, true, true]
        );
    }

    #[test]
    fn chances_come_out_the_same_for_a_seed() {
        let run = |seed| {
            let rules = vec![rule(None, When::PerMille(300))];
            let mut faults = Faults::new(FaultPlan { seed, rules });
            (0..1_000).map(|_| faults.next("start").is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let hits = run(7).iter().filter(|hit| **hit).count();
        assert!((250..350).contains(&hits), "{hits}");
    }
}
