//! The whole cluster: workload by workload in the order in which they wait for each other.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{Replicas, Until, Workload};
use tally_source::{Code, Diagnostic};

use crate::desired::realise::{realise, workload_ports};
use crate::input::needs::Needs;
use crate::inventory::containers::Containers;
use crate::inventory::patterns::FastPath;
use crate::labels::Role;
use crate::placement::assign::{Assignment, Slot, assign, health, named_volumes};
use crate::plan::builder::Builder;
use crate::plan::pod_plan::PodPlan;
use crate::plan::reason::{BlockReason, Blocked};
use crate::plan::subject::Subject;
use crate::plan::{Cause, OpId, Pods};
use crate::planner::context::{Planned, Planner, Progress, Settled};
use crate::planner::images::Choosing;
use crate::planner::objects::Objects;
use crate::planner::pod::context::Context;
use crate::planner::pod::plan_pod;
use crate::planner::removals::Leaving;
use crate::planner::unsupported::unsupported;
use crate::rollback::report::{report_fallback, report_rolled_back};
use crate::rollout::{gates, stagger};

impl<'a> Planner<'a> {
    pub fn run(&self, builder: &mut Builder) {
        self.report_quarantined(builder);
        let needs = self.needs;
        let wanted = self.wanted(needs);
        report_rolled_back(self.graph, self.memory, &wanted, builder);
        if !self.options.destroy {
            for found in unsupported(self.graph, &wanted) {
                builder.report(found);
            }
            let runs = self.hosts.ready.iter().any(|host| !host.inventory.pods.is_empty());
            if self.graph.workloads().next().is_none() && runs {
                builder.report(self.empty_spec());
                return;
            }
        }
        let name = self.cluster.name.as_str();
        let span = Some(self.cluster.span);
        let ready = self.hosts.ready.iter();
        let mut objects: Vec<Objects<'_>> =
            ready.map(|host| Objects::new(name, host.name, host.state, span)).collect();
        let mut progress = Progress { settled: Settled::of(self.hosts), ..Progress::default() };
        let mut assignment = assign(self.graph, name, self.hosts, self.patterns);
        let mut moved = Vec::new();
        if self.options.rebalance && !self.options.destroy {
            let (balance, moves) = self.rebalance(&mut assignment);
            builder.plan.balance = Some(balance);
            moved = moves;
        }
        for workload in &wanted {
            let on = needs.get(workload.name.as_str()).map(Vec::as_slice).unwrap_or_default();
            self.workload(workload, on, &mut assignment, &mut objects, &mut progress, builder);
        }
        self.make_room(&moved, &progress, builder);
        let removed = self.remove_gone(&mut progress, builder);
        self.ports(&progress, builder);
        self.remove_objects(&removed, &progress, builder);
        self.powers(&progress, builder);
        // A freeze first: who waits for what a freeze holds back would wait for as long as it lasts.
        self.block_all(builder);
        self.block_under_way(builder);
        self.block_waits(builder);
    }

