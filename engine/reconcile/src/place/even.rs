//! Which pods would better be elsewhere. It looks one move ahead, and each move makes the cluster
//! strictly better in the order in which placement scores hosts: so it ends, and where it has ended
//! it finds nothing the next time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::gains::{View, WISHES};
use super::{Level, Part, Seats};

/// Two hosts are uneven from this difference on, in thousandths: of what they offer, or of the
/// greater number of pods. A fifth is less than the band between 20 % and 50 % that Kubernetes'
/// descheduler shows in its examples, since nothing is moved here unasked.
const UNEVEN: u64 = 200;
/// Once they are, they are levelled until they differ by less than this: otherwise the next small
/// change would make them uneven again.
const LEVEL: u64 = 100;

/// One pod goes to another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The workload's number.
    pub part: usize,
    /// From which host.
    pub from: usize,
    /// To which.
    pub to: usize,
}

impl<'a> Seats<'a> {
    /// Takes a pod away again.
    pub fn give_back(&mut self, host: usize, need: &super::Need<'_>) {
        let Some(load) = self.loads.get_mut(host) else { return };
        load.cpu = load.cpu.saturating_sub(need.cpu);
        load.memory = load.memory.saturating_sub(need.memory);
        load.pods = load.pods.saturating_sub(1);
        for port in &need.ports {
            let held = load.ports.get_mut(&port.host.port);
            if let Some((held, at)) =
                held.and_then(|held| held.iter().position(|h| h == port).map(|at| (held, at)))
            {
                held.remove(at);
            }
        }
        let of = self.of.entry(need.workload).or_default();
        if let Some(count) = of.get_mut(&host) {
            *count = count.saturating_sub(1);
        }
        of.retain(|_, count| *count > 0);
    }

    /// Evens out: moves pods that may move to hosts where they would better be, and gives the moves
    /// in an order in which each has its room. `parts` stand by the numbers of their workloads. The
    /// moves of pods that interrupt something come last, and only where the others do not suffice.
    pub fn even_out(&mut self, parts: &[Part<'a>]) -> Vec<Step> {
        let free = parts.iter().map(|part| part.free.clone()).collect();
        let view = View::new(self.clone(), parts);
        let mut even = Even { view, free, levelling: BTreeSet::new(), steps: Vec::new() };
        for interrupts in [false, true] {
            even.run(interrupts);
        }
        *self = even.view.seats;
        even.steps
    }

    /// How many more pods of a workload each host has than it had before.
    #[must_use]
    pub fn flow(&self, before: &Seats<'_>, workload: usize) -> BTreeMap<usize, i64> {
        let mut flow = BTreeMap::new();
        for (seats, sign) in [(self, 1), (before, -1)] {
            for (host, count) in seats.of.get(&workload).into_iter().flatten() {
                *flow.entry(*host).or_default() += sign * i64::from(*count);
            }
        }
        flow.retain(|_, more| *more != 0);
        flow
    }

    /// What a move has gained, judged by where everything is after it: the first thing that would
    /// be worse without it.
    #[must_use]
    pub fn gained(&self, parts: &[Part<'a>], step: Step) -> Level {
        let view = View::new(self.clone(), parts);
        let Step { part, from, to } = step;
        let worse = |level: &Level| view.change(*level, part, to, from) > 0;
        let weighs = parts.get(part).is_some_and(Part::weighs);
        let rest = if weighs { Level::Full } else { Level::Count };
        WISHES.into_iter().find(worse).unwrap_or(rest)
    }
}

impl Part<'_> {
    /// Whether its pods reserve anything.
    pub(super) fn weighs(&self) -> bool {
        self.need.cpu > 0 || self.need.memory > 0
    }
}

struct Even<'a, 'p> {
    view: View<'a, 'p>,
    /// How many pods of each workload may leave each host.
    free: Vec<BTreeMap<usize, u32>>,
    /// What was found uneven and is levelled: the workload too, where it is about its pods.
    levelling: BTreeSet<(Level, usize)>,
    steps: Vec<Step>,
}

/// How a move is to one of the levels.
enum Judged {
    /// Something more important would be worse.
    Worse,
    /// Nothing would be worse.
    Same,
    /// It would be better, by so much.
    Better(Level, i64),
}

impl Even<'_, '_> {
    /// Moves until nothing is gained any more: what pods wish for first, then how full hosts are,
    /// then how many pods they have.
    fn run(&mut self, interrupts: bool) {
        let parts: Vec<usize> = self
            .view
            .parts
            .iter()
            .enumerate()
            .filter_map(|(number, part)| (interrupts || !part.interrupts).then_some(number))
            .collect();
        loop {
            let mut moved = false;
            for part in &parts {
                while let Some((level, step)) = self.wish(*part) {
                    self.shift(level, step);
                    moved = true;
                }
            }
            if moved {
                continue;
            }
            let found = self.weigh(Level::Full, &parts);
            let Some((level, step)) = found.or_else(|| self.weigh(Level::Count, &parts)) else {
                return;
            };
            self.shift(level, step);
        }
    }

