//! Which command or change of the spec helps with something that a plan does not do now.

use tally_reconcile::plan::reason::BlockReason;

/// Returns a way out for people; `None` where the reason says it all.
#[must_use]
pub fn help(reason: &BlockReason) -> Option<String> {
    Some(match reason {
        BlockReason::Backoff { pod } => format!("See why: `tally events`, `tally logs {pod}`."),
        BlockReason::NoHost { way_out, .. } => {
            let way_out = way_out.as_ref()?;
            format!("{} fits if `{}` is dropped.", way_out.host, way_out.dropped)
        }
        BlockReason::NoRoomForSurge | BlockReason::CircularRoom => {
            "Ask for it again when the rest is done.".to_owned()
        }
        BlockReason::PodUnreachable { host, .. } => {
            format!("If `{host}` will not come back: `tally host lost {host}`.")
        }
        BlockReason::OlderData { unreachable: host, .. }
        | BlockReason::VolumeUnreachable { host, .. } => format!(
            "If that host is surely off and its data may be given up: `tally host fence {host}`."
        ),
        BlockReason::VolumeOnSeveralHosts { .. } => {
            "Say which one counts: `place { require host=… }`.".to_owned()
        }
        BlockReason::VolumesApart => {
            "A pod runs on one host: copy one of the volumes over.".to_owned()
        }
        BlockReason::Budget { .. } => "It goes on when they are ready again.".to_owned(),
        BlockReason::Removals { .. } => {
            "Read `tally plan`, then `tally apply` removes them.".to_owned()
        }
        BlockReason::HostUnreachable => "`tally destroy` again when it answers.".to_owned(),
        BlockReason::Paused { workload, .. } => {
            format!("`tally rollout resume {workload}` goes on.")
        }
        BlockReason::RolledBack { workload, .. } => {
            format!("`tally rollout resume {workload}` tries it once more.")
        }
        BlockReason::Frozen { .. } => "`tally unfreeze` allows changes again.".to_owned(),
        BlockReason::WaitsFor { because, .. } => return help(because),
        BlockReason::UnderWay
        | BlockReason::NotReady
        | BlockReason::NotEnded
        | BlockReason::HostFull(_)
        | BlockReason::Dependency { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use tally_graph::Selector;
    use tally_reconcile::plan::reason::{Presence, WayOut};

    use super::*;

    #[test]
    fn a_reason_names_the_command_that_helps() {
        let lost = || BlockReason::PodUnreachable { host: "b".into(), presence: Presence::Seen };
        let dropped = Selector { all: [("disk".into(), "ssd".into())].into(), ..<_>::default() };
        let way_out = Some(WayOut { host: "b".into(), dropped });
        for (reason, expected) in [
            (lost(), Some("If `b` will not come back: `tally host lost b`.")),
            (
                BlockReason::WaitsFor { pod: "web-0".into(), because: Box::new(lost()) },
                Some("If `b` will not come back: `tally host lost b`."),
            ),
            (
                BlockReason::VolumeUnreachable { volume: "data".into(), host: "b".into() },
                Some(
                    "If that host is surely off and its data may be given up: `tally host fence b`.",
                ),
            ),
            (
                BlockReason::Backoff { pod: "web-1".into() },
                Some("See why: `tally events`, `tally logs web-1`."),
            ),
            (
                BlockReason::VolumeOnSeveralHosts {
                    volume: "data".into(),
                    hosts: ["a".into(), "b".into()],
                },
                Some("Say which one counts: `place { require host=… }`."),
            ),
            (
                BlockReason::NoHost { lacks: Vec::new(), more: 0, way_out },
                Some("b fits if `disk=ssd` is dropped."),
            ),
            (BlockReason::HostUnreachable, Some("`tally destroy` again when it answers.")),
            (BlockReason::UnderWay, None),
        ] {
            assert_eq!(help(&reason).as_deref(), expected, "{reason}");
        }
    }
}
