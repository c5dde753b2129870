//! Plans rebalancing, on request: decides which workloads and pods move, and orders the operations of the
//! moves.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{PodVolumeSource, Pull, Replicas, Strategy, Workload};

use crate::desired::realise::mounted_volumes;
use crate::placement::assign::{Assignment, Slot, named_volumes};
use crate::placement::{HostCapacity, MoveStep, PodRequest, Reasons, RebalancedWorkload};
use crate::plan::OpId;
use crate::plan::balance::{Balance, Disruption, Fixed, HostLoad, Move, Share};
use crate::plan::builder::Builder;
use crate::plan::pod_plan::PodPlan;
use crate::plan::reason::{BlockReason, Blocked};
use crate::plan::subject::Subject;
use crate::planner::context::{Planner, PlanningProgress};

/// A pod that moves only because of rebalancing.
pub(crate) struct Moved<'a> {
    workload: &'a Workload,
    /// The index of its slot in the workload.
    slot: usize,
    /// The index of the current host.
    from: usize,
    /// The index of the new host.
    to: usize,
    /// Whether the new host has no room for it until other pods have left.
    crowded: bool,
}

impl<'a> Planner<'a> {
    /// Chooses the moves and changes the slots of the moved pods.
    pub fn rebalance(&self, assignment: &mut Assignment<'a>) -> (Balance, Vec<Moved<'a>>) {
        let mut fixed = Vec::new();
        let mut parts: Vec<RebalancedWorkload<'a>> = Vec::new();
        for workload in self.graph.workloads() {
            let slots = assignment.slots.get(workload.name.as_str());
            let slots = slots.map(Vec::as_slice).unwrap_or_default();
            let Some(need) = assignment.need(&workload.name).cloned() else { continue };
            let may = self.may_move(workload, slots);
            if let Err(Some(reason)) = &may {
                let workload = workload.address().to_string();
                fixed.push((workload, reason.clone()));
            }
            parts.push(self.part(workload, need, slots, may.is_ok()));
        }
        let before = assignment.capacity.clone();
        let mut hosts = self.loads(assignment, &parts);
        let crowd = loop {
            assignment.capacity = before.clone();
            assignment.capacity.rebalance(&parts);
            let crowd = crowd(&before, &assignment.capacity, &parts);
            let Some(unmovable) =
                workload_without_surge_room(crowd.clone(), &before, &assignment.capacity, &parts)
            else {
                break crowd;
            };
            let workload = self.graph.workloads().nth(unmovable).map(|w| w.address().to_string());
            let reason = BlockReason::NoRoomForSurge.to_string();
            fixed.extend(workload.map(|workload| (workload, reason)));
            parts.get_mut(unmovable).into_iter().for_each(|part| part.free.clear());
        };
        let moved = self.choose(assignment, &before, &parts);
        let reasons = Reasons::new(&before, &assignment.capacity, &parts);
        let moves =
            moved.iter().map(|moved| self.describe_move(moved, &reasons, assignment, &parts));
        let moves = moves.collect();
        self.loads_after(assignment, &parts, &mut hosts);
        // A moving pod uses its old host until it has left, so surge pods must not get that room.
        assignment.capacity = crowd;
        let origin = |name: &str| self.graph.workload_at(name).map(|w| w.span);
        let fixed = fixed.into_iter().map(|(workload, reason)| {
            let origin = origin(&workload);
            Fixed { workload, reason, origin }
        });
        (Balance { hosts, moves, fixed: fixed.collect() }, moved)
    }

    /// Checks whether a workload's pods may be moved.
    ///
    /// # Errors
    /// The reason why not; `None` where no user would expect a move.
    fn may_move(&self, workload: &Workload, slots: &[Slot]) -> Result<(), Option<String>> {
        if workload.replicas == Replicas::PerHost {
            return Err(None);
        }
        if self.options.target.as_ref().is_some_and(|target| target.name != workload.name) {
            return Err(None);
        }
        if let Some(volume) = named_volumes(self.graph, workload).first() {
            return Err(Some(format!("its volume `{volume}` is where it is")));
        }
        if let Some(own) = workload.volumes.first() {
            return Err(Some(match &own.source {
                PodVolumeSource::Empty => format!("its own volume `{}` would be lost", own.name),
                PodVolumeSource::HostPath(path) => format!("it uses `{path}` of its host"),
            }));
        }
        let mounted = mounted_volumes(self.graph, workload);
        if let Some(path) = mounted.iter().find_map(|volume| volume.host_path.as_deref()) {
            return Err(Some(format!("it uses `{path}` of its host")));
        }
        if slots.iter().any(|slot| slot.assigned.is_err()) {
            return Err(Some("not all of its pods can be seen and placed".to_owned()));
        }
        if self.memory.declared.paused.contains_key(&workload.address().to_string()) {
            return Err(Some("its rollout is paused".to_owned()));
        }
        Ok(())
    }

