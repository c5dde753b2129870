//! What must be there before a pod's containers are made: images, the network, volumes.

use std::collections::BTreeSet;

use tally_graph::MountSource;
use tally_source::Span;

use super::PodPlanner;
use crate::images::Choice;
use crate::labels::{self, Role};
use crate::objects::WantedVolume;
use crate::plan::OpId;
use crate::realise::DesiredContainer;
use crate::verdict::Verdict;

impl PodPlanner<'_, '_, '_> {
    /// Network, volumes and images of the containers that are made. Nothing is stopped before all
    /// of them are there: an image that cannot be had takes nothing down.
    pub(super) fn needs(&mut self, verdicts: &[Verdict<'_>]) -> Vec<OpId> {
        let mut needs = BTreeSet::new();
        for (desired, verdict) in self.pod.containers.iter().zip(verdicts) {
            if !matches!(verdict, Verdict::Create | Verdict::Replace(..)) {
                continue;
            }
            let places = crate::diff::Places::new(self.context.graph, self.pod.workload, desired);
            let origin = places.of(&tally_graph::FieldPath::new(["image"]));
            let choice = self.choice(desired);
            let image = desired.applied.image.as_str();
            let (provided, reference) =
                self.objects.image(image, desired.pull, &choice, origin, self.builder);
            self.images.insert((desired.role, desired.name.clone()), reference);
            needs.extend(provided);
            needs.extend(self.objects.network(self.builder));
            needs.extend(self.memory(desired));
            let Some(source) = desired.source else {
                continue;
            };
            for mount in source.mount.values() {
                needs.extend(self.volume(mount.source, &mount.volume));
            }
        }
        needs.into_iter().collect()
    }

    /// The image that a container is made from: the same for all pods of its version.
    fn choice(&mut self, desired: &DesiredContainer<'_>) -> Choice {
        let workload = self.pod.workload;
        let key = (workload.address().to_string(), desired.role, desired.name.clone());
        if let Some(known) = self.builder.choices.get(&key) {
            return known.clone();
        }
        let choice = self.context.choosing.choose(workload, desired);
        self.builder.choices.insert(key, choice.clone());
        choice
    }

    /// The volumes in memory that a container has or holds.
    fn memory(&mut self, desired: &DesiredContainer<'_>) -> Vec<OpId> {
        let mounts = desired.applied.mount.iter();
        let secrets = mounts.filter(|(path, _)| path.starts_with(labels::SECRETS_FOLDER));
        let wanted = secrets.filter_map(|(_, mount)| mount.volume.as_deref());
        let named = |docker_name: &str| {
            self.pod.volumes.iter().find(|(_, known)| known.as_str() == docker_name)
        };
        let all: Vec<_> = wanted.filter_map(named).collect();
        all.into_iter()
            .filter_map(|(name, docker_name)| {
                self.pod_volume(name, docker_name, true, desired.span)
            })
            .collect()
    }

    /// A volume that goes with the pod.
    fn pod_volume(
        &mut self,
        name: &str,
        docker_name: &str,
        in_memory: bool,
        origin: Span,
    ) -> Option<OpId> {
        let wanted = WantedVolume {
            docker_name,
            role: Role::PodVolume,
            workload: &self.pod.workload.address().to_string(),
            pod: &self.pod.name,
            name,
            in_memory,
            origin,
        };
        self.objects.volume(&wanted, self.builder)
    }

    fn volume(&mut self, source: MountSource, name: &str) -> Option<OpId> {
        let cluster = self.context.cluster;
        match source {
            MountSource::Pod => {
                let docker_name = self.pod.volumes.get(name)?;
                let own = self.pod.workload.volumes.iter().find(|volume| volume.name == name)?;
                self.pod_volume(name, docker_name, false, own.span)
            }
            MountSource::Spec => {
                let volume = self.context.graph.volumes().find(|volume| volume.name == name)?;
                if volume.host_path.is_some() {
                    return None;
                }
                let wanted = WantedVolume {
                    docker_name: &labels::volume_name(cluster, name),
                    role: Role::Volume,
                    workload: &format!("volume/{name}"),
                    pod: "",
                    name,
                    in_memory: false,
                    origin: volume.span,
                };
                self.objects.volume(&wanted, self.builder)
            }
        }
    }
}
