//! Words at the top of a spec, in clusters, volumes and services.

use super::answer::Answer::{self, Renamed, Says, Similar};
use crate::codes::{NOT_DONE, OTHER_TOOL};

pub(super) const BUILD: Answer = Says(
    NOT_DONE,
    "Tally runs images, it does not build them",
    "Build the image first (`docker build -t NAME .`), and name it here by `image`.",
);
pub(super) const NETWORKS: Answer = Says(
    NOT_DONE,
    "there are no networks to declare: the pods of a cluster share one",
    "A pod reaches another by its name; `port` and `publish` set the ports that are reachable from outside.",
);
pub(super) const KUBERNETES: Answer = Says(
    OTHER_TOOL,
    "this is a Kubernetes manifest",
    "Here a thing is one node: its kind, its name, its fields, as in `controller web replicas=3 { container web image=\"nginx:1.27\" }`.",
);
pub(super) const ARGS: Answer = Says(
    OTHER_TOOL,
    "there is no `args`: `entrypoint` is the program, and `command` its arguments",
    "Kubernetes' `command` is `entrypoint` here, and its `args` is `command`.",
);

pub(super) static ANYWHERE: &[(&str, Answer)] = &[
    ("build", BUILD),
    ("dockerfile", BUILD),
    ("networks", NETWORKS),
    ("network-mode", NETWORKS),
    (
        "namespace",
        Says(
            NOT_DONE,
            "there are no namespaces: the cluster is the namespace",
            "Its name is part of every object of it; give another set of pods another `cluster`.",
        ),
    ),
    ("metadata", KUBERNETES),
    ("spec", KUBERNETES),
    ("template", KUBERNETES),
    ("api-version", KUBERNETES),
    (
        "annotations",
        Says(
            OTHER_TOOL,
            "there are no annotations; a pod has labels",
            "For example: `label team=shop`",
        ),
    ),
];

