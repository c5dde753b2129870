//! Plans one pod: turns the verdicts about its containers into operations.

pub(crate) mod context;
mod keep;
mod needs;
mod replace;
mod undo;
pub(crate) mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use tally_source::{Diagnostic, engine_codes};

use crate::desired::realise::{DesiredContainer, DesiredPod, INIT_DEADLINE_MS};
use crate::diff::Difference;
use crate::input::observed::ContainerState;
use crate::inventory::containers::Found;
use crate::labels::{self, Role};
use crate::plan::builder::{About, Builder, owned};
use crate::plan::pod_plan::{PodPlan, Unended};
use crate::plan::request::{FilesPart, FilesRequest};
use crate::plan::subject::Subject;
use crate::plan::{Action, Cause, ChangeKind, OpId, Precondition, Target};
use crate::planner::images::Choices;
use crate::planner::objects::Objects;
use crate::planner::pod::context::PodContext;
use crate::planner::pod::verdict::{ContainerVerdict, find, infra_of, verdicts};

/// Plans one pod on one host.
pub(crate) fn plan_pod(
    pod: &DesiredPod<'_>,
    context: &PodContext<'_>,
    objects: &mut Objects<'_>,
    choices: &mut Choices,
    builder: &mut Builder,
) -> PodPlan {
    if let Some(clash) = name_clash(pod, context) {
        builder.report(clash);
        return PodPlan::default();
    }
    let verdicts = verdicts(pod, context);
    if let Some(stuck) = verdicts.iter().find_map(stuck_container) {
        builder.report(stuck_report(pod, stuck));
        return wait_for_stuck(pod, stuck, context, builder);
    }
    let infra = infra_of(pod, context);
    let ready_now =
        pod.containers.iter().filter(|desired| desired.role == Role::Container).all(|desired| {
            find(pod, desired, context)
                .is_some_and(|found| found.serves(&desired.ready, infra, context.now_ms))
        });
    let fresh = !context.inventory.pods.contains_key(pod.name.as_str());
    let plan = PodPlan { ready_now, fresh, ..PodPlan::default() };
    let mut planner = PodPlanner {
        pod,
        context,
        objects,
        choices,
        builder,
        plan,
        infra: None,
        init_waits: Vec::new(),
        images: BTreeMap::new(),
    };
    planner.run(&verdicts);
    planner.plan
}

/// Returns the container of a verdict that Docker is still removing.
fn stuck_container<'a>(verdict: &ContainerVerdict<'a>) -> Option<&'a Found<'a>> {
    match verdict {
        ContainerVerdict::Stuck(found) => Some(found),
        _ => None,
    }
}

/// Plans a wait for a stuck container. Operations that depend on this pod, mainly those on the other pods of a
/// rollout, wait for it and are skipped when the container disappears.
fn wait_for_stuck(
    pod: &DesiredPod<'_>,
    stuck: &Found<'_>,
    context: &PodContext<'_>,
    builder: &mut Builder,
) -> PodPlan {
    let about = About {
        cause: Cause::Needed,
        ..removal_subject(stuck, context.host, Some(pod.workload.span))
    };
    let rule = pod.containers.iter().find(|desired| desired.name == stuck.identity.name);
    let Some(rule) = rule.map(|desired| desired.ready.clone()) else {
        return PodPlan::default();
    };
    let target = Target::Id(stuck.container.id.clone());
    let action = Action::AwaitReady { target, rule };
    let precondition = owned(context.cluster, stuck.container);
    let wait = builder.op(&about, action, precondition, &[]);
    PodPlan { ready: vec![wait], ..PodPlan::default() }
}

/// Returns the warning about a container that Docker is still removing.
fn stuck_report(pod: &DesiredPod<'_>, found: &Found<'_>) -> Diagnostic {
    Diagnostic::warning(
        engine_codes::STILL_REMOVING,
        format!("pod `{}` waits: Docker is removing `{}`", pod.name, found.container.name),
    )
    .label(pod.workload.span, "left alone this time")
    .help("Plan again in a moment. If it stays so, restart the Docker engine of that host.")
}

