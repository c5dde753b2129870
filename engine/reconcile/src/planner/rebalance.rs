//! Evening out, when somebody asked for it: which workloads may be moved, which of their pods go,
//! and what must wait for what.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{PodVolumeSource, Pull, Replicas, Strategy, Workload};

use crate::desired::realise::mounted_volumes;
use crate::placement::assign::{Assignment, Slot, named_volumes};
use crate::placement::{Capacity, Part, PodRequest, Reasons, Step};
use crate::plan::OpId;
use crate::plan::balance::{Balance, Disruption, Fixed, HostLoad, Move, Share};
use crate::plan::builder::Builder;
use crate::plan::pod_plan::PodPlan;
use crate::plan::reason::{BlockReason, Blocked};
use crate::plan::subject::Subject;
use crate::planner::context::{Planner, Progress};

/// A pod that moves only to even out.
pub(crate) struct Moved<'a> {
    workload: &'a Workload,
    /// Its place among the workload's slots.
    slot: usize,
    from: usize,
    to: usize,
    /// Whether the new host has no room for it before others have left.
    crowded: bool,
}

impl<'a> Planner<'a> {
    /// Moves pods to where they would better be: their slots are changed.
    pub fn rebalance(&self, assignment: &mut Assignment<'a>) -> (Balance, Vec<Moved<'a>>) {
        let mut fixed = Vec::new();
        let mut parts: Vec<Part<'a>> = Vec::new();
        for workload in self.graph.workloads() {
            let slots = assignment.slots.get(workload.name.as_str());
            let slots = slots.map(Vec::as_slice).unwrap_or_default();
            let Some(need) = assignment.need(&workload.name).cloned() else { continue };
            let may = self.may_move(workload, slots);
            if let Some(reason) = may.as_ref().err().filter(|reason| !reason.is_empty()) {
                let workload = workload.address().to_string();
                fixed.push((workload, reason.clone()));
            }
            parts.push(self.part(workload, need, slots, may.is_ok()));
        }
        let before = assignment.seats.clone();
        let mut hosts = self.loads(assignment, &parts);
        let crowd = loop {
            assignment.seats = before.clone();
            assignment.seats.even_out(&parts);
            let crowd = crowd(&before, &assignment.seats, &parts);
            let Some(unaided) = unaided(crowd.clone(), &before, &assignment.seats, &parts) else {
                break crowd;
            };
            let workload = self.graph.workloads().nth(unaided).map(|w| w.address().to_string());
            let reason = BlockReason::NoRoomForSurge.to_string();
            fixed.extend(workload.map(|workload| (workload, reason)));
            parts.get_mut(unaided).into_iter().for_each(|part| part.free.clear());
        };
        let moved = self.choose(assignment, &before, &parts);
        let reasons = Reasons::new(&before, &assignment.seats, &parts);
        let moves = moved.iter().map(|moved| self.told(moved, &reasons, assignment, &parts));
        let moves = moves.collect();
        self.loads_after(assignment, &parts, &mut hosts);
        // Until it has left, a pod still takes its old place: stand-ins must not count on it.
        assignment.seats = crowd;
        let origin = |name: &str| self.graph.workload_at(name).map(|w| w.span);
        let fixed = fixed.into_iter().map(|(workload, reason)| {
            let origin = origin(&workload);
            Fixed { workload, reason, origin }
        });
        (Balance { hosts, moves, fixed: fixed.collect() }, moved)
    }

    /// Whether a workload's pods may be moved.
    ///
    /// # Errors
    /// Why not; empty where nobody would expect it.
    fn may_move(&self, workload: &Workload, slots: &[Slot]) -> Result<(), String> {
        if workload.replicas == Replicas::PerHost {
            return Err(String::new());
        }
        if self.options.target.as_ref().is_some_and(|target| target.name != workload.name) {
            return Err(String::new());
        }
        if let Some(volume) = named_volumes(self.graph, workload).first() {
            return Err(format!("its volume `{volume}` is where it is"));
        }
        if let Some(own) = workload.volumes.first() {
            return Err(match &own.source {
                PodVolumeSource::Empty => format!("its own volume `{}` would be lost", own.name),
                PodVolumeSource::HostPath(path) => format!("it uses `{path}` of its host"),
            });
        }
        let mounted = mounted_volumes(self.graph, workload);
        if let Some(path) = mounted.iter().find_map(|volume| volume.host_path.as_deref()) {
            return Err(format!("it uses `{path}` of its host"));
        }
        if slots.iter().any(|slot| slot.seat.is_err()) {
            return Err("not all of its pods can be seen and placed".to_owned());
        }
        if self.memory.declared.paused.contains_key(&workload.address().to_string()) {
            return Err("its rollout is paused".to_owned());
        }
        Ok(())
    }

