//! Progress of an apply: one line per completed object, and on a terminal a few lines below for the objects in
//! progress.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tally_graph::Bytes;
use tally_host::{Event, Progress};
use tally_reconcile::plan::{Action, ChangeKind, OpId, Plan};

use crate::show::failure::few_words;
use crate::show::terminal::{Style, Terminal, clean, err};

/// Maximum number of lines for objects in progress.
const MOST_LINES: usize = 8;
/// Minimum interval between two redraws, against flicker.
const REDRAW: Duration = Duration::from_millis(80);

/// Shows progress on standard error.
pub struct ProgressView<'a> {
    plan: &'a Plan,
    terminal: Terminal,
    /// The object of each operation.
    object_of: Vec<Option<usize>>,
    objects: Vec<String>,
    verbs: Vec<&'static str>,
    state: Mutex<LineState>,
}

#[derive(Default)]
struct LineState {
    /// The number of remaining operations of each object.
    left: Vec<usize>,
    failed: Vec<bool>,
    since: BTreeMap<usize, Instant>,
    doing: BTreeMap<usize, String>,
    drawn: usize,
    last_draw: Option<Instant>,
}

impl<'a> ProgressView<'a> {
    /// Creates the progress of a plan.
    pub fn new(plan: &'a Plan, terminal: &Terminal) -> Self {
        let mut shown = Self {
            plan,
            terminal: *terminal,
            object_of: vec![None; plan.operations.len()],
            objects: Vec::new(),
            verbs: Vec::new(),
            state: Mutex::default(),
        };
        let mut left = Vec::new();
        let hosts: BTreeSet<&str> = plan.operations.iter().map(|op| op.host.as_str()).collect();
        let on = |host: &str| match hosts.len() {
            0 | 1 => String::new(),
            _ => format!(" on {host}"),
        };
        for change in &plan.changes {
            let subject = &change.subject;
            let name = match (subject.pod(), subject.container()) {
                (None, _) => change.note.clone().unwrap_or_else(|| subject.address().into_owned()),
                (Some(pod), None) => {
                    format!("{pod} {}", change.note.clone().unwrap_or_default())
                }
                (Some(pod), Some(container)) => format!("{pod}/{container}"),
            };
            let verb = match change.kind {
                ChangeKind::Create => "created",
                ChangeKind::Update => "changed",
                ChangeKind::Replace => "replaced",
                ChangeKind::Remove => "removed",
            };
            let name = name + &on(&change.host);
            shown.object(name, verb, &change.operations, &mut left);
        }
        for (name, operations) in undone(plan) {
            shown.object(name, "keeps the old container", &operations, &mut left);
        }
        for operation in &plan.operations {
            let verb = match operation.action {
                Action::PullImage { .. } => "pulled",
                Action::LoadInfraImage => "loaded",
                Action::AwaitReady { .. } => "ready",
                Action::AwaitExit { .. } => "ended",
                _ => "done",
            };
            if shown.object_of.get(operation.id.0 as usize) == Some(&None) {
                let subject = &operation.subject;
                let name = match subject.pod() {
                    None => subject.address().into_owned(),
                    Some(pod) => format!("{pod}/{}", subject.container().unwrap_or_default()),
                };
                let name = name + &on(&operation.host);
                shown.object(name, verb, &[operation.id], &mut left);
            }
        }
        let failed = vec![false; left.len()];
        shown.state = Mutex::new(LineState { left, failed, ..LineState::default() });
        shown
    }

    fn object(&mut self, name: String, verb: &'static str, ops: &[OpId], left: &mut Vec<usize>) {
        let number = self.objects.len();
        let mut count = 0;
        for id in ops {
            // Two changes can share operations; only the first one shows them.
            if let Some(slot @ None) = self.object_of.get_mut(id.0 as usize) {
                *slot = Some(number);
                count += 1;
            }
        }
        self.objects.push(name);
        self.verbs.push(verb);
        left.push(count);
    }

    fn erase(&self, state: &mut LineState) -> String {
        let lines = std::mem::take(&mut state.drawn);
        "\x1b[1A\x1b[2K".repeat(lines)
    }

    /// Draws the lines of objects in progress; nothing without a terminal.
    fn draw(&self, state: &mut LineState, forced: bool) -> String {
        let now = Instant::now();
        let early = state.last_draw.is_some_and(|last| now - last < REDRAW);
        if !self.terminal.stderr || early && !forced {
            return String::new();
        }
        state.last_draw = Some(now);
        let mut text = self.erase(state);
        let room = self.terminal.width.saturating_sub(1);
        for (object, doing) in state.doing.iter().take(MOST_LINES) {
            let name = self.objects.get(*object).map(String::as_str).unwrap_or_default();
            let seconds = state.since.get(object).map_or(0, |since| since.elapsed().as_secs());
            let line = match seconds {
                0 => format!("    {name}  {doing}"),
                _ => format!("    {name}  {doing} ({seconds}s)"),
            };
            let line: String = line.chars().take(room).collect();
            text.push_str(&format!("{}\n", self.terminal.paint(Style::Dim, &line)));
            state.drawn += 1;
        }
        let more = state.doing.len().saturating_sub(MOST_LINES);
        if more > 0 {
            text.push_str(&format!("    and {more} more\n"));
            state.drawn += 1;
        }
        text
    }