/// Returns the error about a container that is not managed by Tally and has a name that this pod needs.
fn name_clash(pod: &DesiredPod<'_>, context: &PodContext<'_>) -> Option<Diagnostic> {
    if context.inventory.others.is_empty() {
        return None;
    }
    pod.containers.iter().find_map(|desired| {
        let name = pod.docker_name(context.cluster, desired);
        let (container, why) = context.inventory.others.get(name.as_str())?;
        let headline = format!("a container `{name}` on host `{}` is not Tally's", context.host);
        let short = container.id.get(..12).unwrap_or(&container.id);
        let claim = match why {
            Some(why) => format!("It carries Tally's labels, but {why}. "),
            None => String::new(),
        };
        let help = format!(
            "{claim}Tally touches only what it made itself. Rename it (`docker rename {short} \
             NEW-NAME`) or remove it (`docker rm -f {short}`), or give the pod another name."
        );
        let label = "this container has that name in Docker";
        Some(
            Diagnostic::error(engine_codes::NAME_TAKEN, headline)
                .label(desired.span, label)
                .help(help),
        )
    })
}

/// The planner of one pod, with its progress.
struct PodPlanner<'a, 'b, 'o> {
    pod: &'b DesiredPod<'a>,
    context: &'b PodContext<'b>,
    objects: &'b mut Objects<'o>,
    choices: &'b mut Choices,
    builder: &'b mut Builder,
    plan: PodPlan,
    /// The operations that create and start the infra container, if this plan has them.
    infra: Option<(Option<OpId>, OpId)>,
    /// The operation that the next start waits for: the end of the last init container.
    init_waits: Vec<OpId>,
    /// The image of each new container.
    images: BTreeMap<(Role, String), String>,
}

