//! Rebalancing of randomly generated placements: its guarantees, and that it terminates.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests stop loudly"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tally_graph::{Place, Protocol, Publish, Selector};
use tally_reconcile::input::observed::PublishedPort;
use tally_reconcile::placement::{HostCapacity, MoveStep, Offer, PodRequest, RebalancedWorkload};
use tally_reconcile::plan::reason::{BlockReason, Closed, WayOut};

const DISK: &str = "disk";
const ZONE: &str = "zone";

#[derive(Debug, Clone)]
struct Host {
    name: String,
    labels: BTreeMap<String, String>,
    cpu: u64,
    memory: u64,
    closed: bool,
}

#[derive(Debug, Clone)]
struct Work {
    cpu: u64,
    memory: u64,
    pods: usize,
    place: Place,
    avoid: BTreeSet<usize>,
    near: BTreeSet<usize>,
    port: bool,
    movable: bool,
    interrupts: bool,
    stand_in: bool,
}

#[derive(Debug, Clone)]
struct Case {
    hosts: Vec<Host>,
    work: Vec<Work>,
    /// The host from which the search for each pod starts.
    starts: Vec<usize>,
}

fn disk(value: &str) -> Selector {
    Selector { all: [(DISK.to_owned(), value.to_owned())].into(), ..Selector::default() }
}

fn host() -> impl Strategy<Value = (u64, u64, Option<u8>, bool, bool)> {
    (1..17u64, 1..17u64, proptest::option::of(0..3u8), any::<bool>(), prop::bool::weighted(0.15))
}

fn work() -> impl Strategy<Value = Work> {
    let size = (0..4u64, 0..4u64, 1..9usize);
    let place = (0..4u8, 0..5u8, 0..3u8);
    let wishes = (
        prop::collection::btree_set(0..5usize, 0..2),
        prop::collection::btree_set(0..5usize, 0..2),
    );
    let flags = (
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.8),
        any::<bool>(),
        prop::bool::weighted(0.2),
    );
    (size, place, wishes, any::<[bool; 2]>(), flags).prop_map(
        |((cpu, memory, pods), (require, prefer, spread), (avoid, near), wish, flags)| Work {
            cpu: cpu * 500,
            memory: memory * 500,
            pods,
            place: Place {
                require: (require == 0).then(|| disk("ssd")),
                prefer: (prefer == 0).then(|| disk("ssd")),
                spread: (spread == 0).then(|| ZONE.to_owned()),
                ..Place::default()
            },
            avoid: if wish[0] { avoid } else { BTreeSet::new() },
            near: if wish[1] { near } else { BTreeSet::new() },
            port: flags.0,
            movable: flags.1,
            interrupts: flags.2,
            stand_in: flags.3,
        },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let hosts = prop::collection::vec(host(), 2..7);
    let work = prop::collection::vec(work(), 1..6);
    (hosts, work, prop::collection::vec(0..100usize, 40)).prop_map(|(hosts, work, starts)| {
        let hosts =
            hosts.into_iter().enumerate().map(|(number, (cpu, memory, zone, ssd, closed))| {
                let mut labels = BTreeMap::new();
                labels.extend(zone.map(|zone| (ZONE.to_owned(), format!("z{zone}"))));
                labels.extend(ssd.then(|| (DISK.to_owned(), "ssd".to_owned())));
                let name = format!("h{number}");
                Host { name, labels, cpu: cpu * 1000, memory: memory * 1000, closed }
            });
        Case { hosts: hosts.collect(), work, starts }
    })
}

/// A placement: the host of each pod, by workload.
type Pods = Vec<Vec<usize>>;

