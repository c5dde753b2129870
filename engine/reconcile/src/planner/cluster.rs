//! Plans the whole cluster, workload by workload, in dependency order.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::{Replicas, Until, Workload};
use tally_source::{Diagnostic, engine_codes};

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
use crate::planner::context::{PlannedPod, PlannedPods, Planner, PlanningProgress};
use crate::planner::images::ImageChooser;
use crate::planner::objects::Objects;
use crate::planner::pod::context::PodContext;
use crate::planner::pod::plan_pod;
use crate::planner::removals::RemovalContext;
use crate::planner::unsupported::unsupported;
use crate::rollback::report::{report_fallback, report_rolled_back};
use crate::rollout::{gates, stagger};

impl<'a> Planner<'a> {
    /// Plans all operations of the cluster.
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
        let mut progress = PlanningProgress {
            existing: PlannedPods::new(self.hosts),
            ..PlanningProgress::default()
        };
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
        let removed = self.remove_surplus(&mut progress, builder);
        self.ports(&progress, builder);
        self.remove_objects(&removed, &progress, builder);
        self.host_access(&progress, builder);
        // A freeze first: operations that depend on frozen ones stay blocked until the freeze ends.
        self.block_all(builder);
        self.block_under_way(builder);
        self.block_waits(builder);
    }

    /// Plans all pods of a workload, and the operations that they wait for.
    fn workload(
        &self,
        workload: &'a Workload,
        on: &[(&str, Until)],
        assignment: &mut Assignment<'a>,
        objects: &mut [Objects<'_>],
        progress: &mut PlanningProgress<'a>,
        builder: &mut Builder,
    ) {
        let slots = assignment.slots.remove(workload.name.as_str()).unwrap_or_default();
        progress.pattern = self.patterns.number(&workload.name);
        progress.asks_ports = workload_ports(workload).next().is_some();
        progress.pod_hosts =
            slots.iter().filter_map(|slot| slot.assigned.as_ref().ok().copied()).collect();
        let own: Vec<PodPlan> = slots
            .iter()
            .map(|slot| self.slot(workload, slot, objects, progress, builder))
            .collect();
        let disrupted = own.iter().any(|pod| pod.ready_now && pod.disruptive);
        let surge = if disrupted {
            self.surge(workload, own.len(), assignment, objects, progress, builder)
        } else {
            Vec::new()
        };
        let waits: Vec<OpId> = own.iter().flat_map(|pod| pod.ready.iter().copied()).collect();
        let address = workload.address().to_string();
        builder.plan.pods.insert(address.clone(), count_pods(&own));
        progress.after.insert(address, waits);
        report_fallback((self.graph, self.hosts, self.memory), workload, &own, builder);
        stagger(workload, &own, &surge, builder);
        self.depend(workload, on, own.iter().chain(&surge), progress, builder);
        self.block_paused(workload, &own, &surge, builder);
        // Later steps need the plans only for dependencies and for rebalancing.
        if self.options.rebalance || self.awaited.contains(workload.name.as_str()) {
            progress.plans.insert(&workload.name, own);
        }
    }

    /// Plans one pod on its current or its new host.
    fn slot(
        &self,
        workload: &'a Workload,
        slot: &Slot<'a>,
        objects: &mut [Objects<'_>],
        progress: &mut PlanningProgress<'a>,
        builder: &mut Builder,
    ) -> PodPlan {
        match &slot.assigned {
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
                // Existing containers of a blocked pod stay unchanged.
                for host in &slot.elsewhere {
                    if let Some(found) = self.found(*host, &slot.name) {
                        progress.existing.insert(*host, found);
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

    /// Plans a pod on a ready host.
    fn pod(
        &self,
        workload: &'a Workload,
        name: &str,
        (host, found): (usize, Option<&'a Containers<'a>>),
        objects: &mut [Objects<'_>],
        progress: &mut PlanningProgress<'a>,
        builder: &mut Builder,
    ) -> Option<PodPlan> {
        let ready = self.hosts.ready.get(host)?;
        let context = PodContext {
            graph: self.graph,
            cluster: &self.cluster.name,
            host: ready.name,
            inventory: &ready.inventory,
            failing: &self.memory.in_flight.failing,
            restarts: if self.memory.declared.restarts.is_empty() {
                None
            } else {
                self.memory.declared.restarts.get(&workload.address().to_string())
            },
            now_ms: ready.state.its_now_ms(self.options.now_ms),
            image_chooser: ImageChooser {
                graph: self.graph,
                hosts: self.hosts,
                around: &self.around,
                pod_hosts: &progress.pod_hosts,
            },
        };
        let found = found.or_else(|| ready.inventory.pods.get(name));
        debug_assert_eq!(found.map(Containers::len), self.found(host, name).map(Containers::len));
        let is_up_to_date = found.is_some_and(|found| {
            let FastPath { workload, is_up_to_date, .. } = found.fast_path;
            is_up_to_date && workload.is_some() && workload == progress.pattern
        });
        let plan = if is_up_to_date {
            PodPlan { ready_now: true, ..PodPlan::default() }
        } else {
            builder.plan.compared += 1;
            let pod = realise(workload, name.to_owned(), &self.around);
            plan_pod(&pod, &context, objects.get_mut(host)?, &mut progress.choices, builder)
        };
        let stops = plan.stops.iter().map(|(id, stop)| ((host, id.clone()), *stop));
        progress.stops.extend(stops);
        if let Some(found) = found {
            progress.existing.insert(host, found);
        }
        // Later steps need no pod that is up to date, has no host port, and runs on a host without
        // volumes.
        if !is_up_to_date || progress.asks_ports || !ready.state.volumes.is_empty() {
            let (name, start) = (name.to_owned(), plan.holder_start);
            progress.planned.push(PlannedPod { workload, name, host, start });
        }
        Some(plan)
    }

    /// Returns the containers of a pod on a ready host.
    fn found(&self, host: usize, pod: &str) -> Option<&'a Containers<'a>> {
        self.hosts.ready.get(host)?.inventory.pods.get(pod)
    }

    /// Removes a pod from its old hosts, and removes duplicates. The pod's needs on the new host are provided
    /// before it stops on the old one.
    fn leave(
        &self,
        workload: &Workload,
        slot: &Slot,
        keeper: usize,
        plan: &mut PodPlan,
        progress: &mut PlanningProgress<'a>,
        builder: &mut Builder,
    ) {
        let is_second = !plan.fresh;
        let to = self.hosts.ready.get(keeper).map_or("", |host| host.name);
        for host in &slot.elsewhere {
            let from = self.hosts.ready.get(*host);
            let Some(found) = self.found(*host, &slot.name) else { continue };
            progress.existing.insert(*host, found);
            let note = if is_second {
                format!("also runs on {to}, which keeps it")
            } else {
                format!("moves to {to}")
            };
            let now_ms = from.map_or(0, |from| from.state.its_now_ms(self.options.now_ms));
            let was_ready = self.is_ready(workload, &slot.name, found, now_ms);
            let why = RemovalContext { cause: Cause::Needed, note: Some(note), after: Vec::new() };
            let downs = self.take_down(*host, found, &why, progress, builder);
            if is_second && named_volumes(self.graph, workload).is_empty() {
                // A duplicate serves until the copy that stays is ready. If that copy already serves, the
                // duplicate is removed at once: later changes follow the usual rollout rules, and may
                // need a host port or volume that the duplicate holds.
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

    /// Checks whether all main containers of an existing pod serve.
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

    /// Returns the maximum number of surge pods of a workload. Workloads with named volumes have none, because
    /// two pods must not use the same data.
    pub fn max_surge(&self, workload: &Workload, replicas: u32) -> u32 {
        match workload.replicas {
            Replicas::Count(_) if named_volumes(self.graph, workload).is_empty() => {
                workload.update.surge(replicas)
            }
            _ => 0,
        }
    }

    /// Plans the surge pods of a workload, which serve while other pods are replaced.
    fn surge(
        &self,
        workload: &'a Workload,
        count: usize,
        assignment: &mut Assignment<'a>,
        objects: &mut [Objects<'_>],
        progress: &mut PlanningProgress<'a>,
        builder: &mut Builder,
    ) -> Vec<PodPlan> {
        let replicas = u32::try_from(count).unwrap_or(u32::MAX);
        let surge = self.max_surge(workload, replicas);
        let paused = self.memory.declared.paused.contains_key(&workload.address().to_string());
        if surge == 0 || paused {
            return Vec::new();
        }
        let hosts = assignment.surge(&workload.name, surge as usize);
        let nowhere = hosts.iter().all(Option::is_none);
        let mut plans = Vec::new();
        for (extra, assigned) in (replicas..).zip(hosts) {
            let name = workload.pod_name(extra);
            // An existing surge pod stays on its host. Of two copies the healthier one stays, since a create
            // that was delayed must not be started beside its replacement.
            let hosts = self.hosts.ready.iter().enumerate();
            let there = hosts
                .filter(|(_, host)| host.inventory.pods.contains_key(name.as_str()))
                .max_by_key(|(number, host)| (health(host, &name), std::cmp::Reverse(*number)))
                .map(|(number, _)| number);
            // A surge pod that may run on an unreachable host is not created a second time.
            if there.is_none() && self.hosts.may_have(&name).is_some() {
                plans.push(PodPlan { absent: true, ..PodPlan::default() });
                continue;
            }
            // A surge pod cannot stay where a pod of the workload is about to take its host port.
            let leaves = there.filter(|host| takes_port_on(workload, *host, progress));
            let stays = there.filter(|_| leaves.is_none());
            if let Some(host) = stays.or(assigned).filter(|host| leaves != Some(*host))
                && let Some(mut plan) =
                    self.pod(workload, &name, (host, None), objects, progress, builder)
            {
                let elsewhere = leaves.into_iter().collect();
                let slot = Slot { name, assigned: Ok(host), elsewhere, found: None };
                self.leave(workload, &slot, host, &mut plan, progress, builder);
                self.block_pod(workload, &slot.name, host, &plan, builder);
                plans.push(plan);
            }
        }
        if nowhere && plans.is_empty() && workload.update.max_unavailable.of(replicas) == 0 {
            progress.no_surge_room.insert(&workload.name);
            builder.report(
                Diagnostic::warning(
                    engine_codes::NO_SURGE_CAPACITY,
                    format!("no host has room for one more pod of `{}`", workload.name),
                )
                .label(workload.span, "each pod stops before its successor starts")
                .help(
                    "A fixed host port, or the room on the hosts, leaves no place for a surge pod. \
                     One more host, or a port for each pod, would.",
                ),
            );
        }
        plans
    }

    /// Makes a workload's operations wait for its dependencies. Missing pods are blocked while a dependency
    /// is unreachable or cannot be placed.
    fn depend<'p>(
        &self,
        workload: &Workload,
        on: &[(&str, Until)],
        pods: impl Iterator<Item = &'p PodPlan> + Clone,
        progress: &PlanningProgress<'a>,
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

    /// Returns the workloads to plan, dependencies first.
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
        // A depth-first search without recursion. The second visit of a name appends it to the order.
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

    /// Reports containers with Tally's labels that do not belong to the cluster.
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
                        engine_codes::INCONSISTENT_LABELS,
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

    /// Returns the error about a spec without pods.
    fn empty_spec(&self) -> Diagnostic {
        let pods: BTreeSet<&str> =
            self.hosts.ready.iter().flat_map(|host| host.inventory.pods.keys().copied()).collect();
        Diagnostic::error(
            engine_codes::EMPTY_SPEC,
            format!("this spec has no pods, and `{}` runs {}", self.cluster.name, pods.len()),
        )
        .label(self.cluster.span, "all of them would be removed")
        .help(
            "A spec that lost its text must not take a cluster down. If you mean it, say \
             `tally destroy`.",
        )
    }
}

/// Checks whether a pod of a workload with host ports is about to start on a host.
fn takes_port_on(workload: &Workload, host: usize, progress: &PlanningProgress<'_>) -> bool {
    let mut starting = progress.planned.iter().filter(|it| it.host == host && it.start.is_some());
    progress.asks_ports && starting.any(|it| it.workload.name == workload.name)
}

/// Counts a workload's pods.
fn count_pods(own: &[PodPlan]) -> Pods {
    let number = |of: fn(&PodPlan) -> bool| own.iter().filter(|pod| of(pod)).count();
    Pods {
        desired: own.len(),
        placed: number(|pod| !pod.absent && (!pod.fresh || pod.ready_now)),
        ready: number(|pod| pod.ready_now),
    }
}
