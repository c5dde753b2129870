//! Work that is blocked. Planning first assumes that everything can be done. Then the operations that must
//! not be made now are removed from the plan, with all operations that wait for them, and the plan lists
//! them with the reason.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::plan::builder::{Builder, PendingBlock};
use crate::plan::reason::{BlockReason, Blocked};
use crate::plan::{Action, OpId, Operation, Plan, Target};

impl Operation {
    /// Returns the key that is locked while the operation is under way: its pod, or the object that it
    /// creates or removes if that belongs to no pod.
    #[must_use]
    pub fn lock_key(&self) -> Cow<'_, str> {
        if let Some(pod) = self.subject.pod() {
            return Cow::Borrowed(pod);
        }
        let what = match &self.action {
            Action::PullImage { image } => image,
            Action::CreateNetwork(request) => &request.name,
            Action::RemoveNetwork { id } => id,
            Action::CreateVolume(request) => &request.name,
            Action::RemoveVolume { name } => name,
            _ => "",
        };
        // The name of a pod contains no slash.
        Cow::Owned(format!("{}/{}/{what}", self.host, self.action.word()))
    }
}

impl Builder {
    /// Blocks operations, with all operations that wait for them.
    pub fn block(&mut self, operations: &[OpId], blocked: Blocked) {
        if !operations.is_empty() {
            self.blocks.push(PendingBlock { operations: operations.to_vec(), blocked });
        }
    }

    /// Removes blocked operations from the plan, and lists them with their reasons.
    pub fn settle_blocks(&mut self) {
        if self.blocks.is_empty() {
            return;
        }
        let blocks = std::mem::take(&mut self.blocks);
        let out = closure(&self.plan, &blocks);
        list(&mut self.plan, &blocks, &out);
        let mut gone: BTreeSet<OpId> = out.into_keys().collect();
        drop_unneeded(&self.plan, &mut gone);
        remove(&mut self.plan, &gone);
    }
}

/// Returns all operations that cannot be made, with the number of the block that is the reason.
fn closure(plan: &Plan, blocks: &[PendingBlock]) -> BTreeMap<OpId, usize> {
    let mut dependents: BTreeMap<OpId, Vec<OpId>> = BTreeMap::new();
    for operation in &plan.operations {
        for need in &operation.after {
            dependents.entry(*need).or_default().push(operation.id);
        }
    }
    // A replacement is blocked as a whole: an old container must not stop when its successor cannot start.
    let mut groups: BTreeMap<OpId, Vec<OpId>> = BTreeMap::new();
    for operation in &plan.operations {
        let Some(undo) = &operation.undo else { continue };
        for id in &undo.unless {
            let group = groups.entry(*id).or_default();
            group.push(operation.id);
            group.extend(&undo.unless);
        }
    }
    for group in groups.values_mut() {
        group.sort_unstable();
        group.dedup();
    }
    let mut out: BTreeMap<OpId, usize> = BTreeMap::new();
    for (number, block) in blocks.iter().enumerate() {
        let mut open = block.operations.clone();
        while let Some(id) = open.pop() {
            if out.contains_key(&id) {
                continue;
            }
            out.insert(id, number);
            open.extend(dependents.get(&id).into_iter().flatten());
            open.extend(groups.get(&id).into_iter().flatten());
        }
    }
    out
}

/// Lists the changes that are not made: one entry for each pod and reason.
fn list(plan: &mut Plan, blocks: &[PendingBlock], out: &BTreeMap<OpId, usize>) {
    let mut all: BTreeSet<Blocked> = BTreeSet::new();
    let mutates = |id: &OpId| plan.operation(*id).is_some_and(|op| op.action.mutates());
    let mut listed: BTreeSet<usize> = BTreeSet::new();
    for change in &plan.changes {
        let changing = change.operations.iter().filter(|id| mutates(id));
        let Some(number) = changing.into_iter().find_map(|id| out.get(id)) else { continue };
        let Some(PendingBlock { blocked, .. }) = blocks.get(*number) else { continue };
        let reason = match blocked.subject.pod() {
            Some(pod) if !change.subject.is_of_pod(pod) => BlockReason::WaitsFor {
                pod: pod.to_owned(),
                because: Box::new(blocked.reason.clone()),
            },
            _ => blocked.reason.clone(),
        };
        listed.insert(*number);
        all.insert(Blocked {
            subject: change.subject.whole_pod(),
            host: Some(change.host.clone()),
            reason,
            origin: change.origin,
        });
    }
    // A block that consists only of waits changes nothing, so it is not listed.
    for (number, block) in blocks.iter().enumerate() {
        if !listed.contains(&number) && block.operations.iter().any(mutates) {
            all.insert(block.blocked.clone());
        }
    }
    plan.blocked.extend(all);
}

/// Adds the creation of images, volumes and networks that no operation needs any more to `gone`: even an
/// empty volume would bind its pods to a host.
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

/// Removes operations from the plan and renumbers the others.
fn remove(plan: &mut Plan, gone: &BTreeSet<OpId>) {
    let mut numbers: BTreeMap<OpId, OpId> = BTreeMap::new();
    let kept = plan.operations.iter().filter(|operation| !gone.contains(&operation.id));
    for (number, operation) in kept.enumerate() {
        numbers.insert(operation.id, OpId(u32::try_from(number).unwrap_or(u32::MAX)));
    }
    let removed: BTreeSet<OpId> = plan
        .operations
        .iter()
        .filter(|operation| operation.action.mutates() && gone.contains(&operation.id))
        .map(|operation| operation.id)
        .collect();
    plan.changes.retain(|change| !change.operations.iter().any(|id| removed.contains(id)));
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
        if let Some(undo) = &mut operation.undo {
            undo.unless.iter_mut().chain(&mut undo.of).for_each(anew);
        }
        if let Some(Target::Created(by)) = operation.action.target_mut() {
            anew(by);
        }
    }
    for change in &mut plan.changes {
        change.operations.iter_mut().for_each(anew);
    }
}