    fn shift(&mut self, level: Level, step: Step) {
        let of = matches!(level, Level::Domains | Level::Apart);
        self.levelling.insert((level, if of { step.part } else { 0 }));
        self.view.shift(step.part, step.from, step.to);
        if let Some(free) = self.free.get_mut(step.part) {
            *free.entry(step.to).or_default() += 1;
            let left = free.get(&step.from).copied().unwrap_or(0).saturating_sub(1);
            match left {
                0 => free.remove(&step.from),
                left => free.insert(step.from, left),
            };
        }
        self.steps.push(step);
    }

    /// From which difference on something is uneven, in thousandths.
    fn limit(&self, level: Level, part: usize) -> u64 {
        if self.levelling.contains(&(level, part)) { LEVEL } else { UNEVEN }
    }

    /// Whether two numbers of pods differ by enough for one to move.
    fn is_uneven(&self, level: Level, part: usize, more: i64, less: i64) -> bool {
        let limit = i64::try_from(self.limit(level, part)).unwrap_or(i64::MAX);
        more - less >= 2 && (more - less) * 1000 >= more * limit
    }

    /// The move of one pod that gains most of what pods wish for.
    fn wish(&self, part: usize) -> Option<(Level, Step)> {
        let free = self.free.get(part)?;
        let plain = self.view.is_plain(part);
        let hosts = 0..self.view.seats.offers.len();
        let mut best = None;
        for from in free.keys().copied() {
            if plain && self.view.on(part, from) < 2 {
                continue;
            }
            for to in hosts.clone().filter(|to| *to != from) {
                let step = Step { part, from, to };
                let Judged::Better(level, gain) = self.judge(step) else { continue };
                let key = (level, Reverse(gain), self.cost(step));
                if best.as_ref().is_none_or(|(known, _)| key < *known) && self.may(step) {
                    best = Some((key, step));
                }
            }
        }
        best.map(|((level, ..), step)| (level, step))
    }

    /// What pods wish for.
    fn judge(&self, step: Step) -> Judged {
        let Step { part, from, to } = step;
        for level in WISHES {
            let change = self.view.change(level, part, from, to);
            let enough = match level {
                Level::Domains => {
                    let pods = |host| i64::from(self.view.in_domain(part, host));
                    self.is_uneven(level, part, pods(from), pods(to))
                }
                Level::Apart => {
                    let (more, less) = (self.view.on(part, from), self.view.on(part, to));
                    self.is_uneven(level, part, more, less)
                }
                _ => true,
            };
            match change {
                1.. => return Judged::Worse,
                0 => {}
                _ if enough => return Judged::Better(level, -change),
                _ => {}
            }
        }
        Judged::Same
    }

