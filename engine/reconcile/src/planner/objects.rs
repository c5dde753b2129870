//! Plans the objects that pods need apart from containers: the cluster's network, volumes and images. Each
//! is planned once, for the first pod that needs it.

use std::collections::BTreeMap;

use tally_graph::Pull;
use tally_source::{Diagnostic, Span, engine_codes};

use crate::input::observed::HostState;
use crate::inventory::classify::owns;
use crate::labels::{self, Role};
use crate::plan::builder::{About, Builder};
use crate::plan::request::{NetworkRequest, VolumeRequest};
use crate::plan::subject::Subject;
use crate::plan::{Action, Cause, ChangeKind, OpId, Precondition};
use crate::planner::images::{Choice, ImageSource};

/// The operation that provides an object, or `None` if the object already exists.
type Provided = Option<OpId>;

/// A volume that a pod needs.
pub(crate) struct WantedVolume {
    /// Its name in Docker.
    pub docker_name: String,
    /// Whether it is a pod's own volume or a named one.
    pub role: Role,
    /// The pod that owns it, or the volume itself if it is a named one.
    pub subject: Subject,
    /// Its name in the spec.
    pub name: String,
    /// Whether it is stored in memory.
    pub in_memory: bool,
    /// Its place in the spec.
    pub origin: Span,
}

impl WantedVolume {
    /// Returns the request that creates the volume.
    pub fn request(&self, cluster: &str) -> VolumeRequest {
        let mut all = labels::owner_labels(cluster, self.role);
        all.insert(labels::WORKLOAD.to_owned(), self.subject.address().into_owned());
        all.insert(labels::NAME.to_owned(), self.name.clone());
        if let Some(pod) = self.subject.pod() {
            all.insert(labels::POD.to_owned(), pod.to_owned());
        }
        let (name, in_memory) = (self.docker_name.clone(), self.in_memory);
        VolumeRequest { name, labels: all, in_memory }
    }
}

/// The objects of one host, and the operations planned for them.
pub(crate) struct Objects<'a> {
    cluster: &'a str,
    host: &'a str,
    state: &'a HostState,
    cluster_span: Option<Span>,
    /// By name and pull policy, because `pull missing` of one container does not satisfy `pull always` of
    /// another.
    images: BTreeMap<(String, &'static str), Provided>,
    volumes: BTreeMap<String, Provided>,
    network: Option<Provided>,
}

impl<'a> Objects<'a> {
    /// Creates the objects of a host without any planned operation.
    pub fn new(
        cluster: &'a str,
        host: &'a str,
        state: &'a HostState,
        cluster_span: Option<Span>,
    ) -> Self {
        let (images, volumes) = (BTreeMap::new(), BTreeMap::new());
        Self { cluster, host, state, cluster_span, images, volumes, network: None }
    }

    fn about(&self, subject: Subject, cause: Cause, origin: Option<Span>) -> About {
        About { host: self.host.to_owned(), subject, cause, origin }
    }

    /// Plans the image of a new container. Returns the operation and the image's name on this host.
    pub fn image(
        &mut self,
        image: &str,
        pull: Pull,
        choice: &Choice,
        origin: Span,
        builder: &mut Builder,
    ) -> (Provided, String) {
        match (choice.source_on(image, self.state), pull) {
            (ImageSource::Present(name), _) => (None, name),
            (ImageSource::Pull(digest), Pull::Missing | Pull::Always) => {
                (self.named_image(&digest, Pull::Missing, origin, builder), digest)
            }
            (ImageSource::Pull(_) | ImageSource::Other, _)
                if self.state.images.contains_key(image) =>
            {
                builder.report(choice.other_image(image, self.host, self.state, origin));
                (None, image.to_owned())
            }
            _ => (self.named_image(image, pull, origin, builder), image.to_owned()),
        }
    }