impl<'a> PodPlanner<'a, '_, '_> {
    /// Plans the operations for all verdicts.
    fn run(&mut self, verdicts: &[ContainerVerdict<'_>]) {
        let needs = self.needs(verdicts);
        self.plan.needs.clone_from(&needs);
        let existing = self.context.inventory.pods.get(self.pod.name.as_str());
        let mut replacement = self.begin_replacement(verdicts, existing, &needs);
        let removed = match &replacement {
            Some(_) => Vec::new(),
            None => self.remove_extra(&needs),
        };
        for (place, (desired, verdict)) in self.pod.containers.iter().zip(verdicts).enumerate() {
            match (verdict, &mut replacement) {
                (ContainerVerdict::Create, None) => {
                    let cause = if self.exists() { Cause::Needed } else { Cause::New };
                    let about = self.about(desired, cause);
                    let mut after = needs.clone();
                    after.extend(&removed);
                    let done = self.create(desired, &about, &after);
                    self.report_created(desired, about, done);
                }
                (ContainerVerdict::Create, Some(replacement)) => {
                    let done = self.start_new(replacement, place, desired);
                    let about = self.about(desired, Cause::New);
                    self.report_created(desired, about, done);
                }
                (ContainerVerdict::Replace(_, differs, reason), Some(replacement)) => {
                    self.plan.rolls |= !differs.spec.is_empty();
                    let done = self.start_new(replacement, place, desired);
                    let about = self.about(desired, replace_cause(differs));
                    let fields = differs.all().cloned().collect();
                    let kind = ChangeKind::Replace;
                    self.builder.change(&about, kind, fields, reason.clone(), done);
                    self.note_entry(replacement, place);
                }
                (ContainerVerdict::Keep(found, differs, repair), None) => {
                    self.keep(desired, found, differs, *repair);
                }
                (ContainerVerdict::Keep(found, differs, repair), Some(replacement)) => {
                    let first = self.builder.plan.operations.len();
                    self.keep(desired, found, differs, *repair);
                    self.keep_new(replacement, place, desired, first);
                }
                // A replacement is always part of a `Replacement`.
                (ContainerVerdict::Replace(..), None)
                | (ContainerVerdict::Done | ContainerVerdict::Stuck(_), _) => {}
            }
        }
        if let Some(replacement) = &replacement {
            self.finish_replacement(replacement);
        }
    }

    /// Adds the plan's entry of a new container.
    fn report_created(&mut self, desired: &DesiredContainer<'a>, about: About, done: Vec<OpId>) {
        let about = About { cause: Cause::New, ..about };
        let image = desired.source.map(|source| source.image.to_string());
        self.builder.change(&about, ChangeKind::Create, Vec::new(), image, done);
    }

    /// Checks whether the host has a container of the pod.
    fn exists(&self) -> bool {
        self.context.inventory.pods.contains_key(self.pod.name.as_str())
    }

    /// Returns the subject and cause of operations on a container.
    fn about(&self, desired: &DesiredContainer<'_>, cause: Cause) -> About {
        let (workload, pod) = (self.pod.workload.address().to_string(), self.pod.name.clone());
        let subject = match desired.role {
            Role::Infra => Subject::Infra { workload, pod },
            _ => Subject::Container { workload, pod, container: desired.name.clone() },
        };
        About { host: self.context.host.to_owned(), subject, cause, origin: Some(desired.span) }
    }

    /// Removes containers of this pod that the spec no longer contains.
    fn remove_extra(&mut self, needs: &[OpId]) -> Vec<OpId> {
        let Some(existing) = self.context.inventory.pods.get(self.pod.name.as_str()) else {
            return Vec::new();
        };
        let wanted: BTreeSet<(Role, &str)> =
            self.pod.containers.iter().map(|c| (c.role, c.name.as_str())).collect();
        let extra = existing
            .values()
            .filter(|found| !wanted.contains(&(found.identity.role, found.identity.name)));
        let mut removed = Vec::new();
        // The infra container comes last, because its role sorts behind the others: joiners stop before it.
        for found in extra {
            let about = removal_subject(found, self.context.host, Some(self.pod.workload.span));
            let after = [needs, removed.as_slice()].concat();
            let (stop, remove) =
                remove_container(found, &about, self.context.cluster, None, &after, self.builder);
            self.note_stop(found, stop);
            self.plan.gated.push(remove);
            self.plan.downs.push(remove);
            removed.push(remove);
            let done = stop.into_iter().chain([remove]).collect();
            self.builder.change(&about, ChangeKind::Remove, Vec::new(), None, done);
        }
        removed
    }

    /// Records the operation that stops a container.
    fn note_stop(&mut self, found: &Found<'_>, stop: Option<OpId>) {
        if let Some(stop) = stop {
            self.plan.stops.push((found.container.id.clone(), stop));
            self.plan.gated.push(stop);
            self.plan.downs.push(stop);
            self.plan.disruptive = true;
        }
    }

    /// Plans to create a container, write its files, start it, and wait until it is ready or has ended.
    fn create(
        &mut self,
        desired: &DesiredContainer<'a>,
        about: &About,
        after: &[OpId],
    ) -> Vec<OpId> {
        let mut after = after.to_vec();
        after.extend(self.infra.and_then(|(create, _)| create));
        let create = self.create_container(desired, about, 1, &after);
        let (start, rest) = self.bring_up(desired, about, Target::Created(create), &[create]);
        self.plan.gated.extend([create, start]);
        self.plan.ups.extend([create, start]);
        if let (Role::Infra, Some((made, _))) = (desired.role, &mut self.infra) {
            *made = Some(create);
        }
        [vec![create], rest].concat()
    }

    /// Plans the call that creates a container.
    fn create_container(
        &mut self,
        desired: &DesiredContainer<'a>,
        about: &About,
        generation: u64,
        after: &[OpId],
    ) -> OpId {
        let mut request = self.pod.request(self.context.cluster, desired);
        // The label keeps the image name of the spec. Docker gets the name of the chosen image.
        if let Some(image) = self.images.get(&(desired.role, desired.name.clone())) {
            request.image.clone_from(image);
        }
        request.labels.insert(labels::GENERATION.to_owned(), generation.to_string());
        let volumes = self.volumes(desired).into_iter();
        request.volumes = volumes.map(|volume| volume.request(self.context.cluster)).collect();
        let create = Action::CreateContainer(Box::new(request));
        self.builder.op(about, create, Precondition::None, after)
    }

    /// Plans to write the files of a new container, to start it, and to wait for it. Returns the start, and all these
    /// operations.
    fn bring_up(
        &mut self,
        desired: &DesiredContainer<'a>,
        about: &About,
        target: Target,
        after: &[OpId],
    ) -> (OpId, Vec<OpId>) {
        let mut done = Vec::new();
        if let Some(files) = desired.files() {
            let files = FilesRequest { files: files.clone(), part: FilesPart::All };
            let action = Action::WriteFiles { target: target.clone(), files };
            done.push(self.builder.op(about, action, Precondition::None, after));
        }
        let into = (target.clone(), Precondition::None);
        done.extend(self.write_secrets(desired, about, into, FilesPart::All, after));
        let mut after = [after, &done].concat();
        after.extend(self.infra.map(|(_, start)| start));
        after.extend(&self.init_waits);
        let action = Action::Start { target: target.clone() };
        let start = self.builder.op(about, action, Precondition::None, &after);
        done.push(start);
        if desired.role == Role::Infra {
            self.infra = Some((None, start));
        }
        done.extend(self.wait_after_start(desired, about, target, Precondition::None, start));
        (start, done)
    }

    /// Writes a container's files with secrets into memory, if it has any. The infra container must already
    /// run.
    fn write_secrets(
        &mut self,
        desired: &DesiredContainer<'a>,
        about: &About,
        (target, precondition): (Target, Precondition),
        part: FilesPart,
        after: &[OpId],
    ) -> Option<OpId> {
        let files = desired.keyed_files.as_ref()?.iter().filter(|(_, file)| file.is_secret());
        let files = files.map(|(path, file)| (path.clone(), file.clone())).collect();
        let action = Action::WriteSecrets { target, files: FilesRequest { files, part } };
        let mut after = after.to_vec();
        after.extend(self.infra.map(|(_, start)| start));
        Some(self.builder.op(about, action, precondition, &after))
    }

    /// Adds the wait that follows a start: an init container must end, another container must become ready.
    fn wait_after_start(
        &mut self,
        desired: &DesiredContainer<'a>,
        about: &About,
        target: Target,
        precondition: Precondition,
        start: OpId,
    ) -> Option<OpId> {
        self.plan.started.push(start);
        let joined = self.pod.containers.first().is_some_and(|first| first.role == Role::Infra);
        if desired.role == Role::Infra || !joined {
            self.plan.holder_start = Some(start);
        }
        match desired.role {
            Role::Infra => None,
            Role::Init => {
                let action = Action::AwaitExit { target, deadline_ms: INIT_DEADLINE_MS };
                let wait = self.builder.op(about, action, precondition, &[start]);
                self.init_waits = vec![wait];
                Some(wait)
            }
            _ => {
                self.plan.unended.push(Unended {
                    about: About { cause: Cause::Needed, ..about.clone() },
                    target: target.clone(),
                    precondition: precondition.clone(),
                    start: Some(start),
                    deadline_ms: INIT_DEADLINE_MS,
                });
                let action = Action::AwaitReady { target, rule: desired.ready.clone() };
                let wait = self.builder.op(about, action, precondition, &[start]);
                self.plan.ready.push(wait);
                Some(wait)
            }
        }
    }
}

/// Returns the cause of a replacement.
fn replace_cause(differs: &Difference) -> Cause {
    match (differs.spec.is_empty(), differs.drift.is_empty()) {
        (false, _) => Cause::SpecChanged,
        (true, false) => Cause::Drift,
        (true, true) => Cause::Needed,
    }
}

/// Returns the subject and cause of operations on a container that the spec no longer contains.
pub(crate) fn removal_subject(
    found: &Found<'_>,
    host: &str,
    origin: Option<tally_source::Span>,
) -> About {
    let identity = &found.identity;
    let (workload, pod) = (identity.workload.to_owned(), identity.pod.to_owned());
    let subject = match identity.role {
        Role::Infra => Subject::Infra { workload, pod },
        _ => Subject::Container { workload, pod, container: identity.name.to_owned() },
    };
    About { host: host.to_owned(), subject, cause: Cause::Gone, origin }
}

/// Plans to stop a container if it runs, and to remove it. Returns both operations.
pub(crate) fn remove_container(
    found: &Found<'_>,
    about: &About,
    cluster: &str,
    grace_s: Option<u64>,
    after: &[OpId],
    builder: &mut Builder,
) -> (Option<OpId>, OpId) {
    let precondition = owned(cluster, found.container);
    let target = Target::Id(found.container.id.clone());
    let mut after = after.to_vec();
    let mut stop = None;
    if found.container.state == ContainerState::Paused {
        // A paused process cannot handle its stop signal.
        let action = Action::Unpause { target: target.clone() };
        after.push(builder.op(about, action, precondition.clone(), &after));
    }
    let runs = matches!(
        found.container.state,
        ContainerState::Running | ContainerState::Restarting | ContainerState::Paused
    );
    if runs {
        let action = Action::Stop { target: target.clone(), grace_s };
        let id = builder.op(about, action, precondition.clone(), &after);
        after = vec![id];
        stop = Some(id);
    }
    let remove = builder.op(about, Action::RemoveContainer { target }, precondition, &after);
    (stop, remove)
}