    fn line(&self, style: Style, mark: &str, object: usize, words: &str) -> String {
        let name = self.objects.get(object).map(String::as_str).unwrap_or_default();
        // On a terminal an entry must not wrap, because its lines are removed later.
        let room = self.terminal.width.saturating_sub(name.chars().count() + 8).max(20);
        let visible = words.replace("\x1b[2m", "").replace("\x1b[0m", "");
        let words = if self.terminal.stderr && visible.chars().count() > room {
            format!("{}…", visible.chars().take(room - 1).collect::<String>())
        } else {
            words.to_owned()
        };
        format!("  {} {name}  {words}\n", self.terminal.paint(style, mark))
    }

    fn doing(&self, id: OpId) -> &'static str {
        match self.plan.operation(id).map(|operation| &operation.action) {
            Some(Action::PullImage { .. }) => "pulling",
            Some(Action::LoadInfraImage) => "loading",
            Some(Action::CreateContainer(_) | Action::CreateNetwork(_)) => "creating",
            Some(Action::CreateVolume(_)) => "creating",
            Some(Action::WriteFiles { .. }) => "writing files",
            Some(Action::WriteSecrets { .. }) => "writing secrets into memory",
            Some(Action::Start { .. } | Action::Unpause { .. }) => "starting",
            Some(Action::Stop { .. }) => "stopping",
            Some(Action::Restart { .. }) => "restarting",
            Some(Action::Signal { .. }) => "signalling",
            Some(Action::Update { .. } | Action::Rename { .. }) => "changing",
            Some(Action::AwaitReady { .. }) => "waiting until ready",
            Some(Action::AwaitExit { .. }) => "waiting until it ends",
            Some(_) => "removing",
            None => "",
        }
    }

    fn settled(&self, state: &mut LineState, object: usize) -> String {
        let Some(left) = state.left.get_mut(object) else { return String::new() };
        *left = left.saturating_sub(1);
        if *left > 0 {
            return String::new();
        }
        state.doing.remove(&object);
        if state.failed.get(object).copied().unwrap_or(false) {
            return String::new();
        }
        let seconds = state.since.get(&object).map_or(0.0, |s| s.elapsed().as_secs_f64());
        let verb = self.verbs.get(object).copied().unwrap_or_default();
        let mark = if self.terminal.unicode { "✔" } else { "ok" };
        let words =
            format!("{verb} {}", self.terminal.paint(Style::Dim, &format!("{seconds:.1}s")));
        self.line(Style::Add, mark, object, &words)
    }

    fn failed(&self, state: &mut LineState, object: usize, words: &str) -> String {
        state.doing.remove(&object);
        if let Some(failed) = state.failed.get_mut(object)
            && !std::mem::replace(failed, true)
        {
            let mark = if self.terminal.unicode { "✘" } else { "!!" };
            return self.line(Style::Bad, mark, object, words);
        }
        String::new()
    }
}

/// Returns the operations that undo others, by container.
fn undone(plan: &Plan) -> BTreeMap<String, Vec<OpId>> {
    let mut undone: BTreeMap<String, Vec<OpId>> = BTreeMap::new();
    for operation in plan.operations.iter().filter(|operation| operation.undo.is_some()) {
        let subject = &operation.subject;
        let pod = subject.pod().unwrap_or_default();
        let name = match subject.container() {
            Some(container) => format!("{pod}/{container}"),
            None => pod.to_owned(),
        };
        undone.entry(name).or_default().push(operation.id);
    }
    undone
}

impl Drop for ProgressView<'_> {
    /// Removes the lines of operations in progress from the screen.
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let text = self.erase(&mut state);
        err(&text);
    }
}

impl Progress for ProgressView<'_> {
    fn event(&self, event: Event<'_>) {
        let (Event::Started(id)
        | Event::Pulling(id, _)
        | Event::Waiting(id, _)
        | Event::Done(id)
        | Event::NotNeeded(id)
        | Event::Failed(id, _)
        | Event::Skipped { id, .. }) = &event;
        let Some(Some(object)) = self.object_of.get(id.0 as usize).copied() else { return };
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        let line = match event {
            Event::Started(id) => {
                state.since.entry(object).or_insert_with(Instant::now);
                state.doing.insert(object, self.doing(id).to_owned());
                String::new()
            }
            Event::Pulling(_, progress) => {
                let (got, all) = (progress.bytes >> 20, progress.bytes_total >> 20);
                let words = match all {
                    0 => "pulling".to_owned(),
                    _ => format!("pulling {} of {}", Bytes(got << 20), Bytes(all << 20)),
                };
                state.doing.insert(object, words);
                String::new()
            }
            Event::Waiting(_, reason) => {
                state.doing.insert(object, format!("waiting: {}", clean(reason)));
                String::new()
            }
            // Nobody waits for an operation that undoes nothing, unless others of its object were needed.
            Event::NotNeeded(_) if !state.since.contains_key(&object) => {
                if let Some(left) = state.left.get_mut(object) {
                    *left = left.saturating_sub(1);
                }
                String::new()
            }
            Event::Done(_) | Event::NotNeeded(_) => self.settled(state, object),
            Event::Failed(_, failure) => self.failed(state, object, &few_words(failure)),
            Event::Skipped { because, .. } => {
                let culprit = self.object_of.get(because.0 as usize).copied().flatten();
                match culprit {
                    Some(culprit) if culprit != object => {
                        let name = self.objects.get(culprit).cloned().unwrap_or_default();
                        self.failed(state, object, &format!("not tried: it needs {name}"))
                    }
                    _ => self.failed(state, object, "not tried"),
                }
            }
        };
        let forced = !line.is_empty();
        let erase = if forced { self.erase(state) } else { String::new() };
        let footer = self.draw(state, forced);
        err(&format!("{erase}{line}{footer}"));
    }
}