    /// Plans an image by name.
    fn named_image(
        &mut self,
        image: &str,
        pull: Pull,
        origin: Span,
        builder: &mut Builder,
    ) -> Provided {
        let policy = match pull {
            Pull::Missing => "missing",
            Pull::Always => "always",
            Pull::Never => "never",
        };
        let key = (image.to_owned(), policy);
        if let Some(known) = self.images.get(&key) {
            return *known;
        }
        let present = self.state.images.contains_key(image);
        let about = self.about(Subject::Image(image.to_owned()), Cause::Needed, Some(origin));
        let provided = match (image == labels::INFRA_IMAGE, pull) {
            (true, _) if present => None,
            (true, _) => Some(builder.op(&about, Action::LoadInfraImage, Precondition::None, &[])),
            (false, Pull::Missing | Pull::Never) if present => None,
            (false, Pull::Never) => {
                builder.report(
                    Diagnostic::error(
                        engine_codes::IMAGE_UNAVAILABLE,
                        format!("host `{}` has no image `{image}`", self.host),
                    )
                    .label(origin, "never pulled, because of `pull never`")
                    .help("Load the image on the host, or take `pull never` away."),
                );
                None
            }
            (false, Pull::Missing | Pull::Always) => {
                let action = Action::PullImage { image: image.to_owned() };
                Some(builder.op(&about, action, Precondition::None, &[]))
            }
        };
        self.images.insert(key, provided);
        provided
    }

    /// Plans the cluster's network.
    pub fn network(&mut self, builder: &mut Builder) -> Provided {
        if let Some(known) = self.network {
            return known;
        }
        let named: Vec<_> =
            self.state.networks.iter().filter(|network| network.name == self.cluster).collect();
        let ours = named.iter().any(|n| owns(self.cluster, Role::Network, &n.labels));
        let provided = if ours {
            None
        } else if named.is_empty() {
            let subject = Subject::Cluster(self.cluster.to_owned());
            let about = self.about(subject, Cause::New, self.cluster_span);
            let request = NetworkRequest {
                name: self.cluster.to_owned(),
                labels: labels::owner_labels(self.cluster, Role::Network),
            };
            let action = Action::CreateNetwork(request);
            let id = builder.op(&about, action, Precondition::None, &[]);
            let note = Some(format!("network {}", self.cluster));
            builder.change(&about, ChangeKind::Create, Vec::new(), note, vec![id]);
            Some(id)
        } else {
            let mut found = Diagnostic::error(
                engine_codes::NAME_TAKEN,
                format!("a network `{}` on host `{}` is not Tally's", self.cluster, self.host),
            );
            if let Some(span) = self.cluster_span {
                found = found.label(span, "this cluster's network has the cluster's name");
            }
            builder.report(found.help(format!(
                "Give the cluster another name, or remove the network when nothing uses it: \
                 `docker network rm {}`.",
                self.cluster
            )));
            None
        };
        self.network = Some(provided);
        provided
    }

    /// Plans a Docker volume.
    pub fn volume(&mut self, wanted: &WantedVolume, builder: &mut Builder) -> Provided {
        let (docker_name, origin) = (&wanted.docker_name, wanted.origin);
        if let Some(known) = self.volumes.get(docker_name) {
            return *known;
        }
        let provided = match self.state.volumes.iter().find(|volume| volume.name == *docker_name) {
            Some(volume) if owns(self.cluster, wanted.role, &volume.labels) => None,
            Some(_) => {
                builder.report(
                    Diagnostic::error(
                        engine_codes::NAME_TAKEN,
                        format!("a volume `{docker_name}` on host `{}` is not Tally's", self.host),
                    )
                    .label(origin, "this volume has that name in Docker")
                    .help(format!(
                        "Give one of them another name. Tally never takes over a volume: to keep \
                         the data, copy it into a volume of Tally's. See what it is with \
                         `docker volume inspect {docker_name}`."
                    )),
                );
                None
            }
            None => {
                let about = self.about(wanted.subject.clone(), Cause::New, Some(origin));
                let action = Action::CreateVolume(wanted.request(self.cluster));
                let id = builder.op(&about, action, Precondition::None, &[]);
                let note = Some(format!("volume {}", wanted.name));
                builder.change(&about, ChangeKind::Create, Vec::new(), note, vec![id]);
                Some(id)
            }
        };
        self.volumes.insert(docker_name.clone(), provided);
        provided
    }
}
