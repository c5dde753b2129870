//! The state machine of leader election, several instances over one modelled store: answers that are lost, late or
//! past their deadline, engines that are suspended, and specs that change.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs, reason = "tests stop loudly")]

use std::collections::BTreeMap;
use std::time::Duration;

use tally_control::lease::{Ask, Bounds, Lease, LeaseAnswer, LeaseRole, StoreError, Taken, Term};
use tally_tests::simulation::rng::Rng;
use tally_tests::store::ModelStore;

const LASTS: Duration = Duration::from_secs(15);
const SPECS: [&str; 3] = ["a", "b", "c"];

/// One engine: its state machine, its open requests, and how long it is suspended.
struct Engine {
    lease: Lease,
    spec: &'static str,
    name: String,
    /// A request: when it arrives, when its answer arrives, its result, and whether the answer is lost.
    open: Option<Open>,
    /// Requests that arrive after their answer is no longer expected.
    late: Vec<Open>,
    asleep_until_ms: u64,
}

struct Open {
    ask: Ask,
    arrives_ms: u64,
    answered_ms: u64,
    answer: Option<LeaseAnswer>,
    lost: bool,
}

impl Engine {
    fn new(name: String, spec: &'static str) -> Self {
        let lease = Lease::new(Bounds::new(LASTS), &name, spec, false);
        Self { lease, spec, name, open: None, late: Vec::new(), asleep_until_ms: 0 }
    }

    fn leads(&self, now_ms: u64) -> Option<u64> {
        match self.lease.role(now_ms) {
            LeaseRole::Leader { epoch, .. } => Some(epoch),
            LeaseRole::Follower { .. } => None,
        }
    }
}

/// Checks the invariants that hold at every moment, by the store's own clock.
fn judge(store: &mut ModelStore, engines: &[Engine], now_ms: u64) -> Result<(), String> {
    let leading: Vec<&Engine> = engines.iter().filter(|it| it.leads(now_ms).is_some()).collect();
    if leading.len() > 1 {
        return Err(format!("two lead at {now_ms}"));
    }
    let Some(leader) = leading.first() else { return Ok(()) };
    let by_store = store.leader(i64::try_from(now_ms).unwrap());
    if by_store.as_deref() != Some(leader.name.as_str()) {
        return Err(format!("{} leads at {now_ms}, {by_store:?} by the store", leader.name));
    }
    let record = store.record().unwrap();
    if record.hash != leader.spec || Some(record.epoch) != leader.leads(now_ms) {
        return Err(format!(
            "{} leads with {} at {now_ms}, not {record:?}",
            leader.name, leader.spec
        ));
    }
    Ok(())
}

fn step(engine: &mut Engine, store: &mut ModelStore, rng: &mut Rng, down: bool, now_ms: u64) {
    let at = i64::try_from(now_ms).unwrap();
    if let Some(open) = &mut engine.open
        && open.arrives_ms <= now_ms
        && open.answer.is_none()
    {
        open.answer = Some(arrive(store, &open.ask, &engine.name, open.lost, at));
    }
    for open in engine.late.extract_if(.., |open| open.arrives_ms <= now_ms) {
        drop(arrive(store, &open.ask, &engine.name, true, at));
    }
    // The store continues while an engine is suspended.
    if now_ms < engine.asleep_until_ms {
        return;
    }
    if let Some(open) = engine.open.take_if(|open| open.answered_ms <= now_ms) {
        let lost = LeaseAnswer::Failed(StoreError::Unreachable("lost".to_owned()));
        engine.lease.answered(open.answer.clone().unwrap_or(lost), now_ms);
        if open.answer.is_none() {
            engine.late.push(open);
        }
    }
    if let Some(ask) = engine.lease.next(now_ms) {
        let slow = if rng.percent(10) { rng.below(9_000) } else { 0 };
        let arrives_ms = now_ms + 1 + rng.below(50) + slow;
        let answered_ms = (arrives_ms + 1 + rng.below(50)).min(now_ms + 3_000);
        let lost = rng.percent(8);
        let arrives_ms = if down { u64::MAX } else { arrives_ms };
        engine.open = Some(Open { ask, arrives_ms, answered_ms, answer: None, lost });
    }
}

