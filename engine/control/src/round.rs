//! One plan: made from the latest views, begun, and taken in when it has been carried out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tally_host::{Event, ExecuteOptions, Fetched, Host, Outcome, Progress, execute};
use tally_reconcile::desired::realise::{RUNNING_MS, patience};
use tally_reconcile::plan::reason::{Awaits, Blocked};
use tally_reconcile::plan::{Cause, Change, ChangeKind, OpId, Plan, Target};
use tally_reconcile::{Prepared, reconcile, reconcile_prepared};
use tally_source::Severity;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::backoff;
use crate::controller::{Controller, Ended, EndedOps, Ran};
use crate::journal::{Entry, EntryKind};
use crate::reported::Reported;

/// The first and the longest pause between two looks at what is waited for, in milliseconds.
const WAIT_PAUSES_MS: (u64, u64) = (150, 2_000);

impl Controller {
    /// Makes a plan and begins it.
    pub(crate) fn round(&mut self) {
        if !self.may_act() {
            return self.look_on();
        }
        self.dirty = false;
        let (begun, now_ms) = (Instant::now(), self.now_ms());
        self.memory.in_flight.busy = self.busy.pods();
        if self.memory.learn(&self.cluster, &self.observed, now_ms) {
            // Whoever follows this engine shall know as much as it does of hosts it cannot see.
            self.remember();
        }
        self.declared_moved();
        self.watch_rollouts();
        self.prepare();
        let plan = self.plan();
        self.report(&plan);
        self.schedule(&plan, now_ms);
        self.last = Some(match plan.blocked.is_empty() && !plan.has_errors() {
            true => Ended::Tallies,
            false => Ended::Differs,
        });
        self.count(&plan, begun.elapsed(), now_ms);
        self.note_settled(&plan);
        self.at_rest = self.is_at_rest(&plan);
        if plan.is_empty() {
            let done = self.busy.is_empty() && self.last == Some(Ended::Tallies);
            if done && self.reported.insert(Reported::Tallies) {
                self.tell(EntryKind::Tallies, "", format!("{} tallies", self.cluster));
            }
            // Once what is wrong is over that is told, also where nothing had to be done for it.
            if plan.has_errors() {
                self.reported.remove(&Reported::Tallies);
            }
            if !done
                && plan.blocked.iter().any(|it| it.reason.is_passing())
                && !self.has_waited(&plan)
            {
                self.last = None;
            }
            return;
        }
        // What ends again and again is put right again and again, and that is no progress.
        if plan.changes.iter().any(|change| change.cause != Cause::Drift) {
            self.only_waits_since_ms = None;
        }
        self.reported.remove(&Reported::Tallies);
        self.last = None;
        self.memory.intend(&plan);
        self.remember();
        self.declared_moved();
        self.begin_shared(plan);
    }

    /// Whether a loop that is to end has waited for as long as a pod may take to get ready. What it waited for
    /// is told then.
    fn has_waited(&mut self, plan: &Plan) -> bool {
        if !self.options.once {
            return false;
        }
        let clock_ms = self.clock_ms();
        let since_ms = *self.only_waits_since_ms.get_or_insert(clock_ms);
        let patience = patience(&self.graph);
        let waited = Duration::from_millis(clock_ms.saturating_sub(since_ms));
        let is_over = waited >= patience;
        if is_over {
            plan.blocked
                .iter()
                .filter(|it| it.reason.is_passing())
                .for_each(|it| self.report_blocked(it));
            let what = format!("what is waited for did not come about within {patience:?}");
            self.tell(EntryKind::Failed, "", what);
        }
        is_over
    }

    /// Prepares plans of what is followed now.
    pub(crate) fn prepare(&mut self) {
        if self.prepared_now().is_none() {
            let secrets = self.secrets.hashes();
            let prepared = Prepared::of(&self.graph, secrets);
            self.prepared = Some((Arc::clone(&self.graph), secrets.clone(), prepared));
        }
    }

    /// What was prepared, if it is of what is followed now.
    pub(crate) fn prepared_now(&self) -> Option<&Prepared> {
        let (graph, secrets, prepared) = self.prepared.as_ref()?;
        let is_current = Arc::ptr_eq(graph, &self.graph) && secrets == self.secrets.hashes();
        is_current.then_some(prepared)
    }

    /// The plan of what was seen last.
    pub(crate) fn plan(&self) -> Plan {
        let options = tally_reconcile::Options {
            now_ms: self.now_ms(),
            without_waits: true,
            guard_removals: true,
            secrets: self.secrets.hashes().clone(),
            ..tally_reconcile::Options::default()
        };
        match self.prepared_now() {
            Some(prepared) => {
                reconcile_prepared(&self.graph, &self.observed, &self.memory, &options, prepared)
            }
            None => reconcile(&self.graph, &self.observed, &self.memory, &options),
        }
    }