impl Case {
    fn seats(&self) -> HostCapacity<'_> {
        HostCapacity::new(
            self.hosts
                .iter()
                .map(|host| Offer {
                    name: &host.name,
                    labels: &host.labels,
                    cpu: host.cpu,
                    memory: host.memory,
                    cores: None,
                    closed: host.closed.then_some(Closed::Drained),
                })
                .collect(),
        )
    }

    fn need(&self, workload: usize) -> PodRequest<'_> {
        let work = &self.work[workload];
        let known =
            |of: &BTreeSet<usize>| of.iter().copied().filter(|n| *n < self.work.len()).collect();
        let port = PublishedPort {
            host: Publish { ip: None, port: 8080 },
            container: 80,
            protocol: Protocol::Tcp,
        };
        PodRequest {
            workload,
            cpu: work.cpu,
            memory: work.memory,
            max_cpu: 0,
            ports: if work.port { vec![port] } else { Vec::new() },
            place: &work.place,
            pinned: None,
            avoid: known(&work.avoid),
            near: known(&work.near),
        }
    }

    /// Places every pod on the first host from its start that can take it; pods that fit on no host are left out.
    fn begin(&self) -> (HostCapacity<'_>, Pods) {
        let (mut seats, mut pods) = (self.seats(), Vec::new());
        let mut starts = self.starts.iter().cycle();
        for workload in 0..self.work.len() {
            let need = self.need(workload);
            let mut own = Vec::new();
            for _ in 0..self.work[workload].pods {
                let start = *starts.next().unwrap();
                // Every second pod prefers the first hosts, so that there is an imbalance.
                let start = if start.is_multiple_of(2) { 0 } else { start };
                let count = self.hosts.len();
                let found = (0..count)
                    .map(|at| (start + at) % count)
                    .find(|at| seats.fits(*at, &need).is_ok());
                if let Some(host) = found {
                    seats.take(host, &need);
                    own.push(host);
                }
            }
            pods.push(own);
        }
        (seats, pods)
    }

    fn parts(&self, pods: &Pods) -> Vec<RebalancedWorkload<'_>> {
        let part = |workload: usize| {
            let work = &self.work[workload];
            let mut free = BTreeMap::new();
            for host in pods[workload].iter().filter(|_| work.movable) {
                *free.entry(*host).or_default() += 1;
            }
            RebalancedWorkload {
                need: self.need(workload),
                free,
                interrupts: work.interrupts,
                needs_surge_pod: work.stand_in,
                lacking: BTreeSet::new(),
                barred: BTreeSet::new(),
            }
        };
        (0..self.work.len()).map(part).collect()
    }

    fn fullness(&self, pods: &Pods) -> Vec<u64> {
        let used = |host: usize, of: fn(&Work) -> u64| -> u64 {
            let on =
                |workload: usize| pods[workload].iter().filter(|at| **at == host).count() as u64;
            (0..self.work.len()).map(|w| on(w) * of(&self.work[w])).sum()
        };
        let full = |(at, host): (usize, &Host)| {
            let share = |used: u64, all: u64| used * 1_000_000_000 / all;
            let cpu = share(used(at, |work| work.cpu), host.cpu);
            cpu.max(share(used(at, |work| work.memory), host.memory))
        };
        self.hosts.iter().enumerate().map(full).collect()
    }

    /// Rates a placement by the rules and without the search. Smaller is better; the first number that differs
    /// decides.
    fn badness(&self, pods: &Pods) -> Vec<u64> {
        let mut bad = [0u64; 6];
        let on = |workload: usize, host: usize| {
            pods[workload].iter().filter(|at| **at == host).count() as u64
        };
        let squares = |counts: BTreeMap<usize, u64>| counts.values().map(|n| n * n).sum::<u64>();
        for (workload, own) in pods.iter().enumerate() {
            let need = self.need(workload);
            let (mut zones, mut hosts) = (BTreeMap::new(), BTreeMap::<usize, u64>::new());
            for host in own {
                let labels = &self.hosts[*host].labels;
                if need.place.spread.is_some() {
                    bad[0] += u64::from(!labels.contains_key(ZONE));
                    let zone = labels.get(ZONE).cloned();
                    *zones.entry(zone).or_insert(0u64) += 1;
                }
                let others = |of: &BTreeSet<usize>| -> u64 {
                    of.iter().map(|other| on(*other, *host) - u64::from(*other == workload)).sum()
                };
                bad[2] += others(&need.avoid);
                bad[3] += u64::from(!need.near.is_empty() && others(&need.near) == 0);
                bad[4] +=
                    u64::from(need.place.prefer.as_ref().is_some_and(|like| !like.matches(labels)));
                *hosts.entry(*host).or_default() += 1;
            }
            bad[1] += zones.values().map(|n| n * n).sum::<u64>();
            bad[5] += squares(hosts);
        }
        let mut fullness = self.fullness(pods);
        fullness.sort_unstable_by(|a, b| b.cmp(a));
        let count = |host: usize| (0..pods.len()).map(|w| on(w, host)).sum::<u64>();
        let counts: u64 = (0..self.hosts.len()).map(|host| count(host) * count(host)).sum();
        bad.into_iter().chain(fullness).chain([counts]).collect()
    }
}