pub(super) static TOP: &[(&str, Answer)] = &[
    (
        "services",
        Says(
            OTHER_TOOL,
            "this is Compose: a service's containers are a `pod` or a `controller`",
            "A service of Compose is written `controller NAME replicas=N { container NAME image=\"…\" }`, or `pod` for a single one. A `service` here is a stable name for pods.",
        ),
    ),
    ("network", NETWORKS),
    (
        "volumes",
        Says(
            OTHER_TOOL,
            "this is Compose: each volume is a node of its own",
            "For example: `volume data`",
        ),
    ),
    (
        "containers",
        Says(
            OTHER_TOOL,
            "containers belong in a `pod` or a `controller`, each with its own word",
            "For example: `pod web { container web image=\"nginx:1.27\" }`",
        ),
    ),
    (
        "container",
        Says(
            OTHER_TOOL,
            "a container belongs in a `pod` or a `controller`",
            "For example: `pod web { container web image=\"nginx:1.27\" }`",
        ),
    ),
    (
        "deployment",
        Says(
            OTHER_TOOL,
            "a Deployment is a `controller` here",
            "For example: `controller web replicas=3 { container web image=\"nginx:1.27\" }`",
        ),
    ),
    (
        "replicaset",
        Says(
            OTHER_TOOL,
            "a ReplicaSet is a `controller` here",
            "For example: `controller web replicas=3 { container web image=\"nginx:1.27\" }`",
        ),
    ),
    (
        "replica-set",
        Says(
            OTHER_TOOL,
            "a ReplicaSet is a `controller` here",
            "For example: `controller web replicas=3 { container web image=\"nginx:1.27\" }`",
        ),
    ),
    (
        "statefulset",
        Says(
            OTHER_TOOL,
            "a StatefulSet is a `controller` here: its pods have numbers",
            "For example: `controller db { container db image=\"postgres:16\" }`",
        ),
    ),
    (
        "stateful-set",
        Says(
            OTHER_TOOL,
            "a StatefulSet is a `controller` here: its pods have numbers",
            "For example: `controller db { container db image=\"postgres:16\" }`",
        ),
    ),
    (
        "daemonset",
        Says(
            OTHER_TOOL,
            "a DaemonSet is a `controller` with `replicas=per-host`",
            "For example: `controller agent replicas=per-host { container agent image=\"agent:1\" }`",
        ),
    ),
    (
        "daemon-set",
        Says(
            OTHER_TOOL,
            "a DaemonSet is a `controller` with `replicas=per-host`",
            "For example: `controller agent replicas=per-host { container agent image=\"agent:1\" }`",
        ),
    ),
    (
        "cronjob",
        Says(
            OTHER_TOOL,
            "a CronJob will be a `job` with a `schedule`, which is not in this version yet",
            "",
        ),
    ),
    (
        "cron-job",
        Says(
            OTHER_TOOL,
            "a CronJob will be a `job` with a `schedule`, which is not in this version yet",
            "",
        ),
    ),
    (
        "configmap",
        Says(
            OTHER_TOOL,
            "there are no ConfigMaps: a container has its files and variables itself",
            "For example: `file \"/etc/app.conf\" from=\"app.conf\"` or `env LOG=info` in the container.",
        ),
    ),
    (
        "config-map",
        Says(
            OTHER_TOOL,
            "there are no ConfigMaps: a container has its files and variables itself",
            "For example: `file \"/etc/app.conf\" from=\"app.conf\"` or `env LOG=info` in the container.",
        ),
    ),
    (
        "configs",
        Says(
            OTHER_TOOL,
            "there are no configs: a container has its files itself",
            "For example: `file \"/etc/app.conf\" from=\"app.conf\"` in the container.",
        ),
    ),
    (
        "secrets",
        Says(
            OTHER_TOOL,
            "secrets are declared one by one",
            "For example: `secret NAME file=\"secrets/NAME\"`, and in the container `file \"/run/secrets/NAME\" secret=NAME`.",
        ),
    ),
    (
        "ingress",
        Says(
            NOT_DONE,
            "Tally does not route HTTP; a container's port is published on its host",
            "For example: `port http 8080 publish=80`. A reverse proxy can be a pod like any other.",
        ),
    ),
    (
        "route",
        Says(
            NOT_DONE,
            "Tally does not route HTTP; a container's port is published on its host",
            "For example: `port http 8080 publish=80`. A reverse proxy can be a pod like any other.",
        ),
    ),
    (
        "autoscale",
        Says(NOT_DONE, "Tally does not scale by itself: `replicas` is the number of pods", ""),
    ),
    (
        "hook",
        Says(
            NOT_DONE,
            "there are no hooks in a spec",
            "To run something first, use an `init` of the pod.",
        ),
    ),
    (
        "allow",
        Says(
            NOT_DONE,
            "a spec has no network access rules",
            "A port without `publish` is not reachable from outside.",
        ),
    ),
    (
        "deny",
        Says(
            NOT_DONE,
            "a spec has no network access rules",
            "A port without `publish` is not reachable from outside.",
        ),
    ),
    (
        "include",
        Says(
            OTHER_TOOL,
            "other files of the spec are included by `use`",
            "For example: `use \"./more.kdl\"`",
        ),
    ),
    (
        "import",
        Says(
            OTHER_TOOL,
            "other files of the spec are included by `use`",
            "For example: `use \"./more.kdl\"`",
        ),
    ),
    (
        "source",
        Says(
            OTHER_TOOL,
            "other files of the spec are included by `use`",
            "For example: `use \"./more.kdl\"`",
        ),
    ),
    (
        "variable",
        Says(
            OTHER_TOOL,
            "a named value will be a `let`, which is not in this version yet",
            "Write the value where it is used.",
        ),
    ),
    (
        "locals",
        Says(
            OTHER_TOOL,
            "a named value will be a `let`, which is not in this version yet",
            "Write the value where it is used.",
        ),
    ),
    (
        "var",
        Says(
            OTHER_TOOL,
            "a named value will be a `let`, which is not in this version yet",
            "Write the value where it is used.",
        ),
    ),
    (
        "resource",
        Says(
            OTHER_TOOL,
            "this is Terraform: here the kind is the word itself",
            "For example: `pod web { … }`, `volume data`",
        ),
    ),
    (
        "module",
        Says(OTHER_TOOL, "a module will be a `component`, which is not in this version yet", ""),
    ),
    (
        "provider",
        Says(
            OTHER_TOOL,
            "this is Terraform: here the cluster says which hosts it runs on",
            "For example: `cluster shop { host a \"ssh://deploy@10.0.0.11\" }`",
        ),
    ),
    (
        "terraform",
        Says(
            OTHER_TOOL,
            "this is Terraform: a spec begins with its cluster",
            "For example: `cluster shop`",
        ),
    ),
    ("version", Says(OTHER_TOOL, "a spec has no version line", "Leave it out.")),
    ("name", Says(OTHER_TOOL, "the name is the cluster's: `cluster NAME`", "")),
    ("kind", KUBERNETES),
    ("task", Says(OTHER_TOOL, "a task of Nomad is a `container` in a `pod` here", "")),
    ("group", Says(OTHER_TOOL, "a group of Nomad is a `pod` or a `controller` here", "")),
    (
        "node",
        Says(
            OTHER_TOOL,
            "a machine is a `host` of the cluster",
            "For example: `cluster shop { host a \"ssh://deploy@10.0.0.11\" }`",
        ),
    ),
    (
        "init",
        Says(
            OTHER_TOOL,
            "an init belongs in a `pod` or a `controller`",
            "For example: `pod web { init prepare image=\"…\"; container web image=\"…\" }`",
        ),
    ),
];