    /// Returns a workload in the form that placement rebalances.
    fn part(
        &self,
        workload: &Workload,
        need: PodRequest<'a>,
        slots: &[Slot],
        may: bool,
    ) -> RebalancedWorkload<'a> {
        let replicas = u32::try_from(slots.len()).unwrap_or(u32::MAX);
        let mut free: BTreeMap<usize, u32> = BTreeMap::new();
        for slot in slots.iter().filter(|slot| may && self.is_free(slot)) {
            if let Ok(host) = slot.assigned {
                *free.entry(host).or_default() += 1;
            }
        }
        let update = &workload.update;
        let surge = update.surge(replicas);
        let all = update.strategy == Strategy::Recreate || update.missing(replicas) >= replicas;
        let hosts = 0..self.hosts.ready.len();
        let lacking = hosts.clone().filter(|host| !self.pulls(workload, *host).is_empty());
        let barred = hosts.filter(|host| self.lacks_unpulled_image(workload, *host));
        RebalancedWorkload {
            need,
            lacking: lacking.collect(),
            barred: barred.collect(),
            free,
            interrupts: surge == 0 && all,
            needs_surge_pod: surge > 0 && update.max_unavailable.of(replicas) == 0,
        }
    }

    /// Checks whether a pod may move: it has no duplicate, no running operation and no backoff.
    fn is_free(&self, slot: &Slot) -> bool {
        let Ok(host) = slot.assigned else { return false };
        let there = self.is_there(host, &slot.name);
        let name = self.hosts.ready.get(host).map_or("", |host| host.name);
        let backoff = self.memory.learned.backoff.get(name).and_then(|pods| pods.get(&slot.name));
        (!there || slot.elsewhere.is_empty())
            && !self.memory.in_flight.busy.contains(&slot.name)
            && backoff.is_none_or(|backoff| backoff.until_ms <= self.options.now_ms)
    }

    /// Checks whether a ready host has a pod.
    fn is_there(&self, host: usize, pod: &str) -> bool {
        self.hosts.ready.get(host).is_some_and(|host| host.inventory.pods.contains_key(pod))
    }

    /// Returns the images that a host would have to pull.
    fn pulls(&self, workload: &Workload, host: usize) -> Vec<String> {
        let Some(host) = self.hosts.ready.get(host) else { return Vec::new() };
        let containers = workload.inits.iter().chain(&workload.containers);
        let images: BTreeSet<String> = containers
            .filter(|container| container.pull != Pull::Never)
            .map(|container| (container.image.to_string(), container.pull == Pull::Always))
            .filter(|(image, always)| *always || !host.state.images.contains_key(image))
            .map(|(image, _)| image)
            .collect();
        images.into_iter().collect()
    }

    /// Checks whether a host lacks an image with `pull never`.
    fn lacks_unpulled_image(&self, workload: &Workload, host: usize) -> bool {
        let containers = workload.inits.iter().chain(&workload.containers);
        let mut never = containers.filter(|container| container.pull == Pull::Never);
        never.any(|container| {
            let images = self.hosts.ready.get(host).map(|host| &host.state.images);
            images.is_none_or(|images| !images.contains_key(&container.image.to_string()))
        })
    }

    /// Chooses the pods that move, for the number of pods that each host gives up and takes: missing pods first,
    /// then the highest ordinals. Readiness does not matter, since it changes on its own and a saved plan must
    /// be reproducible.
    fn choose(
        &self,
        assignment: &mut Assignment<'a>,
        before: &HostCapacity<'a>,
        parts: &[RebalancedWorkload<'a>],
    ) -> Vec<Moved<'a>> {
        let mut moved = Vec::new();
        // All existing and all arriving pods. A move that has room beside them waits for no other.
        let mut crowd = before.clone();
        for (number, workload) in self.graph.workloads().enumerate() {
            let Some(part) = parts.get(number) else { continue };
            let flow = assignment.capacity.flow(before, number);
            let Some(slots) = assignment.slots.get_mut(workload.name.as_str()) else { continue };
            let first = moved.len();
            let mut to = flow.iter().flat_map(|(host, more)| {
                std::iter::repeat_n(*host, usize::try_from(*more).unwrap_or(0))
            });
            for (from, fewer) in flow.iter().filter(|(_, more)| **more < 0) {
                let mut going: Vec<usize> = (0..slots.len())
                    .filter(|at| {
                        slots.get(*at).is_some_and(|slot| {
                            slot.assigned.as_ref().ok() == Some(from) && self.is_free(slot)
                        })
                    })
                    .collect();
                going.sort_by_key(|at| {
                    let name = slots.get(*at).map_or("", |slot| slot.name.as_str());
                    (self.is_there(*from, name), std::cmp::Reverse(*at))
                });
                for at in going.into_iter().take(usize::try_from(-fewer).unwrap_or(0)) {
                    let (Some(slot), Some(to)) = (slots.get_mut(at), to.next()) else { break };
                    let crowded = crowd.fits(to, &part.need).is_err();
                    crowd.take(to, &part.need);
                    slot.assigned = Ok(to);
                    slot.elsewhere.retain(|host| *host != to);
                    if self.is_there(*from, &slot.name) {
                        slot.elsewhere.push(*from);
                        moved.push(Moved { workload, slot: at, from: *from, to, crowded });
                    }
                }
            }
            if let Some(own) = moved.get_mut(first..) {
                own.sort_by_key(|moved: &Moved<'_>| moved.slot);
            }
        }
        moved
    }

    /// Returns the user-visible form of a move.
    fn describe_move(
        &self,
        moved: &Moved<'a>,
        reasons: &Reasons<'a, '_>,
        assignment: &Assignment<'a>,
        parts: &[RebalancedWorkload<'a>],
    ) -> Move {
        let workload = moved.workload;
        let number = assignment.need(&workload.name).map_or(0, |need| need.workload);
        let step = MoveStep { part: number, from: moved.from, to: moved.to };
        let slots = assignment.slots.get(workload.name.as_str());
        let pod = slots.and_then(|slots| slots.get(moved.slot)).map_or("", |slot| &slot.name);
        let need = parts.get(number).map(|part| &part.need);
        let replicas = slots.map_or(0, Vec::len);
        let name = |host: usize| self.hosts.ready.get(host).map_or("", |host| host.name);
        Move {
            subject: Subject::from_pod(workload, pod),
            from: name(moved.from).to_owned(),
            to: name(moved.to).to_owned(),
            reason: reasons.describe(step),
            cpu: need.map_or(0, |need| need.cpu),
            memory: need.map_or(0, |need| need.memory),
            pulls: self.pulls(workload, moved.to),
            disruption: disruption(workload, u32::try_from(replicas).unwrap_or(u32::MAX)),
            origin: Some(workload.span),
        }
    }

    /// Returns the current loads of the hosts.
    fn loads(
        &self,
        assignment: &Assignment<'a>,
        parts: &[RebalancedWorkload<'a>],
    ) -> Vec<HostLoad> {
        let share = |of| Share { of, ..Share::default() };
        let load = |host: &crate::inventory::host_status::ReadyHost<'_>| HostLoad {
            host: host.name.to_owned(),
            cpu: share(host.cpu),
            memory: share(host.memory),
            pods_before: 0,
            pods_after: 0,
        };
        let mut loads: Vec<HostLoad> = self.hosts.ready.iter().map(load).collect();
        self.for_each_pod(assignment, parts, |slot, need| {
            let assigned =
                slot.assigned.as_ref().ok().filter(|host| self.is_there(**host, &slot.name));
            if let Some(load) = assigned.or(slot.elsewhere.first()).and_then(|h| loads.get_mut(*h))
            {
                load.pods_before += 1;
                load.cpu.before += need.cpu;
                load.memory.before += need.memory;
            }
        });
        loads
    }

    /// Adds the loads after all moves.
    fn loads_after(
        &self,
        assignment: &Assignment<'a>,
        parts: &[RebalancedWorkload<'a>],
        loads: &mut [HostLoad],
    ) {
        self.for_each_pod(assignment, parts, |slot, need| {
            let assigned = slot.assigned.as_ref().ok().or(slot.elsewhere.first());
            if let Some(load) = assigned.and_then(|host| loads.get_mut(*host)) {
                load.pods_after += 1;
                load.cpu.after += need.cpu;
                load.memory.after += need.memory;
            }
        });
    }

    /// Calls a function with each pod and its request.
    fn for_each_pod(
        &self,
        assignment: &Assignment<'a>,
        parts: &[RebalancedWorkload<'a>],
        mut of: impl FnMut(&Slot, &PodRequest<'a>),
    ) {
        for (workload, part) in self.graph.workloads().zip(parts) {
            let slots = assignment.slots.get(workload.name.as_str());
            slots.into_iter().flatten().for_each(|slot| of(slot, &part.need));
        }
    }

    /// Makes moves wait for the room that other moves free, and blocks moves that must not start now.
    pub fn make_room(
        &self,
        moved: &[Moved<'a>],
        progress: &PlanningProgress<'a>,
        builder: &mut Builder,
    ) {
        let plan = |it: &Moved<'a>| progress.plan(&it.workload.name, it.slot);
        let block = |it: &Moved<'a>, plan: &PodPlan, reason: BlockReason, builder: &mut Builder| {
            builder.block(&plan.gated, Blocked::from_workload(it.workload, reason));
        };
        for it in moved {
            let Some(own) = plan(it) else { continue };
            if progress.no_surge_room.contains(it.workload.name.as_str()) {
                block(it, own, BlockReason::NoRoomForSurge, builder);
            }
            if !it.crowded {
                continue;
            }
            let leaving = moved.iter().filter(|other| other.from == it.to).filter_map(plan);
            let downs: Vec<OpId> = leaving.flat_map(|plan| plan.downs.iter().copied()).collect();
            let circle =
                downs.iter().any(|down| own.gated.iter().any(|it| builder.waits_for(*down, *it)));
            if circle {
                block(it, own, BlockReason::CircularRoom, builder);
            } else {
                // The pod stays on its current host until then.
                builder.gate(&own.gated, &downs);
            }
        }
    }
}

/// Returns the capacity with all existing and all arriving pods, before any pod has left.
fn crowd<'a>(
    before: &HostCapacity<'a>,
    after: &HostCapacity<'a>,
    parts: &[RebalancedWorkload<'a>],
) -> HostCapacity<'a> {
    let mut crowd = before.clone();
    for (number, part) in parts.iter().enumerate() {
        for (host, more) in after.flow(before, number) {
            (0..more).for_each(|_| crowd.take(host, &part.need));
        }
    }
    crowd
}

/// Returns a workload whose moves need a surge pod for which no host has room.
fn workload_without_surge_room<'a>(
    mut crowd: HostCapacity<'a>,
    before: &HostCapacity<'a>,
    after: &HostCapacity<'a>,
    parts: &[RebalancedWorkload<'a>],
) -> Option<usize> {
    let moves = |number: usize| !after.flow(before, number).is_empty();
    let mut surging =
        parts.iter().enumerate().filter(|(number, it)| it.needs_surge_pod && moves(*number));
    surging.find_map(|(number, part)| crowd.give(&part.need, 1).contains(&None).then_some(number))
}

/// Returns the disruption that moves of a workload's pods cause, by its `update` policy.
fn disruption(workload: &Workload, replicas: u32) -> Disruption {
    let update = &workload.update;
    if update.strategy == Strategy::Recreate {
        return Disruption { at_once: replicas, replicas, ready: 0, stand_ins: 0 };
    }
    let (missing, surge) = (update.missing(replicas).min(replicas), update.surge(replicas));
    Disruption {
        at_once: (missing + surge).clamp(1, replicas.max(1)),
        replicas,
        ready: replicas - missing,
        stand_ins: surge,
    }
}