fn shift(pods: &mut Pods, step: MoveStep) {
    let own = &mut pods[step.part];
    let at = own.iter().position(|host| *host == step.from).expect("a pod is there");
    own[at] = step.to;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_move_fits_and_improves_the_balance_and_a_second_run_moves_nothing(case in case()) {
        let (begun, mut pods) = case.begin();
        let parts = case.parts(&pods);
        let mut seats = begun.clone();
        let steps = seats.rebalance(&parts);
        prop_assert_eq!(&steps, &begun.clone().rebalance(&parts), "deterministic");
        let movable: usize = (0..pods.len()).filter(|w| case.work[*w].movable).map(|w| pods[w].len()).sum();
        prop_assert!(steps.len() <= 2 * movable, "{} steps for {movable} pods", steps.len());
        let mut replayed = begun.clone();
        for step in &steps {
            let part = &parts[step.part];
            prop_assert!(case.work[step.part].movable);
            prop_assert_eq!(replayed.fits(step.to, &part.need), Ok(()), "{:?}", step);
            let before = case.badness(&pods);
            replayed.give_back(step.from, &part.need);
            replayed.take(step.to, &part.need);
            shift(&mut pods, *step);
            if part.needs_surge_pod {
                let mut with_it = replayed.clone();
                with_it.take(step.from, &part.need);
                let fits = (0..case.hosts.len()).any(|host| with_it.fits(host, &part.need).is_ok());
                prop_assert!(fits, "capacity for a surge pod");
            }
            prop_assert!(case.badness(&pods) < before, "{:?}: {:?} to {:?}", step, before, case.badness(&pods));
        }
        // The final placement is the result of the moves, and each pod moves at most once.
        let mut moves = 0;
        for workload in 0..pods.len() {
            let flow = seats.flow(&begun, workload);
            let mut own = BTreeMap::new();
            let (_, old) = case.begin();
            for (now, then) in pods[workload].iter().zip(&old[workload]) {
                *own.entry(*now).or_insert(0i64) += 1;
                *own.entry(*then).or_default() -= 1;
            }
            own.retain(|_, more| *more != 0);
            prop_assert_eq!(&flow, &own);
            moves += flow.values().filter(|more| **more > 0).sum::<i64>();
        }
        prop_assert!(usize::try_from(moves).unwrap() <= movable);
        let again = seats.clone().rebalance(&case.parts(&pods));
        prop_assert_eq!(again, Vec::<MoveStep>::new(), "the second run");
    }
}

/// Creates the request of a pod whose move interrupts something.
const ALONE: u64 = 444;