pub(super) static SERVICE: &[(&str, Answer)] = &[
    ("selector", Renamed("select")),
    ("ports", Renamed("port")),
    (
        "image",
        Says(
            OTHER_TOOL,
            "this is Compose: containers belong in a `pod` or a `controller`; a `service` is a stable name for pods",
            "For example: `controller web { container web image=\"nginx:1.27\" }`",
        ),
    ),
    (
        "container",
        Says(
            OTHER_TOOL,
            "containers belong in a `pod` or a `controller`; a `service` is a stable name for pods",
            "For example: `controller web { container web image=\"nginx:1.27\" }`",
        ),
    ),
    (
        "command",
        Says(
            OTHER_TOOL,
            "this is Compose: containers belong in a `pod` or a `controller`; a `service` is a stable name for pods",
            "",
        ),
    ),
    (
        "type",
        Says(
            OTHER_TOOL,
            "a service has no type; a port with `publish` is reachable from outside",
            "For example: `port http 80 publish=8080`",
        ),
    ),
    (
        "target-port",
        Says(
            OTHER_TOOL,
            "the name of the port is the name of the pods' port",
            "For example: `port http 80`",
        ),
    ),
    (
        "publish",
        Says(
            OTHER_TOOL,
            "`publish` is set on one port",
            "For example: `port http 80 publish=8080`",
        ),
    ),
];

pub(super) static CLUSTER: &[(&str, Answer)] = &[
    ("hosts", Renamed("host")),
    ("node", Renamed("host")),
    ("nodes", Renamed("host")),
    ("server", Renamed("host")),
    ("machine", Renamed("host")),
    (
        "pod",
        Says(
            OTHER_TOOL,
            "pods belong at the top of the spec, beside the cluster",
            "The block of the cluster holds its hosts.",
        ),
    ),
    (
        "controller",
        Says(
            OTHER_TOOL,
            "controllers belong at the top of the spec, beside the cluster",
            "The block of the cluster holds its hosts.",
        ),
    ),
    (
        "service",
        Says(
            OTHER_TOOL,
            "services belong at the top of the spec, beside the cluster",
            "The block of the cluster holds its hosts.",
        ),
    ),
    (
        "volume",
        Says(
            OTHER_TOOL,
            "volumes belong at the top of the spec, beside the cluster",
            "The block of the cluster holds its hosts.",
        ),
    ),
];

pub(super) static HOST: &[(&str, Answer)] = &[
    ("labels", Renamed("label")),
    (
        "url",
        Says(
            OTHER_TOOL,
            "the address is written after the name",
            "For example: `host a \"ssh://deploy@10.0.0.11\"`",
        ),
    ),
    ("resources", Similar("capacity")),
];
pub(super) static VOLUME: &[(&str, Answer)] = &[
    ("path", Similar("host-path")),
    ("hostpath", Renamed("host-path")),
    ("source", Similar("host-path")),
    (
        "empty-dir",
        Says(OTHER_TOOL, "a pod's volume is empty by default", "For example: `volume cache`"),
    ),
    ("size", Says(NOT_DONE, "volumes have no size", "Docker does not limit them.")),
];
