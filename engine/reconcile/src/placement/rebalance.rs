//! Rebalancing: chooses the pods that should move to another host.
//!
//! A greedy search considers one move at a time. Each move strictly improves the cluster in the order in
//! which placement scores hosts. So the search terminates, and its result is stable: a second search
//! finds no move.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::gains::{View, WHOLE, WISHES};
use super::{HostCapacity, Level, PodRequest, RebalancedWorkload};

/// The smallest difference that starts rebalancing of a level.
///
/// Once started, the level is rebalanced down to the smaller [`BALANCED`], so that the next small change
/// does not start it again. `of_all` is a share of the host's capacity, or of the larger number of pods.
/// `one_in` is a divisor of the fuller host's utilisation, which applies unless that host is nearly empty.
/// 20 % is narrower than the band from 20 % to 50 % in the examples of Kubernetes' descheduler, because
/// Tally rebalances only on request.
const UNEVEN: Limit = Limit { of_all: WHOLE / 5, one_in: 2 };
/// The smallest difference that is worth a move once rebalancing of a level has started; see [`UNEVEN`].
const BALANCED: Limit = Limit { of_all: WHOLE / 10, one_in: 4 };
/// Utilisation below which a host counts as empty.
const NEARLY_EMPTY: u64 = WHOLE / 20;
/// Pods that use a smaller share of both hosts count as pods without reservations.
const TINY: u64 = WHOLE / 100;

/// The maximum number of steps per pod. The search terminates by itself and stays far below this; the
/// limit guards against a programming error.
const STEPS_A_POD: usize = 8;

#[derive(Clone, Copy)]
struct Limit {
    of_all: u64,
    one_in: u64,
}

/// A move of one pod to another host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MoveStep {
    /// The index of the pod's workload.
    pub part: usize,
    /// The index of the current host.
    pub from: usize,
    /// The index of the new host.
    pub to: usize,
}

impl<'a> HostCapacity<'a> {
    /// Removes a pod from a host.
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