    fn part(
        &self,
        workload: &Workload,
        need: PodRequest<'a>,
        slots: &[Slot],
        may: bool,
    ) -> Part<'a> {
        let replicas = u32::try_from(slots.len()).unwrap_or(u32::MAX);
        let mut free: BTreeMap<usize, u32> = BTreeMap::new();
        for slot in slots.iter().filter(|slot| may && self.is_free(slot)) {
            if let Ok(host) = slot.seat {
                *free.entry(host).or_default() += 1;
            }
        }
        let update = &workload.update;
        let surge = update.surge(replicas);
        let all = update.strategy == Strategy::Recreate || update.missing(replicas) >= replicas;
        let hosts = 0..self.hosts.ready.len();
        let lacking = hosts.clone().filter(|host| !self.pulls(workload, *host).is_empty());
        let barred = hosts.filter(|host| self.must_have_image(workload, *host));
        Part {
            need,
            lacking: lacking.collect(),
            barred: barred.collect(),
            free,
            interrupts: surge == 0 && all,
            stand_in: surge > 0 && update.max_unavailable.of(replicas) == 0,
        }
    }

    /// Whether a pod may move: it is there once, and is not left alone for a while.
    fn is_free(&self, slot: &Slot) -> bool {
        let Ok(host) = slot.seat else { return false };
        let there = self.is_there(host, &slot.name);
        let name = self.hosts.ready.get(host).map_or("", |host| host.name);
        let backoff = self.memory.learned.backoff.get(name).and_then(|pods| pods.get(&slot.name));
        (!there || slot.elsewhere.is_empty())
            && !self.memory.in_flight.busy.contains(&slot.name)
            && backoff.is_none_or(|backoff| backoff.until_ms <= self.options.now_ms)
    }

    fn is_there(&self, host: usize, pod: &str) -> bool {
        self.hosts.ready.get(host).is_some_and(|host| host.inventory.pods.contains_key(pod))
    }

    /// Images that a host would have to pull.
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

    /// Whether a host lacks an image that is never pulled.
    fn must_have_image(&self, workload: &Workload, host: usize) -> bool {
        let containers = workload.inits.iter().chain(&workload.containers);
        let mut never = containers.filter(|container| container.pull == Pull::Never);
        never.any(|container| {
            let images = self.hosts.ready.get(host).map(|host| &host.state.images);
            images.is_none_or(|images| !images.contains_key(&container.image.to_string()))
        })
    }

    /// Which pods go, for as many as each host gives and takes: those that are not there yet, then
    /// the highest ordinals. Who is ready does not matter, since that changes by itself, and a
    /// saved plan must come out the same.
    fn choose(
        &self,
        assignment: &mut Assignment<'a>,
        before: &Capacity<'a>,
        parts: &[Part<'a>],
    ) -> Vec<Moved<'a>> {
        let mut moved = Vec::new();
        // All that was there and all that comes: what has room in it waits for nobody.
        let mut crowd = before.clone();
        for (number, workload) in self.graph.workloads().enumerate() {
            let Some(part) = parts.get(number) else { continue };
            let flow = assignment.seats.flow(before, number);
            let Some(slots) = assignment.slots.get_mut(workload.name.as_str()) else { continue };
            let first = moved.len();
            let mut to = flow.iter().flat_map(|(host, more)| {
                std::iter::repeat_n(*host, usize::try_from(*more).unwrap_or(0))
            });
            for (from, fewer) in flow.iter().filter(|(_, more)| **more < 0) {
                let mut going: Vec<usize> = (0..slots.len())
                    .filter(|at| {
                        slots.get(*at).is_some_and(|slot| {
                            slot.seat.as_ref().ok() == Some(from) && self.is_free(slot)
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
                    slot.seat = Ok(to);
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

    /// A move, for people.
    fn told(
        &self,
        moved: &Moved<'a>,
        reasons: &Reasons<'a, '_>,
        assignment: &Assignment<'a>,
        parts: &[Part<'a>],
    ) -> Move {
        let workload = moved.workload;
        let number = assignment.need(&workload.name).map_or(0, |need| need.workload);
        let step = Step { part: number, from: moved.from, to: moved.to };
        let slots = assignment.slots.get(workload.name.as_str());
        let pod = slots.and_then(|slots| slots.get(moved.slot)).map_or("", |slot| &slot.name);
        let need = parts.get(number).map(|part| &part.need);
        let replicas = slots.map_or(0, Vec::len);
        let name = |host: usize| self.hosts.ready.get(host).map_or("", |host| host.name);
        Move {
            subject: Subject::from_pod(workload, pod),
            from: name(moved.from).to_owned(),
            to: name(moved.to).to_owned(),
            reason: reasons.says(step),
            cpu: need.map_or(0, |need| need.cpu),
            memory: need.map_or(0, |need| need.memory),
            pulls: self.pulls(workload, moved.to),
            disruption: disruption(workload, u32::try_from(replicas).unwrap_or(u32::MAX)),
            origin: Some(workload.span),
        }
    }

    /// What hosts have now.
    fn loads(&self, assignment: &Assignment<'a>, parts: &[Part<'a>]) -> Vec<HostLoad> {
        let share = |of| Share { of, ..Share::default() };
        let load = |host: &crate::inventory::host_status::ReadyHost<'_>| HostLoad {
            host: host.name.to_owned(),
            cpu: share(host.cpu),
            memory: share(host.memory),
            pods_before: 0,
            pods_after: 0,
        };
        let mut loads: Vec<HostLoad> = self.hosts.ready.iter().map(load).collect();
        self.each(assignment, parts, |slot, need| {
            let seat = slot.seat.as_ref().ok().filter(|host| self.is_there(**host, &slot.name));
            if let Some(load) = seat.or(slot.elsewhere.first()).and_then(|h| loads.get_mut(*h)) {
                load.pods_before += 1;
                load.cpu.before += need.cpu;
                load.memory.before += need.memory;
            }
        });
        loads
    }

    fn loads_after(&self, assignment: &Assignment<'a>, parts: &[Part<'a>], loads: &mut [HostLoad]) {
        self.each(assignment, parts, |slot, need| {
            let seat = slot.seat.as_ref().ok().or(slot.elsewhere.first());
            if let Some(load) = seat.and_then(|host| loads.get_mut(*host)) {
                load.pods_after += 1;
                load.cpu.after += need.cpu;
                load.memory.after += need.memory;
            }
        });
    }

    /// Each pod, with what it needs.
    fn each(
        &self,
        assignment: &Assignment<'a>,
        parts: &[Part<'a>],
        mut of: impl FnMut(&Slot, &PodRequest<'a>),
    ) {
        for (workload, part) in self.graph.workloads().zip(parts) {
            let slots = assignment.slots.get(workload.name.as_str());
            slots.into_iter().flatten().for_each(|slot| of(slot, &part.need));
        }
    }

    /// Makes pods wait for the room that others leave, and holds back what must not be done now.
    pub fn make_room(&self, moved: &[Moved<'a>], progress: &Progress<'a>, builder: &mut Builder) {
        let plan = |it: &Moved<'a>| progress.plan(&it.workload.name, it.slot);
        let block = |it: &Moved<'a>, plan: &PodPlan, reason: BlockReason, builder: &mut Builder| {
            builder.block(&plan.gated, Blocked::from_workload(it.workload, reason));
        };
        for it in moved {
            let Some(own) = plan(it) else { continue };
            if progress.unaided.contains(it.workload.name.as_str()) {
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
                // It stays where it is until then.
                builder.gate(&own.gated, &downs);
            }
        }
    }
}

/// All that was there and all that comes, while nothing has left yet.
fn crowd<'a>(before: &Capacity<'a>, after: &Capacity<'a>, parts: &[Part<'a>]) -> Capacity<'a> {
    let mut crowd = before.clone();
    for (number, part) in parts.iter().enumerate() {
        for (host, more) in after.flow(before, number) {
            (0..more).for_each(|_| crowd.take(host, &part.need));
        }
    }
    crowd
}

/// A workload whose pods would move, for which another one must stand in meanwhile, and no host has
/// room for that one.
fn unaided<'a>(
    mut crowd: Capacity<'a>,
    before: &Capacity<'a>,
    after: &Capacity<'a>,
    parts: &[Part<'a>],
) -> Option<usize> {
    let moves = |number: usize| !after.flow(before, number).is_empty();
    let mut aided = parts.iter().enumerate().filter(|(number, it)| it.stand_in && moves(*number));
    aided.find_map(|(number, part)| crowd.give(&part.need, 1).contains(&None).then_some(number))
}

/// What the moves of a workload's pods come to, by its `update`.
fn disruption(workload: &Workload, replicas: u32) -> Disruption {
    let update = &workload.update;
    if update.strategy == Strategy::Recreate {
        return Disruption { at_once: replicas, replicas, ready: 0, stand_ins: 0 };
    }
    let (missing, stand_ins) = (update.missing(replicas).min(replicas), update.surge(replicas));
    Disruption {
        at_once: (missing + stand_ins).clamp(1, replicas.max(1)),
        replicas,
        ready: replicas - missing,
        stand_ins,
    }
}
