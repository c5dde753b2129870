//! Collects the operations and changes of a plan.

use tally_source::{Diagnostic, Span};

use crate::input::observed::ObservedContainer;
use crate::plan::reason::Blocked;
use crate::plan::subject::Subject;
use crate::plan::{
    Action, Cause, Change, ChangeKind, FieldChange, OpId, Operation, Plan, Precondition, Undo,
};

/// The data that all operations on one object share.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub host: String,
    pub subject: Subject,
    pub cause: Cause,
    pub origin: Option<Span>,
}

/// Operations that must not be made now, with the reason.
pub(crate) struct PendingBlock {
    pub operations: Vec<OpId>,
    pub blocked: Blocked,
}

#[derive(Default)]
pub(crate) struct Builder {
    pub plan: Plan,
    pub blocks: Vec<PendingBlock>,
}

impl Builder {
    pub fn op(
        &mut self,
        about: &About,
        action: Action,
        precondition: Precondition,
        after: &[OpId],
    ) -> OpId {
        let id = OpId(u32::try_from(self.plan.operations.len()).unwrap_or(u32::MAX));
        let mut after = after.to_vec();
        after.sort_unstable();
        after.dedup();
        self.plan.operations.push(Operation {
            id,
            host: about.host.clone(),
            action,
            subject: about.subject.clone(),
            cause: about.cause,
            origin: about.origin,
            precondition,
            after,
            undo: None,
        });
        id
    }

    /// Adds an operation that undoes another one.
    pub fn undo(
        &mut self,
        about: &About,
        action: Action,
        precondition: Precondition,
        after: &[OpId],
        undo: Undo,
    ) -> OpId {
        let id = self.op(about, action, precondition, after);
        if let Some(operation) = self.plan.operations.last_mut() {
            operation.undo = Some(undo);
        }
        id
    }

    /// Makes operations wait for others; an operation never waits for itself.
    pub fn gate(&mut self, operations: &[OpId], on: &[OpId]) {
        for id in operations {
            if let Some(operation) = self.plan.operations.get_mut(id.0 as usize) {
                operation.after.extend(on.iter().filter(|other| *other != id));
                operation.after.sort_unstable();
                operation.after.dedup();
            }
        }
    }

    /// Checks whether `from` waits for `on`, directly or through other operations.
    pub fn waits_for(&self, from: OpId, on: OpId) -> bool {
        let mut seen = vec![false; self.plan.operations.len()];
        let mut open = vec![from];
        while let Some(id) = open.pop() {
            if id == on {
                return true;
            }
            let Some(flag) = seen.get_mut(id.0 as usize) else {
                continue;
            };
            if !std::mem::replace(flag, true)
                && let Some(operation) = self.plan.operations.get(id.0 as usize)
            {
                open.extend(&operation.after);
            }
        }
        false
    }

    pub fn change(
        &mut self,
        about: &About,
        kind: ChangeKind,
        fields: Vec<FieldChange>,
        note: Option<String>,
        operations: Vec<OpId>,
    ) {
        self.plan.changes.push(Change {
            subject: about.subject.clone(),
            host: about.host.clone(),
            kind,
            cause: about.cause,
            note,
            fields,
            origin: about.origin,
            operations,
        });
    }

    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.plan.diagnostics.push(diagnostic);
    }
}

/// Returns the precondition of every call on an observed container.
pub(crate) fn owned(cluster: &str, container: &ObservedContainer) -> Precondition {
    Precondition::Owned {
        id: container.id.clone(),
        name: container.name.clone(),
        cluster: cluster.to_owned(),
    }
}