    /// Rebalances the pods that may move. Returns the moves in an order in which each has room on its new
    /// host. `parts` are indexed by workload. Moves that interrupt a service come last, and only where
    /// the other moves do not suffice.
    pub fn rebalance(&mut self, parts: &[RebalancedWorkload<'a>]) -> Vec<MoveStep> {
        let free: Vec<BTreeMap<usize, u32>> = parts.iter().map(|part| part.free.clone()).collect();
        let pods: u32 = free.iter().flat_map(BTreeMap::values).sum();
        let max_steps = usize::try_from(pods).unwrap_or(usize::MAX).saturating_mul(STEPS_A_POD);
        let view = View::new(self.clone(), parts);
        let mut search =
            Search { view, free, started_levels: BTreeSet::new(), steps: Vec::new(), max_steps };
        for interrupts in [false, true] {
            search.run(interrupts);
        }
        *self = search.view.capacity;
        search.steps
    }

    /// Returns how many more pods of a workload each host has than in `before`.
    #[must_use]
    pub fn flow(&self, before: &HostCapacity<'_>, workload: usize) -> BTreeMap<usize, i64> {
        let mut flow = BTreeMap::new();
        for (capacity, sign) in [(self, 1), (before, -1)] {
            for (host, count) in capacity.of.get(&workload).into_iter().flatten() {
                *flow.entry(*host).or_default() += sign * i64::from(*count);
            }
        }
        flow.retain(|_, more| *more != 0);
        flow
    }
}

/// Checks whether a pod reserves so little that the number of pods is compared instead.
pub(super) fn is_counted(view: &View<'_, '_>, step: MoveStep) -> bool {
    let need = view.parts.get(step.part).map(|part| &part.need);
    need.is_some_and(|need| [step.from, step.to].iter().all(|on| view.fills(*on, need) < TINY))
}

struct Search<'a, 'p> {
    view: View<'a, 'p>,
    /// For each workload, the number of pods that may leave each host.
    free: Vec<BTreeMap<usize, u32>>,
    /// The levels whose rebalancing has started; with the workload's index for levels that concern one
    /// workload, and 0 otherwise.
    started_levels: BTreeSet<(Level, usize)>,
    steps: Vec<MoveStep>,
    /// The maximum number of steps.
    max_steps: usize,
}

/// The effect of a move on the preferences of pods.
enum Effect {
    /// A more important level gets worse.
    Worse,
    /// No level gets worse.
    Neutral,
    /// The level gets better by this amount.
    Better(Level, i64),
}

impl Search<'_, '_> {
    /// Moves pods until no move is worthwhile: preferences of pods first, then the utilisation of hosts,
    /// then the number of pods.
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
                while let Some((level, step)) = self.best_by_preference(*part) {
                    self.shift(level, step);
                    if self.steps.len() >= self.max_steps {
                        return;
                    }
                }
            }
            for level in [Level::Full, Level::Count] {
                while let Some(step) = self.best_by_load(level, &parts) {
                    self.shift(level, step);
                    if self.steps.len() >= self.max_steps {
                        return;
                    }
                }
            }
            if self.steps.len() == before {
                return;
            }
        }
    }

    /// Applies and records a move.
    fn shift(&mut self, level: Level, step: MoveStep) {
        let of = matches!(level, Level::Domains | Level::Apart);
        self.started_levels.insert((level, if of { step.part } else { 0 }));
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

    /// Returns the smallest difference that is worth a move.
    fn limit(&self, level: Level, part: usize) -> Limit {
        if self.started_levels.contains(&(level, part)) { BALANCED } else { UNEVEN }
    }

    /// Checks whether two numbers of pods differ enough for one pod to move.
    fn is_uneven(&self, level: Level, part: usize, more: i64, less: i64) -> bool {
        let limit = i128::from(self.limit(level, part).of_all);
        let difference = i128::from(more - less) * i128::from(WHOLE);
        more - less >= 2 && difference >= i128::from(more) * limit
    }

    /// Returns the move of a workload's pod that improves the preferences of pods most.
    fn best_by_preference(&self, part: usize) -> Option<(Level, MoveStep)> {
        let free = self.free.get(part)?;
        let plain = self.view.is_plain(part);
        let hosts = 0..self.view.capacity.offers.len();
        let mut best = None;
        for from in free.keys().copied() {
            if plain && self.view.on(part, from) < 2 {
                continue;
            }
            for to in hosts.clone().filter(|to| *to != from) {
                let step = MoveStep { part, from, to };
                let Effect::Better(level, gain) = self.judge(step) else { continue };
                let key = (level, Reverse(gain), self.cost(step));
                if best.as_ref().is_none_or(|(known, _)| key < *known) && self.may(step) {
                    best = Some((key, step));
                }
            }
        }
        best.map(|((level, ..), step)| (level, step))
    }

    /// Judges a move by the preferences of pods.
    fn judge(&self, step: MoveStep) -> Effect {
        let MoveStep { part, from, to } = step;
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
                1.. => return Effect::Worse,
                0 => {}
                _ if enough => return Effect::Better(level, -change),
                _ => {}
            }
        }
        Effect::Neutral
    }

    /// Returns the best move from the fullest host that can give up a pod to the emptiest host that can
    /// take it; for [`Level::Count`], from the host with most pods to the one with fewest.
    fn best_by_load(&self, level: Level, parts: &[usize]) -> Option<MoveStep> {
        let measure = |host: usize| match level {
            Level::Full => i64::try_from(self.view.full(host, None, None)).unwrap_or(i64::MAX),
            _ => self.view.pods(host),
        };
        let mut hosts: Vec<(i64, usize)> =
            (0..self.view.capacity.offers.len()).map(|host| (measure(host), host)).collect();
        hosts.sort_unstable();
        for (more, from) in hosts.iter().rev() {
            let mut best: Option<(_, MoveStep)> = None;
            let mut last = None;
            let emptier = hosts.iter().take_while(|(_, to)| self.is_worth(level, *from, *to));
            for (less, to) in emptier.filter(|(_, to)| self.is_allowed(level, *from, *to)) {
                // Of equal hosts, the later ones are tried only if the best one lacks an image.
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
                    let step = MoveStep { part: *part, from: *from, to: *to };
                    let gain = match level {
                        Level::Full => self.emptier(step),
                        _ => self.fewer(step),
                    };
                    let Some(gain) = gain else { continue };
                    let interrupts = self.view.parts.get(*part).map(|part| part.interrupts);
                    let key = (Reverse(gain), interrupts, self.cost(step));
                    if best.as_ref().is_none_or(|(known, _)| key < *known)
                        && !matches!(self.judge(step), Effect::Worse)
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

    /// Checks whether a pod may move between two hosts. The usage of a pod without reservations is unknown,
    /// so it does not move to a much fuller host.
    fn is_allowed(&self, level: Level, from: usize, to: usize) -> bool {
        let full = |host| self.view.full(host, None, None);
        level == Level::Full || full(to) < full(from).saturating_add(BALANCED.of_all)
    }

    /// Checks whether two hosts differ enough for a move. For a given `from`, this holds for all hosts up to
    /// some load of `to`.
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

    /// Returns by how much a move reduces the difference in utilisation of two hosts, if it is worth the
    /// move: the new utilisations are between the old ones, and the difference shrinks by at least the pod's
    /// share of one of the hosts.
    fn emptier(&self, step: MoveStep) -> Option<u64> {
        let [from, to, left, filled] = self.utilisation(step)?;
        let closer = from.checked_sub(to)?.checked_sub(left.abs_diff(filled))?;
        let inside = left.max(filled) < from && left.min(filled) >= to;
        let fills = (from - left).max(filled.saturating_sub(to));
        (inside && closer >= fills.max(1)).then_some(closer)
    }

    /// Returns the difference between the numbers of pods of two hosts, if the pod reserves almost nothing
    /// and the move does not worsen the utilisation.
    fn fewer(&self, step: MoveStep) -> Option<u64> {
        let [from, to, left, filled] = self.utilisation(step)?;
        let no_worse = (left, filled) == (from, to) || left.max(filled) < from.max(to);
        (is_counted(&self.view, step) && no_worse)
            .then(|| self.view.pods(step.from).abs_diff(self.view.pods(step.to)))
    }

    /// Returns the utilisation of the two hosts before a move, and after it.
    fn utilisation(&self, step: MoveStep) -> Option<[u64; 4]> {
        let need = &self.view.parts.get(step.part)?.need;
        let MoveStep { from, to, .. } = step;
        let full = |host, less, more| self.view.full(host, less, more);
        let (left, filled) = (full(from, Some(need), None), full(to, None, Some(need)));
        Some([full(from, None, None), full(to, None, None), left, filled])
    }

    /// Returns the sort key of moves with equal gain: hosts that have the image first, then the score of
    /// placement, then the fullest current host.
    fn cost(&self, step: MoveStep) -> impl Ord + use<> {
        let of = self.view.parts.get(step.part);
        let lacking = self.lacks_image(step);
        let score = of.map(|of| self.view.capacity.score(step.to, &of.need));
        (lacking, score, Reverse(self.view.full(step.from, None, None)), step.from, step.part)
    }

    /// Checks whether the new host would have to pull an image.
    fn lacks_image(&self, step: MoveStep) -> bool {
        self.view.parts.get(step.part).is_some_and(|of| of.lacking.contains(&step.to))
    }

    /// Checks whether the new host can take the pod, and whether some host has room for the surge pod that
    /// the move needs.
    fn may(&self, step: MoveStep) -> bool {
        let Some(part) = self.view.parts.get(step.part) else { return false };
        let capacity = &self.view.capacity;
        if part.barred.contains(&step.to) || capacity.fits(step.to, &part.need).is_err() {
            return false;
        }
        if !part.needs_surge_pod {
            return true;
        }
        // Two pods of one workload cannot share a host if they have a host port.
        let both = PodRequest {
            cpu: part.need.cpu * 2,
            memory: part.need.memory * 2,
            ..part.need.clone()
        };
        let fits = |host: usize| {
            if host == step.to {
                both.ports.is_empty() && capacity.fits(host, &both).is_ok()
            } else {
                capacity.fits(host, &part.need).is_ok()
            }
        };
        (0..capacity.offers.len()).any(fits)
    }
}
