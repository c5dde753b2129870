//! Which pods would better be elsewhere. It looks one move ahead, and each move makes the cluster
//! strictly better in the order in which placement scores hosts: so it ends, and where it has ended
//! it finds nothing the next time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::gains::{View, WHOLE, WISHES};
use super::{Capacity, Level, Part, PodRequest};

/// From which difference on something is worth moves: at first, and once it is, so that it is
/// levelled further than the next small change would undo. The first is a part of what hosts offer,
/// or of the greater number of pods; the second is that of how full the fuller host is, where it is
/// not nearly empty. A fifth is less than the band between 20 % and 50 % that Kubernetes' descheduler
/// shows in its examples, since nothing is moved here unasked.
const UNEVEN: Limit = Limit { of_all: WHOLE / 5, one_in: 2 };
/// See [`UNEVEN`].
const LEVEL: Limit = Limit { of_all: WHOLE / 10, one_in: 4 };
/// Hosts that are less full are as good as empty.
const NEARLY_EMPTY: u64 = WHOLE / 20;
/// Pods that fill less of both hosts count as pods that reserve nothing.
const TINY: u64 = WHOLE / 100;

/// So many steps for each pod are more than were ever seen. The search ends by itself; this bounds what
/// a mistake in it could do.
const STEPS_A_POD: usize = 8;

#[derive(Clone, Copy)]
struct Limit {
    of_all: u64,
    one_in: u64,
}

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

impl<'a> Capacity<'a> {
    /// Takes a pod away again.
    pub fn give_back(&mut self, host: usize, need: &PodRequest<'_>) {
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
        let free: Vec<BTreeMap<usize, u32>> = parts.iter().map(|part| part.free.clone()).collect();
        let pods: u32 = free.iter().flat_map(BTreeMap::values).sum();
        let most = usize::try_from(pods).unwrap_or(usize::MAX).saturating_mul(STEPS_A_POD);
        let view = View::new(self.clone(), parts);
        let mut even = Even { view, free, levelling: BTreeSet::new(), steps: Vec::new(), most };
        for interrupts in [false, true] {
            even.run(interrupts);
        }
        *self = even.view.seats;
        even.steps
    }

    /// How many more pods of a workload each host has than it had before.
    #[must_use]
    pub fn flow(&self, before: &Capacity<'_>, workload: usize) -> BTreeMap<usize, i64> {
        let mut flow = BTreeMap::new();
        for (seats, sign) in [(self, 1), (before, -1)] {
            for (host, count) in seats.of.get(&workload).into_iter().flatten() {
                *flow.entry(*host).or_default() += sign * i64::from(*count);
            }
        }
        flow.retain(|_, more| *more != 0);
        flow
    }
}

/// Whether a pod reserves so little that pods are counted instead.
pub(super) fn is_counted(view: &View<'_, '_>, step: Step) -> bool {
    let need = view.parts.get(step.part).map(|part| &part.need);
    need.is_some_and(|need| [step.from, step.to].iter().all(|on| view.fills(*on, need) < TINY))
}

struct Even<'a, 'p> {
    view: View<'a, 'p>,
    /// How many pods of each workload may leave each host.
    free: Vec<BTreeMap<usize, u32>>,
    /// What was found uneven and is levelled: the workload too, where it is about its pods.
    levelling: BTreeSet<(Level, usize)>,
    steps: Vec<Step>,
    /// No more steps than that.
    most: usize,
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
            let before = self.steps.len();
            for part in &parts {
                while let Some((level, step)) = self.wish(*part) {
                    self.shift(level, step);
                    if self.steps.len() >= self.most {
                        return;
                    }
                }
            }
            for level in [Level::Full, Level::Count] {
                while let Some(step) = self.weigh(level, &parts) {
                    self.shift(level, step);
                    if self.steps.len() >= self.most {
                        return;
                    }
                }
            }
            if self.steps.len() == before {
                return;
            }
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

    /// From which difference on something is uneven.
    fn limit(&self, level: Level, part: usize) -> Limit {
        if self.levelling.contains(&(level, part)) { LEVEL } else { UNEVEN }
    }

