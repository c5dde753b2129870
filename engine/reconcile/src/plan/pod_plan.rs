//! The planned operations of one pod, by their meaning for other pods.

use crate::plan::builder::{About, Builder};
use crate::plan::{Action, OpId, Precondition, Target};

/// The planned operations and the state of a pod.
#[derive(Debug, Default)]
pub(crate) struct PodPlan {
    /// Operations that end or start containers, which gates delay.
    pub gated: Vec<OpId>,
    /// Start operations, for `until=started`.
    pub started: Vec<OpId>,
    /// Waits until the pod is ready, for gates on its readiness.
    pub ready: Vec<OpId>,
    /// Its containers that have not ended with exit code 0, for gates on their end.
    pub unended: Vec<Unended>,
    /// Stop operations, each with the ID of the stopped container.
    pub stops: Vec<(String, OpId)>,
    /// The start of the container that has the published ports.
    pub holder_start: Option<OpId>,
    /// Whether something that serves is stopped.
    pub disruptive: bool,
    /// Whether the whole pod is ready now.
    pub ready_now: bool,
    /// Images, volumes and the network that its new containers need.
    pub needs: Vec<OpId>,
    /// Operations that create or start containers.
    pub ups: Vec<OpId>,
    /// Operations that stop or remove containers.
    pub downs: Vec<OpId>,
    /// Operations that remove a duplicate of the pod, once the copy that stays is ready.
    pub seconds: Vec<OpId>,
    /// Whether no container of the pod existed.
    pub fresh: bool,
    /// Whether a change of the spec recreates or restarts a container.
    pub rolls: bool,
    /// Whether nothing could be planned for the pod, because it cannot be observed or placed.
    pub absent: bool,
}

/// A container that other pods may wait for until it ends.
#[derive(Debug)]
pub(crate) struct Unended {
    pub about: About,
    pub target: Target,
    pub precondition: Precondition,
    pub start: Option<OpId>,
    /// The maximum wait, in milliseconds.
    pub deadline_ms: u64,
}

impl Unended {
    /// Adds a wait until it has ended with exit code 0.
    pub fn wait(&self, builder: &mut Builder) -> OpId {
        let action =
            Action::AwaitExit { target: self.target.clone(), deadline_ms: self.deadline_ms };
        let after: Vec<OpId> = self.start.into_iter().collect();
        builder.op(&self.about, action, self.precondition.clone(), &after)
    }
}
