//! Plans the objects that must exist before a pod's containers are created: images, the network, volumes.

use std::collections::BTreeSet;

use tally_graph::MountSource;
use tally_source::Span;

use super::PodPlanner;
use crate::desired::realise::DesiredContainer;
use crate::labels::{self, Role};
use crate::plan::OpId;
use crate::plan::subject::Subject;
use crate::planner::images::Choice;
use crate::planner::objects::WantedVolume;
use crate::planner::pod::verdict::ContainerVerdict;

impl PodPlanner<'_, '_, '_> {
    /// Plans the network, volumes and images of new containers. No container is stopped before all of them
    /// exist, so that an image that cannot be pulled causes no outage.
    pub(super) fn needs(&mut self, verdicts: &[ContainerVerdict<'_>]) -> Vec<OpId> {
        let mut needs = BTreeSet::new();
        for (desired, verdict) in self.pod.containers.iter().zip(verdicts) {
            if !matches!(verdict, ContainerVerdict::Create | ContainerVerdict::Replace(..)) {
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
            for volume in self.volumes(desired) {
                needs.extend(self.objects.volume(&volume, self.builder));
            }
        }
        needs.into_iter().collect()
    }

    /// Returns the image of a new container, which is the same for all pods of its version.
    fn choice(&mut self, desired: &DesiredContainer<'_>) -> Choice {
        let workload = self.pod.workload;
        let key = (workload.address().to_string(), desired.role, desired.name.clone());
        if let Some(known) = self.choices.get(&key) {
            return known.clone();
        }
        let choice = self.context.image_chooser.choose(workload, desired);
        self.choices.insert(key, choice.clone());
        choice
    }

    /// Returns the volumes of a container: its in-memory volumes first, then the volumes of its mounts.
    pub(super) fn volumes(&self, desired: &DesiredContainer<'_>) -> Vec<WantedVolume> {
        let mounts = desired.applied.mount.iter();
        let secrets = mounts.filter(|(path, _)| path.starts_with(labels::SECRETS_FOLDER));
        let held = secrets.filter_map(|(_, mount)| mount.volume.as_deref());
        let known = |docker_name: &str| {
            self.pod.volumes.iter().find(|(_, known)| known.as_str() == docker_name)
        };
        let in_memory = held
            .filter_map(known)
            .map(|(name, docker_name)| self.pod_volume(name, docker_name, true, desired.span));
        let mounts = desired.source.into_iter().flat_map(|source| source.mount.values());
        let mounted = mounts.filter_map(|mount| self.mounted(mount.source, &mount.volume));
        in_memory.chain(mounted).collect()
    }

    /// Returns a volume that is removed together with the pod.
    fn pod_volume(
        &self,
        name: &str,
        docker_name: &str,
        in_memory: bool,
        origin: Span,
    ) -> WantedVolume {
        WantedVolume {
            docker_name: docker_name.to_owned(),
            role: Role::PodVolume,
            subject: Subject::from_pod(self.pod.workload, &self.pod.name),
            name: name.to_owned(),
            in_memory,
            origin,
        }
    }

    /// Returns a mounted volume; `None` for a host path.
    fn mounted(&self, source: MountSource, name: &str) -> Option<WantedVolume> {
        match source {
            MountSource::Pod => {
                let docker_name = self.pod.volumes.get(name)?;
                let own = self.pod.workload.volumes.iter().find(|volume| volume.name == name)?;
                Some(self.pod_volume(name, docker_name, false, own.span))
            }
            MountSource::Spec => {
                let volume = self.context.graph.volumes().find(|volume| volume.name == name)?;
                if volume.host_path.is_some() {
                    return None;
                }
                Some(WantedVolume {
                    docker_name: labels::volume_name(self.context.cluster, name),
                    role: Role::Volume,
                    subject: Subject::Volume(name.to_owned()),
                    name: name.to_owned(),
                    in_memory: false,
                    origin: volume.span,
                })
            }
        }
    }
}