/// The store carries the request out; an answer that is lost or past its deadline counts as none.
fn arrive(store: &mut ModelStore, ask: &Ask, name: &str, lost: bool, at: i64) -> LeaseAnswer {
    let answer = match ask {
        Ask::Look => LeaseAnswer::Seen(store.look(at)),
        Ask::Take => LeaseAnswer::Taken(store.take(name, LASTS, at)),
        Ask::Renew(term) => LeaseAnswer::Renewed(store.renew(*term, at)),
        Ask::Publish { term, after, record } => {
            LeaseAnswer::Published(store.publish(*term, *after, record, at))
        }
        Ask::GiveBack(term) => {
            store.give_back(*term);
            LeaseAnswer::GivenBack
        }
    };
    if lost { LeaseAnswer::Failed(StoreError::Unreachable("lost".to_owned())) } else { answer }
}

/// Simulates five minutes of two to four engines; returns how long an engine led, in milliseconds.
fn run(seed: u64) -> Result<u64, String> {
    let mut rng = Rng::new(seed, 11);
    let count = rng.range(2, 5);
    let spec = |rng: &mut Rng| SPECS[usize::try_from(rng.below(3)).unwrap()];
    let mut engines: Vec<Engine> =
        (0..count).map(|number| Engine::new(format!("e{number}"), spec(&mut rng))).collect();
    let mut store = ModelStore::default();
    let (mut down_until_ms, mut led_ms) = (0, 0);
    for now_ms in (0..300_000).step_by(20) {
        if rng.below(1_000) < 2 {
            down_until_ms = now_ms + rng.below(40_000);
        }
        for engine in &mut engines {
            if rng.below(2_000) == 0 {
                engine.asleep_until_ms = now_ms + rng.below(60_000);
            }
            if rng.below(1_500) == 0 {
                engine.spec = spec(&mut rng);
                engine.lease.follow(engine.spec, now_ms);
            }
            step(engine, &mut store, &mut rng, now_ms < down_until_ms, now_ms);
        }
        judge(&mut store, &engines, now_ms)?;
        led_ms += if engines.iter().any(|it| it.leads(now_ms).is_some()) { 20 } else { 0 };
    }
    Ok(led_ms)
}

#[test]
fn no_two_engines_lead_and_none_leads_without_the_lease_or_with_an_old_spec() {
    let led: BTreeMap<u64, u64> = (0..300)
        .map(|seed| (seed, run(seed).unwrap_or_else(|what| panic!("{seed}: {what}"))))
        .collect();
    let busy = led.values().filter(|led_ms| **led_ms > 60_000).count();
    assert!(busy > 150, "somebody leads most of the time: {busy} of 300");
}

#[test]
fn a_released_lease_is_acquired_within_a_second() {
    let mut store = ModelStore::default();
    let mut rng = Rng::new(1, 12);
    let mut engines = [Engine::new("e0".to_owned(), "a"), Engine::new("e1".to_owned(), "a")];
    let leads = |engines: &[Engine; 2], now_ms| -> Vec<bool> {
        engines.iter().map(|it| it.leads(now_ms).is_some()).collect()
    };
    let mut pass = |engines: &mut [Engine; 2], store: &mut ModelStore, from: u64, to: u64| {
        for now_ms in (from..to).step_by(5) {
            for engine in engines.iter_mut() {
                if let Some(open) = &mut engine.open {
                    // A healthy store: no answer is slow or lost.
                    open.lost = false;
                    open.arrives_ms = open.arrives_ms.min(now_ms + 5);
                    open.answered_ms = open.answered_ms.min(now_ms + 10);
                }
                step(engine, store, &mut rng, false, now_ms);
            }
        }
    };
    pass(&mut engines, &mut store, 0, 5_000);
    let first = leads(&engines, 5_000).iter().position(|leads| *leads).unwrap();
    let term: Term = engines[first].lease.resign().unwrap();
    store.give_back(term);
    engines[first].asleep_until_ms = u64::MAX;
    pass(&mut engines, &mut store, 5_000, 6_300);
    assert!(leads(&engines, 6_300)[1 - first]);
    let record = store.record().cloned().unwrap();
    assert_eq!(record.epoch, 1, "the same spec is not published again");
    assert!(matches!(store.take("e9", LASTS, 6_300), Taken::Theirs(_)));
}