    /// Counts a plan that was made.
    fn count(&self, plan: &Plan, took: Duration, now_ms: i64) {
        let tallies = plan.is_empty() && self.busy.is_empty() && self.last == Some(Ended::Tallies);
        let lost_after = self.lost_after();
        self.board.change(|metrics| {
            metrics.planned(plan, tallies, took);
            metrics.remembered(&self.memory, &self.observed, lost_after, now_ms);
        });
    }

    /// When to look or plan again although nothing happens: soon for what is waited for, later the
    /// longer it takes, and when a pause is over.
    fn schedule(&mut self, plan: &Plan, now_ms: i64) {
        let clock_ms = self.clock_ms();
        let mut waits: BTreeSet<&str> = plan
            .blocked
            .iter()
            .filter(|it| it.reason.awaits() == Awaits::Readiness)
            .map(|it| it.host.as_deref().unwrap_or_default())
            .collect();
        if self.awaits_rollouts(plan) {
            waits.insert("");
        }
        if waits.is_empty() {
            self.waiting_since_ms = None;
        } else {
            let since = *self.waiting_since_ms.get_or_insert(clock_ms);
            let (least, most) = WAIT_PAUSES_MS;
            let pause = (clock_ms.saturating_sub(since) / 4).clamp(least, most);
            for host in
                self.hosts.keys().filter(|host| waits.contains(host.as_str()) || waits.contains(""))
            {
                self.lookout.within(host, clock_ms + pause);
            }
        }
        let lost = self.graph.cluster().and_then(|cluster| cluster.lost_after);
        let silent =
            self.memory.learned.hosts.values().filter_map(|host| host.unreachable_since_ms);
        let lost = lost.into_iter().flat_map(|after| {
            let after = i64::try_from(after.0).unwrap_or(i64::MAX);
            silent.clone().map(move |since| since.saturating_add(after))
        });
        let next =
            lost.chain(backoff::next_ms(&self.memory, now_ms)).filter(|at| *at > now_ms).min();
        let next = next.map(|at| clock_ms + u64::try_from(at - now_ms).unwrap_or(0));
        self.plan_at_ms = next.into_iter().chain(self.counts_again(plan, clock_ms)).min();
    }

    /// When to count again who is ready, while pods are there that are not: who has run for long enough
    /// is, and no event tells so. Soon after their number changed, later the longer it stays.
    fn counts_again(&mut self, plan: &Plan, clock_ms: u64) -> Option<u64> {
        let (since, pods) = self.counted.get_or_insert_with(|| (clock_ms, plan.pods.clone()));
        if *pods != plan.pods {
            (*since, *pods) = (clock_ms, plan.pods.clone());
        }
        let pause = (clock_ms.saturating_sub(*since) / 4).max(RUNNING_MS);
        plan.pods.values().any(|pods| pods.ready < pods.placed).then_some(clock_ms + pause)
    }

    /// Tells what a plan holds back or cannot do, once for each reason.
    fn report(&mut self, plan: &Plan) {
        let mut now: BTreeSet<Reported> = BTreeSet::new();
        for found in &plan.diagnostics {
            let key = Reported::Finding(found.code, found.headline.clone());
            if found.severity == Severity::Error && !self.reported.contains(&key) {
                let what = format!("{} {}", found.code, found.headline);
                self.tell(EntryKind::Failed, "", what);
            }
            now.insert(key);
        }
        for it in plan.blocked.iter().filter(|it| !it.reason.is_passing()) {
            let key = Reported::Blocked(it.subject.clone(), it.reason.clone());
            if !self.reported.contains(&key) {
                self.report_blocked(it);
            }
            now.insert(key);
        }
        if self.reported.contains(&Reported::Tallies) {
            now.insert(Reported::Tallies);
        }
        self.reported = now;
    }

    fn report_blocked(&self, blocked: &Blocked) {
        let at_ms = (self.options.now_ms)();
        self.journal.entry(&Entry {
            host: blocked.host.clone().unwrap_or_default(),
            workload: blocked.subject.address().into_owned(),
            pod: blocked.subject.pod().unwrap_or_default().to_owned(),
            place: blocked.origin.map(|span| self.graph.sources.line_place(span)),
            ..Entry::new(at_ms, EntryKind::Blocked, blocked.reason.to_string())
        });
    }