    /// Whether two numbers of pods differ by enough for one to move.
    fn is_uneven(&self, level: Level, part: usize, more: i64, less: i64) -> bool {
        let limit = i128::from(self.limit(level, part).of_all);
        let difference = i128::from(more - less) * i128::from(WHOLE);
        more - less >= 2 && difference >= i128::from(more) * limit
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

    /// The best move from the fullest host that can give to the emptiest one that can take, or from
    /// the one with most pods to the one with fewest.
    fn weigh(&self, level: Level, parts: &[usize]) -> Option<Step> {
        let measure = |host: usize| match level {
            Level::Full => i64::try_from(self.view.full(host, None, None)).unwrap_or(i64::MAX),
            _ => self.view.pods(host),
        };
        let mut hosts: Vec<(i64, usize)> =
            (0..self.view.seats.offers.len()).map(|host| (measure(host), host)).collect();
        hosts.sort_unstable();
        for (more, from) in hosts.iter().rev() {
            let mut best: Option<(_, Step)> = None;
            let mut last = None;
            let emptier = hosts.iter().take_while(|(_, to)| self.is_worth(level, *from, *to));
            for (less, to) in emptier.filter(|(_, to)| self.is_allowed(level, *from, *to)) {
                // Of hosts that are equal, the others are only asked for the sake of an image.
                let found = best
                    .as_ref()
                    .is_some_and(|(_, step)| last != Some(less) || !self.lacks_image(*step));
                if found || less >= more {
                    break;
                }
                last = Some(less);
                let here = |part: &&usize| {
                    self.free.get(**part).is_some_and(|free| free.contains_key(from))
                };
                for part in parts.iter().filter(here) {
                    let step = Step { part: *part, from: *from, to: *to };
                    let gain = match level {
                        Level::Full => self.emptier(step),
                        _ => self.fewer(step),
                    };
                    let Some(gain) = gain else { continue };
                    let interrupts = self.view.parts.get(*part).map(|part| part.interrupts);
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
                return Some(step);
            }
        }
        None
    }

    /// Whether a host may give to another one. What a pod takes that reserves nothing is not known:
    /// it does not go to a much fuller host.
    fn is_allowed(&self, level: Level, from: usize, to: usize) -> bool {
        let full = |host| self.view.full(host, None, None);
        level == Level::Full || full(to) < full(from).saturating_add(LEVEL.of_all)
    }

    /// Whether two hosts differ by enough; the less the second one has, the sooner.
    fn is_worth(&self, level: Level, from: usize, to: usize) -> bool {
        let full = |host| self.view.full(host, None, None);
        if level == Level::Count {
            return self.is_uneven(level, 0, self.view.pods(from), self.view.pods(to));
        }
        let limit = self.limit(level, 0);
        full(from).checked_sub(full(to)).is_some_and(|apart| {
            let is_half =
                full(from) >= NEARLY_EMPTY && apart.saturating_mul(limit.one_in) >= full(from);
            apart >= limit.of_all || is_half
        })
    }

    /// By how much two hosts come closer to being equally full, where that is worth a move: neither
    /// ends outside of where the two were, and they come closer by at least what the pod fills of one
    /// of them.
    fn emptier(&self, step: Step) -> Option<u64> {
        let [from, to, left, filled] = self.weighed(step)?;
        let closer = from.checked_sub(to)?.checked_sub(left.abs_diff(filled))?;
        let inside = left.max(filled) < from && left.min(filled) >= to;
        let fills = (from - left).max(filled.saturating_sub(to));
        (inside && closer >= fills.max(1)).then_some(closer)
    }

    /// By how much two hosts differ in their numbers of pods, where the pod reserves next to nothing
    /// and what hosts reserve gets no worse by it.
    fn fewer(&self, step: Step) -> Option<u64> {
        let [from, to, left, filled] = self.weighed(step)?;
        let no_worse = (left, filled) == (from, to) || left.max(filled) < from.max(to);
        (is_counted(&self.view, step) && no_worse)
            .then(|| self.view.pods(step.from).abs_diff(self.view.pods(step.to)))
    }

    /// How full two hosts are before a move, and after it.
    fn weighed(&self, step: Step) -> Option<[u64; 4]> {
        let need = &self.view.parts.get(step.part)?.need;
        let Step { from, to, .. } = step;
        let full = |host, less, more| self.view.full(host, less, more);
        let (left, filled) = (full(from, Some(need), None), full(to, None, Some(need)));
        Some([full(from, None, None), full(to, None, None), left, filled])
    }

    /// Among moves that gain the same: an image that is there, then what placement would choose,
    /// then the fullest host gives first.
    fn cost(&self, step: Step) -> impl Ord + use<> {
        let of = self.view.parts.get(step.part);
        let lacking = self.lacks_image(step);
        let score = of.map(|of| self.view.seats.score(step.to, &of.need));
        (lacking, score, Reverse(self.view.full(step.from, None, None)), step.from, step.part)
    }

    fn lacks_image(&self, step: Step) -> bool {
        self.view.parts.get(step.part).is_some_and(|of| of.lacking.contains(&step.to))
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
        // Two of one workload cannot share a host where they have a host port.
        let both = PodRequest {
            cpu: part.need.cpu * 2,
            memory: part.need.memory * 2,
            ..part.need.clone()
        };
        let fits = |host: usize| match host == step.to {
            true => both.ports.is_empty() && seats.fits(host, &both).is_ok(),
            false => seats.fits(host, &part.need).is_ok(),
        };
        (0..seats.offers.len()).any(fits)
    }
}