fn even(hosts: &[(u64, u64)], work: &[(u64, usize, &[usize])]) -> (Vec<MoveStep>, Vec<u64>) {
    let hosts = hosts.iter().enumerate().map(|(number, (cpu, memory))| Host {
        name: format!("h{number}"),
        labels: BTreeMap::new(),
        cpu: *cpu,
        memory: *memory,
        closed: false,
    });
    let plain = |(cpu, pods, _): &(u64, usize, &[usize])| Work {
        cpu: *cpu,
        memory: 0,
        pods: *pods,
        place: Place::default(),
        avoid: BTreeSet::new(),
        near: BTreeSet::new(),
        port: false,
        movable: true,
        interrupts: *cpu == ALONE,
        stand_in: false,
    };
    let pods: Pods = work.iter().map(|(_, _, on)| on.to_vec()).collect();
    let case =
        Case { hosts: hosts.collect(), work: work.iter().map(plain).collect(), starts: vec![0] };
    let mut seats = case.seats();
    for (workload, own) in pods.iter().enumerate() {
        own.iter().for_each(|host| seats.take(*host, &case.need(workload)));
    }
    let steps = seats.rebalance(&case.parts(&pods));
    let mut pods = pods.clone();
    steps.iter().for_each(|step| shift(&mut pods, *step));
    (steps, case.fullness(&pods))
}

#[test]
fn a_new_host_gets_the_fewest_pods_that_restore_the_balance() {
    let (steps, _) =
        even(&[(8000, 1), (8000, 1), (8000, 1), (8000, 1)], &[(0, 6, &[0, 0, 1, 1, 2, 2])]);
    assert_eq!(steps.len(), 1, "two on each of three hosts: {steps:?}");
    let (steps, _) = even(&[(8000, 1); 4], &[(0, 12, &[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])]);
    assert_eq!(steps.len(), 3, "{steps:?}");
}

#[test]
fn a_difference_below_a_fifth_is_accepted_and_a_larger_one_is_reduced_to_a_tenth() {
    let one: &[usize] = &[0];
    // 54 % and 36 %: 18 points.
    let apart: Vec<(u64, usize, &[usize])> = (0..3)
        .map(|_| (180, 1, one))
        .chain((0..2).map(|_| (180, 1, &[1usize] as &[usize])))
        .collect();
    assert_eq!(even(&[(1000, 1), (1000, 1)], &apart).0, []);
    // 80 % and 20 %, in pods of 2 %: once a move is worth it, moves continue until the difference is below 10
    // points.
    let small: Vec<(u64, usize, &[usize])> = (0..40)
        .map(|_| (20, 1, one))
        .chain((0..10).map(|_| (20, 1, &[1usize] as &[usize])))
        .collect();
    let (steps, full) = even(&[(1000, 1), (1000, 1)], &small);
    assert_eq!((steps.len(), full), (13, vec![540_000_000, 460_000_000]));
}

#[test]
fn a_move_that_only_swaps_the_fuller_host_is_not_made() {
    // 50 % and 0 %: the one pod would fill the other host to the same degree.
    assert_eq!(even(&[(1000, 1), (1000, 1)], &[(500, 1, &[0])]).0, []);
    // 60 % and 20 %, pods of 30 %: 30 % and 50 % is hardly better.
    let pods: [(u64, usize, &[usize]); 3] = [(300, 1, &[0]), (300, 1, &[0]), (200, 1, &[1])];
    assert_eq!(even(&[(1000, 1), (1000, 1)], &pods).0, []);
}

#[test]
fn an_empty_host_gets_its_share_even_if_all_hosts_are_lightly_loaded() {
    let one: &[usize] = &[0];
    // 15 % and nothing: less than a fifth of the capacity, and all of the load.
    let few: Vec<(u64, usize, &[usize])> = (0..10).map(|_| (15, 1, one)).collect();
    let (steps, full) = even(&[(1000, 1), (1000, 1)], &few);
    assert_eq!((steps.len(), full), (5, vec![75_000_000, 75_000_000]));
    // The difference between 15 % and 9 % is small enough.
    let apart: Vec<(u64, usize, &[usize])> = (0..5)
        .map(|_| (30, 1, one))
        .chain((0..3).map(|_| (30, 1, &[1usize] as &[usize])))
        .collect();
    assert_eq!(even(&[(1000, 1), (1000, 1)], &apart).0, []);
    // Very small reservations on large hosts.
    let tiny: Vec<(u64, usize, &[usize])> = (0..10).map(|_| (1, 1, one)).collect();
    assert_eq!(even(&[(1_000_000, 1), (1_000_000, 1)], &tiny).0.len(), 5);
}

