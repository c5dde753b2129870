//! The specified state as plain data: the vocabulary that the compiler and the engine share.
//!
//! A [`Graph`] is the result of compiling and the input of planning. It is serde data with its source
//! map, so it can be saved, compared, sent, and planned from without the sources.

mod address;
mod container;
mod field_path;
mod hash;
mod image;
mod model;
pub mod schema;
mod secret;
mod selector;
mod spec_graph;
mod template;
mod units;

pub use address::{Address, Kind};
pub use container::{
    Container, FileSpec, FileText, Mount, MountSource, Port, Probe, ProbeAction, Protocol, Publish,
    Pull, Resources, Settings, Stop, Ulimit,
};
pub use field_path::{FieldPath, Provenance, flatten};
pub use hash::sha256;
pub use image::{ImageError, ImageRef};
pub use model::{
    Capacity, Cluster, Dependency, Fingerprint, Host, HostAddress, OnFailure, Place, PodVolume,
    PodVolumeSource, Replicas, Restart, Service, ServicePort, Strategy, TlsFiles, Until, Update,
    Volume, Workload, WorkloadKind,
};
pub use secret::{Secret, SecretSource};
pub use selector::Selector;
pub use spec_graph::{Edge, FileContent, Graph, GraphNode};
pub use template::{Function, PartKind, Template, TemplatePart, env_form};
pub use units::{Amount, Bytes, Cpu, Millis, UnitError};
