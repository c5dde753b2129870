//! Explains why no host can take a pod, and why a pod moves.

use tally_graph::Selector;

use super::gains::{View, WHOLE, WISHES};
use super::rebalance::is_counted;
use super::{HostCapacity, Lack, Level, MoveStep, PodRequest, RebalancedWorkload};
use crate::plan::reason::{BlockReason, Closed, HostLack, Shortage, WayOut};

/// The maximum number of hosts that a reason names. The others are counted.
const NAMED: usize = 4;

impl HostCapacity<'_> {
    /// Returns the reason of a pod that no host can take: the shortage of each host, and a possible solution.
    #[must_use]
    pub fn no_host(&self, need: &PodRequest<'_>) -> BlockReason {
        let lacks: Vec<(usize, Lack)> = (0..self.offers.len())
            .filter_map(|host| Some((host, self.fits(host, need).err()?)))
            .collect();
        let more = lacks.len().saturating_sub(NAMED);
        let named = lacks.iter().take(NAMED);
        let lacks = named.map(|(host, lack)| self.host_lack(*host, lack, need)).collect();
        BlockReason::NoHost { lacks, more, way_out: self.way_out(need) }
    }

    /// Returns a host's name.
    fn name(&self, host: usize) -> &str {
        self.offers.get(host).map_or("?", |offer| offer.name)
    }

    /// Returns the shortage of a host for a pod, with the host's name.
    #[must_use]
    pub fn host_lack(&self, host: usize, lack: &Lack, need: &PodRequest<'_>) -> HostLack {
        let closed = || self.offers.get(host).and_then(|offer| offer.closed);
        let lack = match lack {
            Lack::Closed => Shortage::Closed(closed().unwrap_or(Closed::Drained)),
            Lack::Labels => Shortage::Labels(self.differs(host, need)),
            Lack::Elsewhere => Shortage::VolumeElsewhere,
            Lack::Cores(cores) => Shortage::Cores { cores: *cores, max_cpu: need.max_cpu },
            Lack::Cpu(missing) => Shortage::Cpu(*missing),
            Lack::Memory(missing) => Shortage::Memory(*missing),
            Lack::Port(port) => Shortage::Port(*port),
        };
        HostLack { host: self.name(host).to_owned(), lack }
    }

    /// Returns the condition of `require` that a host does not satisfy.
    fn differs(&self, host: usize, need: &PodRequest<'_>) -> Selector {
        let Some(labels) = self.offers.get(host).map(|offer| offer.labels) else {
            return Selector::default();
        };
        let parts = need.place.require.as_ref().map(parts).unwrap_or_default();
        parts.into_iter().find(|part| !part.matches(labels)).unwrap_or_default()
    }

    /// Returns a host that could take the pod if one condition of `require` were dropped.
    fn way_out(&self, need: &PodRequest<'_>) -> Option<WayOut> {
        let require = need.place.require.as_ref()?;
        let all = parts(require);
        for (dropped, part) in all.iter().enumerate() {
            let rest: Vec<&Selector> =
                all.iter().enumerate().filter(|(i, _)| *i != dropped).map(|(_, p)| p).collect();
            let place = tally_graph::Place { require: None, ..need.place.clone() };
            let relaxed = PodRequest { place: &place, ..need.clone() };
            let fitting = (0..self.offers.len()).find(|host| {
                let labels = self.offers.get(*host).map(|offer| offer.labels);
                labels.is_some_and(|labels| rest.iter().all(|part| part.matches(labels)))
                    && self.fits(*host, &relaxed).is_ok()
            });
            if let Some(host) = fitting {
                return Some(WayOut { host: self.name(host).to_owned(), dropped: part.clone() });
            }
        }
        None
    }
}

/// The reasons of moves, as text.
pub struct Reasons<'a, 'p> {
    before: View<'a, 'p>,
    after: View<'a, 'p>,
}

impl<'a, 'p> Reasons<'a, 'p> {
    /// Creates the reasons for the moves that lead from `before` to `after`.
    #[must_use]
    pub fn new(
        before: &HostCapacity<'a>,
        after: &HostCapacity<'a>,
        parts: &'p [RebalancedWorkload<'a>],
    ) -> Self {
        let view = |capacity: &HostCapacity<'a>| View::new(capacity.clone(), parts);
        Self { before: view(before), after: view(after) }
    }

    /// Returns the level that a move improves: the first one that would be worse without the move, judged by
    /// the state after all moves.
    #[must_use]
    pub fn level(&self, step: MoveStep) -> Level {
        let MoveStep { part, from, to } = step;
        let worse = |level: &Level| self.after.change(*level, part, to, from) > 0;
        let rest = if is_counted(&self.after, step) { Level::Count } else { Level::Full };
        WISHES.into_iter().find(worse).unwrap_or(rest)
    }

    /// Returns the reason of a move, in one line.
    #[must_use]
    pub fn describe(&self, step: MoveStep) -> String {
        let MoveStep { part, from, to } = step;
        let (then, now) = (&self.before, &self.after);
        let (old, new) = (now.capacity.name(from), now.capacity.name(to));
        let spread = now.parts.get(part).and_then(|part| part.need.place.spread.as_deref());
        let label = |host: usize| {
            let labels = now.capacity.offers.get(host).map(|offer| offer.labels);
            labels.zip(spread).and_then(|(labels, key)| labels.get(key)).map_or("", String::as_str)
        };
        let pods = |view: &View<'_, '_>, host| view.in_domain(part, host);
        let percent = |view: &View<'_, '_>, host| view.full(host, None, None) / (WHOLE / 100);
        match self.level(step) {
            Level::Labelled => {
                format!("{new} has the label {}, {old} has not", spread.unwrap_or_default())
            }
            Level::Domains => format!(
                "spread by {}: {} {} to {}, {} {} to {}",
                spread.unwrap_or_default(),
                label(from),
                pods(then, from),
                pods(now, from),
                label(to),
                pods(then, to),
                pods(now, to)
            ),
            Level::Avoid => format!("on {old} are pods that it avoids, or that avoid it"),
            Level::Near => {
                format!("on {new} are pods that it is to be near, or that are to be near it")
            }
            Level::Prefer => format!("{new} is as it prefers, {old} is not"),
            Level::Apart => format!(
                "its pods on {old}: {} to {}, on {new}: {} to {}",
                then.on(part, from),
                now.on(part, from),
                then.on(part, to),
                now.on(part, to)
            ),
            Level::Full => format!(
                "{old} is {} % full and will be {} %, {new} {} % and {} %",
                percent(then, from),
                percent(now, from),
                percent(then, to),
                percent(now, to)
            ),
            Level::Count => format!(
                "{old} has {} pods and will have {}, {new} {} and {}",
                then.pods(from),
                now.pods(from),
                then.pods(to),
                now.pods(to)
            ),
        }
    }
}

/// Splits a selector into selectors of one condition each.
fn parts(selector: &Selector) -> Vec<Selector> {
    let empty = Selector::default;
    let all = selector
        .all
        .iter()
        .map(|(key, value)| Selector { all: [(key.clone(), value.clone())].into(), ..empty() });
    let not = selector.not.iter().map(|pair| Selector { not: vec![pair.clone()], ..empty() });
    let any = selector.any.iter().map(|pair| Selector { any: vec![pair.clone()], ..empty() });
    let has = selector.has.iter().map(|key| Selector { has: vec![key.clone()], ..empty() });
    let lacks = selector.lacks.iter().map(|key| Selector { lacks: vec![key.clone()], ..empty() });
    all.chain(not).chain(any).chain(has).chain(lacks).collect()
}
