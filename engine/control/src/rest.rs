//! Rest: all is as the spec says, and nothing is waited for. A look that shows just what the look before
//! it showed then changes nothing, and no plan is made: with a thousand hosts there are some thirty such
//! looks a second.
//!
//! Time alone brings nothing about in a cluster at rest: what is ready stays ready, no pause is running and no
//! host is silent. Builds with assertions, as the simulation is in CI, make the plan all the same and compare.

use tally_reconcile::input::observed::{HostState, HostView};
use tally_reconcile::plan::Plan;

use crate::controller::{Controller, Ended};

impl Controller {
    /// Whether the cluster is at rest after `plan` was made of what was seen last.
    pub(crate) fn is_at_rest(&self, plan: &Plan) -> bool {
        self.last == Some(Ended::Tallies)
            && plan.is_empty()
            && plan.diagnostics.is_empty()
            && plan.pods.values().all(|pods| pods.ready == pods.desired)
            && self.busy.is_empty()
            && self.running.is_empty()
            && self.failing.is_empty()
            && self.waiting_since_ms.is_none()
            && self.plan_at_ms.is_none()
            && self.memory.in_flight.failing.is_empty()
            && self.observed.hosts.values().all(|view| view.ready().is_some())
    }

    /// Whether a view of a host changes nothing.
    pub(crate) fn is_nothing_new(&self, host: &str, state: &HostState) -> bool {
        let before = self.observed.hosts.get(host).and_then(HostView::ready);
        self.at_rest && !self.dirty && before == Some(state)
    }

    /// What is passed over must have nothing to do.
    pub(crate) fn assert_rest(&self) {
        if cfg!(debug_assertions) {
            let plan = self.plan();
            let idle = plan.is_empty() && plan.blocked.is_empty() && plan.diagnostics.is_empty();
            debug_assert!(idle, "nothing is new, and yet {:?} {:?}", plan.changes, plan.blocked);
        }
    }
}
