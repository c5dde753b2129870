//! What a plan holds back. Planning goes on as if everything could be done; then what must not be
//! done now is taken out of the plan again, with all that waits for it, and stands there with its
//! reason instead.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::plan::builder::Builder;
use crate::plan::{Action, Held, OpId, Operation, Plan, Subject, Target, Why};

/// Operations that are not to be made, and what is said about them.
pub(crate) struct Hold {
    pub operations: Vec<OpId>,
    pub held: Held,
}

impl Operation {
    /// What is busy while it is under way: its pod, or what it makes or removes that belongs to no pod.
    #[must_use]
    pub fn claims(&self) -> Cow<'_, str> {
        if !self.subject.pod.is_empty() {
            return Cow::Borrowed(&self.subject.pod);
        }
        let what = match &self.action {
            Action::PullImage { image } => image,
            Action::CreateNetwork(request) => &request.name,
            Action::RemoveNetwork { id } => id,
            Action::CreateVolume(request) => &request.name,
            Action::RemoveVolume { name } => name,
            _ => "",
        };
        // No pod's name has a slash.
        Cow::Owned(format!("{}/{}/{what}", self.host, self.action.word()))
    }
}

impl Builder {
    /// Holds operations back.
    pub fn hold(&mut self, operations: &[OpId], held: Held) {
        if !operations.is_empty() {
            self.holds.push(Hold { operations: operations.to_vec(), held });
        }
    }

    /// Takes out of the plan what is held back.
    pub fn settle_holds(&mut self) {
        if self.holds.is_empty() {
            return;
        }
        let holds = std::mem::take(&mut self.holds);
        let out = closure(&self.plan, &holds);
        say(&mut self.plan, &holds, &out);
        let mut gone: BTreeSet<OpId> = out.into_keys().collect();
        drop_unneeded(&self.plan, &mut gone);
        remove(&mut self.plan, &gone);
    }
}

/// All operations that cannot be made, with the hold that is the reason.
fn closure(plan: &Plan, holds: &[Hold]) -> BTreeMap<OpId, usize> {
    let mut dependents: BTreeMap<OpId, Vec<OpId>> = BTreeMap::new();
    for operation in &plan.operations {
        for need in &operation.after {
            dependents.entry(*need).or_default().push(operation.id);
        }
    }
    let mut out: BTreeMap<OpId, usize> = BTreeMap::new();
    for (number, hold) in holds.iter().enumerate() {
        let mut open = hold.operations.clone();
        while let Some(id) = open.pop() {
            if out.contains_key(&id) {
                continue;
            }
            out.insert(id, number);
            open.extend(dependents.get(&id).into_iter().flatten());
        }
    }
    out
}

/// Turns the changes that are not made into words: one for each pod and reason.
fn say(plan: &mut Plan, holds: &[Hold], out: &BTreeMap<OpId, usize>) {
    let mut held: BTreeSet<Held> = BTreeSet::new();
    let mutates = |id: &OpId| plan.operation(*id).is_some_and(|op| op.action.mutates());
    let mut told: BTreeSet<usize> = BTreeSet::new();
    for change in &plan.changes {
        let changing = change.operations.iter().filter(|id| mutates(id));
        let Some(number) = changing.into_iter().find_map(|id| out.get(id)) else { continue };
        let Some(hold) = holds.get(*number) else { continue };
        let own = hold.held.subject.pod.is_empty() || hold.held.subject.pod == change.subject.pod;
        let why = match own {
            true => hold.held.why.clone(),
            false => Why {
                reason: format!("it waits for {}: {}", hold.held.subject.pod, hold.held.why.reason),
                help: hold.held.why.help.clone(),
                awaits: hold.held.why.awaits,
                by: hold.held.why.by,
            },
        };
        let subject = Subject { container: String::new(), ..change.subject.clone() };
        told.insert(*number);
        held.insert(Held { subject, host: change.host.clone(), why, origin: change.origin });
    }
    // A hold on waits alone changes nothing that anybody would miss.
    for (number, hold) in holds.iter().enumerate() {
        if !told.contains(&number) && hold.operations.iter().any(mutates) {
            held.insert(hold.held.clone());
        }
    }
    plan.held.extend(held);
}

/// Images, volumes and networks that nobody needs any more: an empty volume would already bind its
/// pods to a host.
fn drop_unneeded(plan: &Plan, gone: &mut BTreeSet<OpId>) {
    let mut needed: BTreeSet<OpId> = BTreeSet::new();
    let mut was_needed: BTreeSet<OpId> = BTreeSet::new();
    for operation in &plan.operations {
        was_needed.extend(&operation.after);
        if !gone.contains(&operation.id) {
            needed.extend(&operation.after);
        }
    }
    for operation in &plan.operations {
        let provides = matches!(
            operation.action,
            Action::PullImage { .. }
                | Action::LoadInfraImage
                | Action::CreateNetwork(_)
                | Action::CreateVolume(_)
        );
        if provides && was_needed.contains(&operation.id) && !needed.contains(&operation.id) {
            gone.insert(operation.id);
        }
    }
}

/// Takes operations out and numbers the others anew.
fn remove(plan: &mut Plan, gone: &BTreeSet<OpId>) {
    let mut numbers: BTreeMap<OpId, OpId> = BTreeMap::new();
    let kept = plan.operations.iter().filter(|operation| !gone.contains(&operation.id));
    for (number, operation) in kept.enumerate() {
        numbers.insert(operation.id, OpId(u32::try_from(number).unwrap_or(u32::MAX)));
    }
    let undone: BTreeSet<OpId> = plan
        .operations
        .iter()
        .filter(|operation| operation.action.mutates() && gone.contains(&operation.id))
        .map(|operation| operation.id)
        .collect();
    plan.changes.retain(|change| !change.operations.iter().any(|id| undone.contains(id)));
    for change in &mut plan.changes {
        change.operations.retain(|id| !gone.contains(id));
    }
    plan.operations.retain(|operation| !gone.contains(&operation.id));
    let anew = |id: &mut OpId| {
        if let Some(number) = numbers.get(id) {
            *id = *number;
        }
    };
    for operation in &mut plan.operations {
        anew(&mut operation.id);
        operation.after.iter_mut().for_each(anew);
        if let Some(Target::Created(by)) = operation.action.target_mut() {
            anew(by);
        }
    }
    for change in &mut plan.changes {
        change.operations.iter_mut().for_each(anew);
    }
}