    /// The move that does most against the fullest host, or the one with most pods.
    fn weigh(&self, level: Level, parts: &[usize]) -> Option<(Level, Step)> {
        let measure = |host: usize| match level {
            Level::Full => i64::try_from(self.view.full(host, None, None)).unwrap_or(i64::MAX),
            _ => self.view.pods(host),
        };
        let mut hosts: Vec<(i64, usize)> =
            (0..self.view.seats.offers.len()).map(|host| (measure(host), host)).collect();
        hosts.sort_unstable_by_key(|(measure, host)| (Reverse(*measure), *host));
        for (_, from) in &hosts {
            let mut best = None;
            let movable = parts.iter().copied().filter(|part| {
                let of = self.view.parts.get(*part);
                of.is_some_and(|of| of.weighs() == (level == Level::Full))
                    && self.free.get(*part).is_some_and(|free| free.contains_key(from))
            });
            for part in movable {
                for (_, to) in hosts.iter().rev().filter(|(_, to)| to != from) {
                    let step = Step { part, from: *from, to: *to };
                    let gain = match level {
                        Level::Full => self.emptier(step),
                        _ => self.fewer(step),
                    };
                    let Some(gain) = gain else { continue };
                    let interrupts = self.view.parts.get(part).map(|part| part.interrupts);
                    let key = (Reverse(gain), interrupts, self.cost(step));
                    if best.as_ref().is_none_or(|(known, _)| key < *known)
                        && !matches!(self.judge(step), Judged::Worse)
                        && self.may(step)
                    {
                        best = Some((key, step));
                    }
                }
            }
            if let Some((_, step)) = best {
                return Some((level, step));
            }
        }
        None
    }

    /// By how much two hosts come closer to being equally full, where that is worth a move: they are
    /// uneven, neither ends outside of where the two were, and they come closer by at least what the
    /// pod fills of one of them.
    fn emptier(&self, step: Step) -> Option<u64> {
        let need = &self.view.parts.get(step.part)?.need;
        let full = |host, less, more| self.view.full(host, less, more);
        let (from, to) = (full(step.from, None, None), full(step.to, None, None));
        let apart = from.checked_sub(to).filter(|apart| *apart >= self.limit(Level::Full, 0))?;
        let (left, filled) = (full(step.from, Some(need), None), full(step.to, None, Some(need)));
        let closer = apart.checked_sub(left.abs_diff(filled))?;
        let inside = left.max(filled) < from && left.min(filled) >= to;
        let fills = (from - left).max(filled.saturating_sub(to));
        (inside && closer >= fills.max(1)).then_some(closer)
    }

    /// By how much two hosts come closer in their numbers of pods, where the one with fewer is not
    /// the fuller one: what a pod that reserves nothing takes is not known.
    fn fewer(&self, step: Step) -> Option<u64> {
        let (more, less) = (self.view.pods(step.from), self.view.pods(step.to));
        let full = |host| self.view.full(host, None, None);
        let allowed = full(step.to) < full(step.from).saturating_add(LEVEL);
        (self.is_uneven(Level::Count, 0, more, less) && allowed)
            .then_some(u64::try_from(more - less).unwrap_or(0))
    }

    /// Among moves that gain the same: an image that is there, then what placement would choose,
    /// then the fullest host gives first.
    fn cost(&self, step: Step) -> impl Ord + use<> {
        let of = self.view.parts.get(step.part);
        let lacking = of.is_some_and(|of| of.lacking.contains(&step.to));
        let score = of.map(|of| self.view.seats.score(step.to, &of.need));
        (lacking, score, Reverse(self.view.full(step.from, None, None)), step.from, step.part)
    }

    /// Whether a host can take the pod, and another one its stand-in where there must be one.
    fn may(&self, step: Step) -> bool {
        let Some(part) = self.view.parts.get(step.part) else { return false };
        let seats = &self.view.seats;
        if part.barred.contains(&step.to) || seats.fits(step.to, &part.need).is_err() {
            return false;
        }
        if !part.stand_in {
            return true;
        }
        let fits = |host: usize| match host == step.to {
            true => {
                let mut both = seats.clone();
                both.take(host, &part.need);
                both.fits(host, &part.need).is_ok()
            }
            false => seats.fits(host, &part.need).is_ok(),
        };
        (0..seats.offers.len()).any(fits)
    }
}
