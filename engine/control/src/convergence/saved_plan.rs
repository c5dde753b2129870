//! Whether a plan that somebody agreed to still fits.

use std::mem::discriminant;

use tally_reconcile::plan::{Action, Operation, Plan, Target};

/// Checks whether a plan makes the same calls as the operations that were agreed to. Waits are left out: who is ready
/// changes by itself.
#[must_use]
pub fn still_fits(agreed: &[Operation], now: &Plan) -> bool {
    let calls = |operations: &[Operation]| -> Vec<Operation> {
        operations
            .iter()
            .filter(|operation| operation.action.mutates())
            .map(|operation| Operation { after: Vec::new(), ..operation.clone() })
            .collect()
    };
    let (before, now) = (calls(agreed), calls(&now.operations));
    before.len() == now.len()
        && before.iter().zip(&now).all(|(before, now)| {
            // Numbers shift with the waits between them.
            (&before.host, &before.subject, &before.precondition)
                == (&now.host, &now.subject, &now.precondition)
                && same_action(&before.action, &now.action)
        })
}

fn same_action(a: &Action, b: &Action) -> bool {
    let created = |action: &Action| matches!(action.target(), Some(Target::Created(_)));
    a == b || (discriminant(a) == discriminant(b) && created(a) && created(b))
}