    /// Begins to carry a plan out.
    pub(crate) fn begin(&mut self, plan: Plan) {
        // Until what was made has been seen, which then says itself which images are meant.
        if self.running.is_empty() && self.busy.is_empty() {
            self.fetched = Fetched::default();
        }
        let plan = Arc::new(plan);
        for operation in &plan.operations {
            self.busy.begin(&operation.claims());
        }
        let doors: BTreeMap<String, Arc<dyn Host>> = self
            .hosts
            .iter()
            .filter_map(|(name, kept)| Some((name.clone(), Arc::clone(kept.door.as_ref()?))))
            .collect();
        let heard = Heard {
            plan: Arc::clone(&plan),
            ended: Arc::clone(&self.ended),
            notify: Arc::clone(&self.notify),
        };
        let (graph, cancel) = (Arc::clone(&self.graph), self.cancel.subscribe());
        let options = ExecuteOptions {
            calls_per_host: self.options.calls_per_host,
            secrets: self.secrets.clone(),
            fetched: self.fetched.clone(),
            permit: self.permit(),
            ..ExecuteOptions::default()
        };
        self.running.push(Box::pin(async move {
            let report = execute(&plan, &graph, &doors, &heard, cancel, &options).await;
            Ran { plan, report }
        }));
    }

    /// Takes in what came of a plan.
    pub(crate) fn ran(&mut self, ran: &Ran) {
        let (plan, report) = (&ran.plan, &ran.report);
        self.board.change(|metrics| metrics.ran(plan, report));
        let now_ms = self.now_ms();
        for operation in &plan.operations {
            if let Some(Target::Id(id)) = operation.action.target() {
                self.memory.in_flight.failing.remove(id);
            }
        }
        // What was not begun has not been told as ended.
        for operation in &plan.operations {
            if matches!(report.outcome(operation.id), Some(Outcome::NotStarted) | None) {
                let last = self.lookout.last(&operation.host);
                self.busy.end(&operation.claims(), &operation.host, last);
            }
        }
        let mut failed: BTreeSet<(&str, Option<&str>)> = BTreeSet::new();
        for (id, failure) in report.failures() {
            let Some(operation) = plan.operation(id) else { continue };
            let mut what = failure.kind.to_string();
            if let Some(line) = failure.last_lines.last() {
                what.push_str(&format!(" (last line: {line})"));
            }
            let cause = operation.cause;
            self.entry(EntryKind::Failed, plan, id, what, cause);
            failed.insert((&operation.host, operation.subject.pod()));
        }
        for operation in &plan.operations {
            if matches!(report.outcome(operation.id), Some(Outcome::Skipped { .. })) {
                failed.insert((&operation.host, operation.subject.pod()));
            }
        }
        for (host, pod) in failed.into_iter().filter_map(|(host, pod)| Some((host, pod?))) {
            backoff::failed(&mut self.memory, host, pod, now_ms);
        }
        self.judge_report(plan, report);
        for change in &plan.changes {
            let done = |id: &OpId| matches!(report.outcome(*id), Some(Outcome::Done { .. }));
            if change.operations.iter().all(done)
                && let Some(first) = change.operations.first()
            {
                self.entry(EntryKind::Done, plan, *first, words(change), change.cause);
            }
        }
        for host in plan.operations.iter().map(|op| op.host.as_str()).collect::<BTreeSet<_>>() {
            let clock_ms = self.clock_ms();
            self.lookout.event(host, clock_ms);
        }
        self.dirty = true;
    }

    fn entry(&self, kind: EntryKind, plan: &Plan, id: OpId, what: String, cause: Cause) {
        let Some(operation) = plan.operation(id) else { return };
        self.journal.entry(&Entry {
            host: operation.host.clone(),
            workload: operation.subject.address().into_owned(),
            pod: operation.subject.pod().unwrap_or_default().to_owned(),
            cause: Some(cause),
            place: operation.origin.map(|span| self.graph.sources.line_place(span)),
            ..Entry::new((self.options.now_ms)(), kind, what)
        });
    }
}

/// A change in one line: `replaced web (image, env.A)`.
fn words(change: &Change) -> String {
    let verb = match change.kind {
        ChangeKind::Create => "made",
        ChangeKind::Update => "changed",
        ChangeKind::Replace => "replaced",
        ChangeKind::Remove => "removed",
    };
    let container = change.subject.container();
    let address = change.subject.address();
    let what = container.or(change.note.as_deref()).unwrap_or(&address);
    let mut text = format!("{verb} {what}");
    if !change.fields.is_empty() {
        let fields: Vec<String> = change.fields.iter().map(|f| f.path.to_string()).collect();
        text.push_str(&format!(" ({})", fields.join(", ")));
    } else if let (Some(_), Some(note)) = (container, &change.note) {
        text.push_str(&format!(": {note}"));
    }
    text
}

/// Hears of operations as they end.
struct Heard {
    plan: Arc<Plan>,
    ended: EndedOps,
    notify: Arc<Notify>,
}

impl Progress for Heard {
    fn event(&self, event: Event<'_>) {
        let id = match event {
            Event::Done(id) | Event::Failed(id, _) | Event::Skipped { id, .. } => id,
            Event::Started(_) | Event::Pulling(..) | Event::Waiting(..) => return,
        };
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.push((Arc::clone(&self.plan), id));
        self.notify.notify_one();
    }
}
