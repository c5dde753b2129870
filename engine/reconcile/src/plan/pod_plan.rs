//! The planned operations of one pod, by their meaning for other pods.

use crate::plan::builder::{About, Builder};
use crate::plan::{Action, OpId, Precondition, Target};

/// What was planned for a pod.
#[derive(Debug, Default)]
pub(crate) struct PodPlan {
    /// Operations that end or begin containers: what gates hold back.
    pub gated: Vec<OpId>,
    /// Starts, for `until=started`.
    pub started: Vec<OpId>,
    /// Waits until it is ready, for gates on it.
    pub ready: Vec<OpId>,
    /// Its containers that have not ended well, for gates on that.
    pub unended: Vec<Unended>,
    /// Stops, with the ID of what is stopped.
    pub stops: Vec<(String, OpId)>,
    /// The start of the container that holds the published ports.
    pub holder_start: Option<OpId>,
    /// Whether something that serves is taken down.
    pub disruptive: bool,
    /// Whether all of it is ready now.
    pub ready_now: bool,
    /// Images, volumes and the network that its new containers need.
    pub needs: Vec<OpId>,
    /// Operations that make or start containers.
    pub ups: Vec<OpId>,
    /// Operations that stop or remove containers.
    pub downs: Vec<OpId>,
    /// Operations that take a second copy of it away, once the one that stays is ready.
    pub seconds: Vec<OpId>,
    /// Whether nothing of it was there.
    pub fresh: bool,
    /// Whether the spec has changed so that something is made anew or restarted.
    pub rolls: bool,
    /// Whether nothing could be planned for it, because it cannot be seen or placed.
    pub absent: bool,
}

/// A container that somebody may have to wait for until it ends.
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
    /// A wait until it has ended with exit code 0.
    pub fn wait(&self, builder: &mut Builder) -> OpId {
        let action =
            Action::AwaitExit { target: self.target.clone(), deadline_ms: self.deadline_ms };
        let after: Vec<OpId> = self.start.into_iter().collect();
        builder.op(&self.about, action, self.precondition.clone(), &after)
    }
}