    /// Plans all pods of a workload, and what they wait for.
    fn workload(
        &self,
        workload: &'a Workload,
        on: &[(&str, Until)],
        assignment: &mut Assignment<'a>,
        objects: &mut [Objects<'_>],
        progress: &mut Progress<'a>,
        builder: &mut Builder,
    ) {
        let slots = assignment.slots.remove(workload.name.as_str()).unwrap_or_default();
        progress.pattern = self.patterns.number(&workload.name);
        progress.asks_ports = workload_ports(workload).next().is_some();
        progress.seats = slots.iter().filter_map(|slot| slot.seat.as_ref().ok().copied()).collect();
        let own: Vec<PodPlan> = slots
            .iter()
            .map(|slot| self.slot(workload, slot, objects, progress, builder))
            .collect();
        let disrupted = own.iter().any(|pod| pod.ready_now && pod.disruptive);
        let surge = match disrupted {
            true => self.surge(workload, own.len(), assignment, objects, progress, builder),
            false => Vec::new(),
        };
        let waits: Vec<OpId> = own.iter().flat_map(|pod| pod.ready.iter().copied()).collect();
        let address = workload.address().to_string();
        builder.plan.pods.insert(address.clone(), counted(&own));
        progress.after.insert(address, waits);
        report_fallback((self.graph, self.hosts, self.memory), workload, &own, builder);
        stagger(workload, &own, &surge, builder);
        self.depend(workload, on, own.iter().chain(&surge), progress, builder);
        self.block_paused(workload, &own, &surge, builder);
        // Only what others wait for, or make room for, is asked for later.
        if self.options.rebalance || self.awaited.contains(workload.name.as_str()) {
            progress.plans.insert(&workload.name, own);
        }
    }

    /// Plans one pod: where it is, or where it moves to.
    fn slot(
        &self,
        workload: &'a Workload,
        slot: &Slot<'a>,
        objects: &mut [Objects<'_>],
        progress: &mut Progress<'a>,
        builder: &mut Builder,
    ) -> PodPlan {
        match &slot.seat {
            Ok(host) => {
                let found = slot.found.filter(|(on, _)| on == host).map(|(_, found)| found);
                let Some(mut plan) =
                    self.pod(workload, &slot.name, (*host, found), objects, progress, builder)
                else {
                    return PodPlan::default();
                };
                self.leave(workload, slot, *host, &mut plan, progress, builder);
                self.block_pod(workload, &slot.name, *host, &plan, builder);
                plan
            }
            Err(reason) => {
                // Where it is already it is left.
                for host in &slot.elsewhere {
                    if let Some(found) = self.found(*host, &slot.name) {
                        progress.settled.insert(*host, found);
                    }
                }
                builder.plan.blocked.push(Blocked {
                    subject: Subject::from_pod(workload, &slot.name),
                    host: None,
                    reason: reason.clone(),
                    origin: Some(workload.span),
                });
                PodPlan { absent: true, ..PodPlan::default() }
            }
        }
    }

    fn pod(
        &self,
        workload: &'a Workload,
        name: &str,
        (host, found): (usize, Option<&'a Containers<'a>>),
        objects: &mut [Objects<'_>],
        progress: &mut Progress<'a>,
        builder: &mut Builder,
    ) -> Option<PodPlan> {
        let ready = self.hosts.ready.get(host)?;
        let context = Context {
            graph: self.graph,
            cluster: &self.cluster.name,
            host: ready.name,
            inventory: &ready.inventory,
            failing: &self.memory.in_flight.failing,
            restarts: match self.memory.declared.restarts.is_empty() {
                true => None,
                false => self.memory.declared.restarts.get(&workload.address().to_string()),
            },
            now_ms: ready.state.its_now_ms(self.options.now_ms),
            choosing: Choosing {
                graph: self.graph,
                hosts: self.hosts,
                around: &self.around,
                seats: &progress.seats,
            },
        };
        let found = found.or_else(|| ready.inventory.pods.get(name));
        debug_assert_eq!(found.map(Containers::len), self.found(host, name).map(Containers::len));
        let is_up_to_date = found.is_some_and(|found| {
            let FastPath { workload, is_up_to_date, .. } = found.fast_path;
            is_up_to_date && workload.is_some() && workload == progress.pattern
        });
        let plan = match is_up_to_date {
            true => PodPlan { ready_now: true, ..PodPlan::default() },
            false => {
                builder.plan.compared += 1;
                let pod = realise(workload, name.to_owned(), &self.around);
                plan_pod(&pod, &context, objects.get_mut(host)?, &mut progress.choices, builder)
            }
        };
        let stops = plan.stops.iter().map(|(id, stop)| ((host, id.clone()), *stop));
        progress.stops.extend(stops);
        if let Some(found) = found {
            progress.settled.insert(host, found);
        }
        // Nothing is asked later of a pod that stays as it is, has no host port, and shares its host with
        // no volume.
        if !is_up_to_date || progress.asks_ports || !ready.state.volumes.is_empty() {
            let (name, start) = (name.to_owned(), plan.holder_start);
            progress.planned.push(Planned { workload, name, host, start });
        }
        Some(plan)
    }

    /// What a ready host has of a pod.
    fn found(&self, host: usize, pod: &str) -> Option<&'a Containers<'a>> {
        self.hosts.ready.get(host)?.inventory.pods.get(pod)
    }

    /// Takes a pod away from hosts where it is no longer, or is a second time. What it needs on the
    /// new host is there before it stops on the old one.
    fn leave(
        &self,
        workload: &Workload,
        slot: &Slot,
        seat: usize,
        plan: &mut PodPlan,
        progress: &mut Progress<'a>,
        builder: &mut Builder,
    ) {
        let is_second = !plan.fresh;
        let to = self.hosts.ready.get(seat).map_or("", |host| host.name);
        for host in &slot.elsewhere {
            let from = self.hosts.ready.get(*host);
            let Some(found) = self.found(*host, &slot.name) else { continue };
            progress.settled.insert(*host, found);
            let note = match is_second {
                true => format!("also runs on {to}, which keeps it"),
                false => format!("moves to {to}"),
            };
            let now_ms = from.map_or(0, |from| from.state.its_now_ms(self.options.now_ms));
            let was_ready = self.is_ready(workload, &slot.name, found, now_ms);
            let why = Leaving { cause: Cause::Needed, note: Some(note), after: Vec::new() };
            let downs = self.take_down(*host, found, &why, progress, builder);
            if is_second && named_volumes(self.graph, workload).is_empty() {
                // A second copy serves until the one that stays is ready: whatever else has to be down
                // first, this does not. Where that one serves now, it goes at once: what changes later
                // follows the rules of any change, and may need what the second copy holds.
                if !plan.ready_now {
                    builder.gate(&downs, &plan.ready);
                }
                plan.seconds.extend(downs);
                continue;
            }
            if is_second {
                builder.gate(&plan.ups, &downs);
            } else {
                builder.gate(&downs, &plan.needs);
                builder.gate(&plan.ups, &downs);
                plan.gated.extend(&downs);
                plan.ready_now |= was_ready;
                plan.disruptive |= was_ready;
            }
            plan.downs.extend(downs);
        }
    }

    fn is_ready(
        &self,
        workload: &Workload,
        pod: &str,
        found: &Containers<'_>,
        now_ms: i64,
    ) -> bool {
        let desired = realise(workload, pod.to_owned(), &self.around);
        let mut mains = desired.containers.iter().filter(|c| c.role == Role::Container);
        let infra = found.get(Role::Infra, "");
        mains.all(|container| {
            found
                .get(container.role, &container.name)
                .is_some_and(|found| found.serves(&container.ready, infra, now_ms))
        })
    }

    /// So many pods of a workload may stand in for others. Two pods with one volume, or with one set of
    /// data, are no stand-ins for each other.
    pub fn stand_ins(&self, workload: &Workload, replicas: u32) -> u32 {
        match workload.replicas {
            Replicas::Count(_) if named_volumes(self.graph, workload).is_empty() => {
                workload.update.surge(replicas)
            }
            _ => 0,
        }
    }

    /// Pods beyond the number, which stand in for those that are taken down.
    fn surge(
        &self,
        workload: &'a Workload,
        count: usize,
        assignment: &mut Assignment<'a>,
        objects: &mut [Objects<'_>],
        progress: &mut Progress<'a>,
        builder: &mut Builder,
    ) -> Vec<PodPlan> {
        let replicas = u32::try_from(count).unwrap_or(u32::MAX);
        let surge = self.stand_ins(workload, replicas);
        let paused = self.memory.declared.paused.contains_key(&workload.address().to_string());
        if surge == 0 || paused {
            return Vec::new();
        }
        let seats = assignment.surge(&workload.name, surge as usize);
        let nowhere = seats.iter().all(Option::is_none);
        let mut plans = Vec::new();
        for (extra, seat) in (replicas..).zip(seats) {
            let name = workload.pod_name(extra);
            // One that is there already stays where it is; of two, where it is well, since a create that
            // came late must not be started beside the one that was made instead.
            let hosts = self.hosts.ready.iter().enumerate();
            let there = hosts
                .filter(|(_, host)| host.inventory.pods.contains_key(name.as_str()))
                .max_by_key(|(number, host)| (health(host, &name), std::cmp::Reverse(*number)))
                .map(|(number, _)| number);
            // One that may run on a silent host is not made a second time.
            if there.is_none() && self.hosts.may_have(&name).is_some() {
                plans.push(PodPlan { absent: true, ..PodPlan::default() });
                continue;
            }
            // Where it has the port that a pod it stands in for is about to take, it cannot stay.
            let leaves = there.filter(|host| takes_port_on(workload, *host, progress));
            let stays = there.filter(|_| leaves.is_none());
            if let Some(host) = stays.or(seat).filter(|host| leaves != Some(*host))
                && let Some(mut plan) =
                    self.pod(workload, &name, (host, None), objects, progress, builder)
            {
                let elsewhere = leaves.into_iter().collect();
                let slot = Slot { name, seat: Ok(host), elsewhere, found: None };
                self.leave(workload, &slot, host, &mut plan, progress, builder);
                self.block_pod(workload, &slot.name, host, &plan, builder);
                plans.push(plan);
            }
        }
        if nowhere && plans.is_empty() && workload.update.max_unavailable.of(replicas) == 0 {
            progress.unaided.insert(&workload.name);
            builder.report(
                Diagnostic::warning(
                    Code(1302),
                    format!("no host has room for one more pod of `{}`", workload.name),
                )
                .label(workload.span, "each pod stops before its successor starts")
                .help(
                    "A fixed host port, or the room on the hosts, leaves no place for a stand-in. \
                     One more host, or a port for each pod, would.",
                ),
            );
        }
        plans
    }

    /// Makes a workload wait for what it depends on. What is not there yet waits for everything;
    /// where the other cannot be seen or placed, it is held back.
    fn depend<'p>(
        &self,
        workload: &Workload,
        on: &[(&str, Until)],
        pods: impl Iterator<Item = &'p PodPlan> + Clone,
        progress: &Progress<'a>,
        builder: &mut Builder,
    ) {
        if pods.clone().all(|plan| plan.gated.is_empty()) {
            return;
        }
        let mut all = Vec::new();
        for (name, until) in on {
            let Some(others) = progress.plans.get(name) else { continue };
            all.extend(gates(*until, others, builder));
            if others.iter().any(|other| other.absent) {
                let reason = BlockReason::Dependency { on: (*name).to_owned() };
                for plan in pods.clone().filter(|plan| plan.fresh) {
                    let blocked = Blocked::from_workload(workload, reason.clone());
                    builder.block(&plan.gated, blocked);
                }
            }
        }
        for plan in pods {
            builder.gate(&plan.gated, &all);
        }
    }

    /// The workloads that are planned, those that others wait for first.
    fn wanted(&self, needs: &Needs<'a>) -> Vec<&'a Workload> {
        if self.options.destroy {
            return Vec::new();
        }
        let all: Vec<&Workload> = self.graph.workloads().collect();
        let by_name: BTreeMap<&str, &Workload> =
            all.iter().map(|workload| (workload.name.as_str(), *workload)).collect();
        let mut ordered = Vec::new();
        let mut seen = BTreeSet::new();
        let roots: Vec<&str> = match &self.options.target {
            Some(target) => by_name.keys().copied().filter(|name| *name == target.name).collect(),
            None => all.iter().map(|workload| workload.name.as_str()).collect(),
        };
        // Depth first without recursion; the second visit of a name puts it in order.
        let mut open: Vec<(&str, bool)> = roots.into_iter().rev().map(|n| (n, false)).collect();
        while let Some((name, visited)) = open.pop() {
            if visited {
                ordered.extend(by_name.get(name));
            } else if seen.insert(name) {
                open.push((name, true));
                let on = needs.get(name).into_iter().flatten();
                open.extend(on.rev().map(|(other, _)| (*other, false)));
            }
        }
        ordered
    }

    fn report_quarantined(&self, builder: &mut Builder) {
        for host in &self.hosts.ready {
            for (name, (_, why)) in &host.inventory.others {
                let Some(why) = why else { continue };
                let on = match self.hosts.ready.len() + self.hosts.unreachable.len() {
                    1 => String::new(),
                    _ => format!(" on `{}`", host.name),
                };
                builder.report(
                    Diagnostic::warning(
                        Code(1107),
                        format!(
                            "container `{name}`{on} claims to be of `{}`, but {why}",
                            self.cluster.name
                        ),
                    )
                    .help("It is left alone. Remove it by hand if nothing needs it."),
                );
            }
        }
    }

    fn empty_spec(&self) -> Diagnostic {
        let pods: BTreeSet<&str> =
            self.hosts.ready.iter().flat_map(|host| host.inventory.pods.keys().copied()).collect();
        Diagnostic::error(
            Code(1105),
            format!("this spec has no pods, and `{}` runs {}", self.cluster.name, pods.len()),
        )
        .label(self.cluster.span, "all of them would be removed")
        .help(
            "A spec that lost its text must not take a cluster down. If you mean it, say \
             `tally destroy`.",
        )
    }
}

/// Whether a pod of a workload with host ports is about to start on a host.
fn takes_port_on(workload: &Workload, host: usize, progress: &Progress<'_>) -> bool {
    let mut starting = progress.planned.iter().filter(|it| it.host == host && it.start.is_some());
    progress.asks_ports && starting.any(|it| it.workload.name == workload.name)
}

/// How many of a workload's pods there are.
fn counted(own: &[PodPlan]) -> Pods {
    let number = |of: fn(&PodPlan) -> bool| own.iter().filter(|pod| of(pod)).count();
    Pods {
        desired: own.len(),
        placed: number(|pod| !pod.absent && (!pod.fresh || pod.ready_now)),
        ready: number(|pod| pod.ready_now),
    }
}