#[test]
fn pods_that_a_move_interrupts_stay_if_moving_others_suffices() {
    let pods: [(u64, usize, &[usize]); 3] = [(ALONE, 1, &[0]), (200, 1, &[0]), (200, 1, &[0])];
    let (steps, _) = even(&[(1000, 1), (1000, 1)], &pods);
    assert!(steps.len() == 2 && steps.iter().all(|step| step.part > 0), "{steps:?}");
    let (steps, _) = even(&[(1000, 1), (1000, 1)], &[(ALONE, 1, &[0]), (ALONE, 1, &[0])]);
    assert_eq!(steps.len(), 1, "and moves where nothing else does");
}

#[test]
fn pods_without_reservations_are_balanced_by_number() {
    let ten: Vec<(u64, usize, &[usize])> = (0..10).map(|_| (0, 1, &[0usize] as &[usize])).collect();
    let (steps, _) = even(&[(1000, 1), (1000, 1)], &ten);
    assert_eq!(steps.len(), 5);
    // No pod moves to a host with a higher load: 0 % and 30 %.
    let mut full = ten;
    full.push((300, 1, &[1]));
    assert_eq!(even(&[(1000, 1), (1000, 1)], &full).0, []);
}

/// Cases that are the same in every run; some hosts lack an image, and some are excluded.
#[test]
fn moves_in_generated_clusters_match_the_snapshot() {
    let mut runner = TestRunner::deterministic();
    let mut text = String::new();
    for number in 0..80 {
        let case = case().new_tree(&mut runner).unwrap().current();
        let (begun, pods) = case.begin();
        let mut parts = case.parts(&pods);
        for (workload, part) in parts.iter_mut().enumerate() {
            part.lacking.insert((workload + number) % case.hosts.len());
            if number % 3 == 0 {
                part.barred.insert((workload + 2 * number) % case.hosts.len());
            }
        }
        let steps = begun.clone().rebalance(&parts);
        let shown = steps.iter().map(|step| format!("w{} h{}>h{}", step.part, step.from, step.to));
        let shown: Vec<String> = shown.collect();
        let _ = writeln!(text, "{number}: {}", shown.join(", "));
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(text) });
}

/// Places each workload after the previous ones; for pods that fit on no host it returns the reason instead.
#[test]
fn placement_in_generated_clusters_matches_the_snapshot() {
    let mut runner = TestRunner::deterministic();
    let mut text = String::new();
    for number in 0..60 {
        let case = case().new_tree(&mut runner).unwrap().current();
        let mut seats = case.seats();
        for workload in 0..case.work.len() {
            let need = case.need(workload);
            let given = seats.give(&need, case.work[workload].pods);
            let on =
                given.iter().map(|host| host.map_or("-".to_owned(), |host| format!("h{host}")));
            let on: Vec<String> = on.collect();
            let _ = writeln!(text, "{number}: w{workload} {}", on.join(" "));
            if given.contains(&None) {
                let reason = seats.no_host(&need);
                let lacks = reason.to_string().replace("no host can take it: ", "");
                let way_out = match reason {
                    BlockReason::NoHost { way_out: Some(WayOut { host, dropped }), .. } => {
                        format!("{host} fits if `{dropped}` is dropped.")
                    }
                    _ => String::new(),
                };
                let _ = writeln!(text, "    {lacks}; {way_out}");
            }
        }
    }
    insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!(text) });
}
