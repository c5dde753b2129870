//! Words of other tools, and what to say to those who bring them.

use tally_graph::schema::KindRow;
use tally_source::Code;

use crate::codes::{NOT_DONE, OTHER_TOOL};

/// What is said to a word.
#[derive(Debug, Clone, Copy)]
pub(super) enum Answer {
    /// It is called like this here.
    Renamed(&'static str),
    /// A code, a headline and help.
    Says(Code, &'static str, &'static str),
}

use Answer::{Renamed, Says};

/// `readinessProbe` and `readiness_probe` as `readiness-probe`.
pub(super) fn kebab(word: &str) -> String {
    let mut out = String::with_capacity(word.len() + 4);
    let mut lower = false;
    for c in word.chars() {
        if c == '_' {
            out.push('-');
        } else if c.is_ascii_uppercase() {
            if lower {
                out.push('-');
            }
            out.push(c.to_ascii_lowercase());
        } else {
            out.push(c);
        }
        lower = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    out
}

/// What is said to a word (in kebab case) in a kind.
pub(super) fn answer(kind: &KindRow, word: &str) -> Option<Answer> {
    let tables: &[&[(&str, Answer)]] = match kind.key {
        "spec" => &[TOP, ANYWHERE],
        "pod" | "controller" => &[POD, ANYWHERE],
        "container" | "init" => &[CONTAINER, ANYWHERE],
        "service" => &[SERVICE, ANYWHERE],
        "readiness" | "liveness" => &[PROBE],
        "resources" | "capacity" => &[RESOURCES],
        "port" | "service port" => &[PORT],
        "mount" => &[MOUNT],
        "volume" | "pod volume" => &[VOLUME],
        "file" => &[FILE],
        "stop" => &[STOP],
        "cluster" => &[CLUSTER],
        "host" => &[HOST],
        _ => &[],
    };
    tables
        .iter()
        .flat_map(|table| table.iter())
        .find(|(known, _)| *known == word)
        .map(|(_, answer)| *answer)
}

const BUILD: Answer = Says(
    NOT_DONE,
    "Tally runs images, it does not build them",
    "Build the image first (`docker build -t NAME .`), and name it here by `image`.",
);
const NETWORKS: Answer = Says(
    NOT_DONE,
    "there are no networks to declare: the pods of a cluster share one",
    "A pod reaches another by its name; `port` and `publish` say what is reachable from outside.",
);
const KUBERNETES: Answer = Says(
    OTHER_TOOL,
    "this is a Kubernetes manifest",
    "Here a thing is one node: its kind, its name, its fields, as in `controller web replicas=3 { container web image=\"nginx:1.27\" }`.",
);
const ARGS: Answer = Says(
    OTHER_TOOL,
    "there is no `args`: `entrypoint` is what is started, and `command` what is handed to it",
    "Kubernetes' `command` is `entrypoint` here, and its `args` is `command`.",
);

static ANYWHERE: &[(&str, Answer)] = &[
    ("build", BUILD),
    ("dockerfile", BUILD),
    ("networks", NETWORKS),
    ("network-mode", NETWORKS),
    (
        "namespace",
        Says(
            NOT_DONE,
            "there are no namespaces: the cluster is the namespace",
            "Its name stands on everything it makes; give another set of pods another `cluster`.",
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

static TOP: &[(&str, Answer)] = &[
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
            "containers stand in a `pod` or a `controller`, each with its own word",
            "For example: `pod web { container web image=\"nginx:1.27\" }`",
        ),
    ),
    (
        "container",
        Says(
            OTHER_TOOL,
            "a container stands in a `pod` or a `controller`",
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
            "secrets will be declared one by one by `secret`, which is not in this version yet",
            "Until then a file of the host comes in by a pod's `volume NAME host-path=\"…\"`.",
        ),
    ),
    (
        "ingress",
        Says(
            NOT_DONE,
            "Tally routes no HTTP; a container's port is published on its host",
            "For example: `port http 8080 publish=80`. A reverse proxy can be a pod like any other.",
        ),
    ),
    (
        "route",
        Says(
            NOT_DONE,
            "Tally routes no HTTP; a container's port is published on its host",
            "For example: `port http 8080 publish=80`. A reverse proxy can be a pod like any other.",
        ),
    ),
    ("autoscale", Says(NOT_DONE, "Tally does not scale by itself: `replicas` says how many", "")),
    (
        "hook",
        Says(
            NOT_DONE,
            "there are no hooks in a spec",
            "What must run first is an `init` of the pod.",
        ),
    ),
    (
        "allow",
        Says(
            NOT_DONE,
            "there are no rules of access in a spec",
            "What has no `publish` is not reachable from outside.",
        ),
    ),
    (
        "deny",
        Says(
            NOT_DONE,
            "there are no rules of access in a spec",
            "What has no `publish` is not reachable from outside.",
        ),
    ),
    (
        "include",
        Says(
            OTHER_TOOL,
            "more of the same spec comes in by `use`",
            "For example: `use \"./more.kdl\"`",
        ),
    ),
    (
        "import",
        Says(
            OTHER_TOOL,
            "more of the same spec comes in by `use`",
            "For example: `use \"./more.kdl\"`",
        ),
    ),
    (
        "source",
        Says(
            OTHER_TOOL,
            "more of the same spec comes in by `use`",
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
            "an init stands in a `pod` or a `controller`",
            "For example: `pod web { init prepare image=\"…\"; container web image=\"…\" }`",
        ),
    ),
];

static POD: &[(&str, Answer)] = &[
    ("containers", Renamed("container")),
    ("init-containers", Renamed("init")),
    ("init-container", Renamed("init")),
    ("restart-policy", Renamed("restart")),
    ("labels", Renamed("label")),
    ("volumes", Renamed("volume")),
    (
        "node-selector",
        Says(
            OTHER_TOOL,
            "hosts are chosen by `place`",
            "For example: `place { require disk=ssd }`",
        ),
    ),
    (
        "affinity",
        Says(
            OTHER_TOOL,
            "hosts are chosen by `place`",
            "For example: `place { require disk=ssd }`",
        ),
    ),
    (
        "tolerations",
        Says(
            OTHER_TOOL,
            "hosts are chosen by `place`",
            "For example: `place { require disk=ssd }`",
        ),
    ),
    (
        "constraint",
        Says(
            OTHER_TOOL,
            "hosts are chosen by `place`",
            "For example: `place { require disk=ssd }`",
        ),
    ),
    (
        "deploy",
        Says(
            OTHER_TOOL,
            "this is Compose: what is in `deploy` are fields of the controller",
            "For example: `controller web replicas=3 { update max-unavailable=1 }`",
        ),
    ),
    ("update-config", Renamed("update")),
    (
        "strategy",
        Says(
            OTHER_TOOL,
            "how pods are replaced is said by `update` of a controller",
            "For example: `update max-unavailable=1`",
        ),
    ),
    ("scale", Renamed("replicas")),
    ("count", Renamed("replicas")),
    ("instances", Renamed("replicas")),
    (
        "selector",
        Says(OTHER_TOOL, "a controller knows its pods; only services select", "Leave it out."),
    ),
    (
        "select",
        Says(OTHER_TOOL, "a controller knows its pods; only services select", "Leave it out."),
    ),
    (
        "service",
        Says(
            OTHER_TOOL,
            "a service stands at the top of the spec",
            "For example: `service web { select controller=web; port http }`",
        ),
    ),
    (
        "mount",
        Says(
            OTHER_TOOL,
            "a volume is mounted by a container of the pod",
            "For example: `container web image=\"…\" { mount data \"/data\" }`",
        ),
    ),
    ("links", Says(OTHER_TOOL, "pods reach each other by name, without links", "Leave it out.")),
    (
        "healthcheck",
        Says(
            OTHER_TOOL,
            "how a container is asked is said in it, by `readiness` and `liveness`",
            "For example: `container web image=\"…\" { readiness every=\"5s\" { command \"true\" } }`",
        ),
    ),
];

static CONTAINER: &[(&str, Answer)] = &[
    ("readiness-probe", Renamed("readiness")),
    ("ready", Renamed("readiness")),
    ("liveness-probe", Renamed("liveness")),
    (
        "healthcheck",
        Says(
            OTHER_TOOL,
            "there are two checks: `readiness` says when it counts as ready, `liveness` when it is restarted",
            "For example: `readiness every=\"5s\" { command \"true\" }`",
        ),
    ),
    (
        "health-check",
        Says(
            OTHER_TOOL,
            "there are two checks: `readiness` says when it counts as ready, `liveness` when it is restarted",
            "For example: `readiness every=\"5s\" { command \"true\" }`",
        ),
    ),
    (
        "startup-probe",
        Says(
            OTHER_TOOL,
            "a startup probe is not in this version yet",
            "`delay` of `readiness` and `liveness` gives a slow start its time.",
        ),
    ),
    ("environment", Renamed("env")),
    ("envs", Renamed("env")),
    ("ports", Renamed("port")),
    ("expose", Renamed("port")),
    ("cmd", Renamed("command")),
    ("run", Renamed("command")),
    ("args", ARGS),
    ("arguments", ARGS),
    ("image-pull-policy", Renamed("pull")),
    ("pull-policy", Renamed("pull")),
    ("working-dir", Renamed("workdir")),
    ("work-dir", Renamed("workdir")),
    ("cwd", Renamed("workdir")),
    ("run-as-user", Renamed("user")),
    ("limits", Renamed("resources")),
    ("volume-mounts", Renamed("mount")),
    ("volume-mount", Renamed("mount")),
    ("mounts", Renamed("mount")),
    (
        "volumes",
        Says(
            OTHER_TOOL,
            "a container mounts volumes by `mount`; the pod or the spec declares them by `volume`",
            "For example: `mount data \"/data\"`",
        ),
    ),
    (
        "volume",
        Says(
            OTHER_TOOL,
            "a volume stands in the pod or at the top; a container mounts it",
            "For example: `mount data \"/data\"`",
        ),
    ),
    ("files", Renamed("file")),
    ("config", Renamed("file")),
    ("configs", Renamed("file")),
    ("ulimits", Renamed("ulimit")),
    (
        "memory",
        Says(
            OTHER_TOOL,
            "`memory` stands in `resources`",
            "For example: `resources memory=\"256MiB\"`",
        ),
    ),
    (
        "mem-limit",
        Says(
            OTHER_TOOL,
            "the memory limit stands in `resources`",
            "For example: `resources memory=\"256MiB\"`",
        ),
    ),
    (
        "mem-reservation",
        Says(
            OTHER_TOOL,
            "reserved memory stands in `resources`",
            "For example: `resources memory=\"256MiB\" max-memory=\"512MiB\"`",
        ),
    ),
    ("cpu", Says(OTHER_TOOL, "`cpu` stands in `resources`", "For example: `resources cpu=0.5`")),
    (
        "cpus",
        Says(
            OTHER_TOOL,
            "cores stand in `resources`",
            "For example: `resources cpu=0.5`; `max-cpu` caps them.",
        ),
    ),
    (
        "stop-signal",
        Says(OTHER_TOOL, "the signal stands in `stop`", "For example: `stop signal=SIGTERM`"),
    ),
    (
        "stop-grace-period",
        Says(OTHER_TOOL, "the grace period stands in `stop`", "For example: `stop grace=\"20s\"`"),
    ),
    (
        "stop-timeout",
        Says(OTHER_TOOL, "the grace period stands in `stop`", "For example: `stop grace=\"20s\"`"),
    ),
    (
        "termination-grace-period-seconds",
        Says(OTHER_TOOL, "the grace period stands in `stop`", "For example: `stop grace=\"20s\"`"),
    ),
    (
        "lifecycle",
        Says(
            NOT_DONE,
            "there are no hooks in a container",
            "What must run first is an `init`; how it ends is said by `stop`.",
        ),
    ),
    (
        "restart",
        Says(
            OTHER_TOOL,
            "`restart` is said for the whole pod",
            "For example: `pod web restart=on-failure { … }`",
        ),
    ),
    (
        "restart-policy",
        Says(
            OTHER_TOOL,
            "`restart` is said for the whole pod",
            "For example: `pod web restart=on-failure { … }`",
        ),
    ),
    (
        "label",
        Says(OTHER_TOOL, "labels are the pod's", "For example: `pod web { label app=shop }`"),
    ),
    (
        "labels",
        Says(OTHER_TOOL, "labels are the pod's", "For example: `pod web { label app=shop }`"),
    ),
    ("links", Says(OTHER_TOOL, "pods reach each other by name, without links", "Leave it out.")),
    (
        "container-name",
        Says(
            OTHER_TOOL,
            "the name stands behind the word: `container NAME`",
            "Docker's name is made of the cluster's, the pod's and the container's.",
        ),
    ),
    ("name", Says(OTHER_TOOL, "the name stands behind the word: `container NAME`", "")),
    (
        "replicas",
        Says(
            OTHER_TOOL,
            "`replicas` is said for a controller",
            "For example: `controller web replicas=3 { … }`",
        ),
    ),
    (
        "deploy",
        Says(
            OTHER_TOOL,
            "this is Compose: `replicas` are the controller's, limits stand in `resources`",
            "",
        ),
    ),
    (
        "secrets",
        Says(
            OTHER_TOOL,
            "secrets are not in this version yet",
            "Until then a file of the host comes in by a pod's `volume NAME host-path=\"…\"`.",
        ),
    ),
    (
        "security-context",
        Says(
            OTHER_TOOL,
            "security options are not in this version yet",
            "`user` is: `user \"1000:1000\"`.",
        ),
    ),
    (
        "cap-add",
        Says(
            OTHER_TOOL,
            "rights of the kernel will be `capability`, which is not in this version yet",
            "",
        ),
    ),
    (
        "cap-drop",
        Says(
            OTHER_TOOL,
            "rights of the kernel will be `capability`, which is not in this version yet",
            "",
        ),
    ),
    (
        "logging",
        Says(OTHER_TOOL, "the log driver will be `log`, which is not in this version yet", ""),
    ),
    ("init", Says(OTHER_TOOL, "an init stands in the pod, beside its containers", "")),
    (
        "tty",
        Says(NOT_DONE, "pods have no terminal", "`tally exec` opens one in a running container."),
    ),
    (
        "stdin-open",
        Says(NOT_DONE, "pods have no terminal", "`tally exec` opens one in a running container."),
    ),
    (
        "extends",
        Says(
            OTHER_TOOL,
            "what is shared will be a `component`, which is not in this version yet",
            "",
        ),
    ),
    (
        "profiles",
        Says(
            OTHER_TOOL,
            "what differs will be an `environment`, which is not in this version yet",
            "",
        ),
    ),
];

static SERVICE: &[(&str, Answer)] = &[
    ("selector", Renamed("select")),
    ("ports", Renamed("port")),
    (
        "image",
        Says(
            OTHER_TOOL,
            "this is Compose: what runs is a `pod` or a `controller`; a `service` is a stable name for pods",
            "For example: `controller web { container web image=\"nginx:1.27\" }`",
        ),
    ),
    (
        "container",
        Says(
            OTHER_TOOL,
            "containers stand in a `pod` or a `controller`; a `service` is a stable name for pods",
            "For example: `controller web { container web image=\"nginx:1.27\" }`",
        ),
    ),
    (
        "command",
        Says(
            OTHER_TOOL,
            "this is Compose: what runs is a `pod` or a `controller`; a `service` is a stable name for pods",
            "",
        ),
    ),
    (
        "type",
        Says(
            OTHER_TOOL,
            "a service has no type; what has `publish` is reachable from outside",
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
            "`publish` is said for one port",
            "For example: `port http 80 publish=8080`",
        ),
    ),
];

static PROBE: &[(&str, Answer)] = &[
    ("http-get", Renamed("http")),
    ("path", Renamed("http")),
    ("exec", Renamed("command")),
    ("test", Renamed("command")),
    ("cmd", Renamed("command")),
    ("tcp-socket", Renamed("tcp")),
    ("interval", Renamed("every")),
    ("period", Renamed("every")),
    ("period-seconds", Renamed("every")),
    ("timeout-seconds", Renamed("timeout")),
    ("initial-delay", Renamed("delay")),
    ("initial-delay-seconds", Renamed("delay")),
    ("start-period", Renamed("delay")),
    ("retries", Renamed("failures")),
    ("failure-threshold", Renamed("failures")),
    ("success-threshold", Renamed("successes")),
];

static RESOURCES: &[(&str, Answer)] = &[
    (
        "limits",
        Says(
            OTHER_TOOL,
            "limits are `max-cpu` and `max-memory`",
            "For example: `resources cpu=0.5 memory=\"256MiB\" max-memory=\"512MiB\"`",
        ),
    ),
    (
        "requests",
        Says(
            OTHER_TOOL,
            "what is reserved is `cpu` and `memory`",
            "For example: `resources cpu=0.5 memory=\"256MiB\"`",
        ),
    ),
    (
        "reservations",
        Says(
            OTHER_TOOL,
            "what is reserved is `cpu` and `memory`",
            "For example: `resources cpu=0.5 memory=\"256MiB\"`",
        ),
    ),
    ("mem", Renamed("memory")),
    ("ram", Renamed("memory")),
    ("cpus", Renamed("cpu")),
    ("cores", Renamed("cpu")),
    ("memory-limit", Renamed("max-memory")),
    ("mem-limit", Renamed("max-memory")),
    ("cpu-limit", Renamed("max-cpu")),
];

static PORT: &[(&str, Answer)] = &[
    ("host-port", Renamed("publish")),
    ("published", Renamed("publish")),
    ("host", Renamed("publish")),
    ("proto", Renamed("protocol")),
    (
        "container-port",
        Says(OTHER_TOOL, "the number stands behind the name", "For example: `port http 8080`"),
    ),
    (
        "target-port",
        Says(OTHER_TOOL, "the number stands behind the name", "For example: `port http 8080`"),
    ),
    (
        "target",
        Says(OTHER_TOOL, "the number stands behind the name", "For example: `port http 8080`"),
    ),
];

static MOUNT: &[(&str, Answer)] = &[
    ("ro", Renamed("read-only")),
    ("readonly", Renamed("read-only")),
    (
        "source",
        Says(
            OTHER_TOOL,
            "a mount is the volume and the path, side by side",
            "For example: `mount data \"/data\"`",
        ),
    ),
    (
        "target",
        Says(
            OTHER_TOOL,
            "a mount is the volume and the path, side by side",
            "For example: `mount data \"/data\"`",
        ),
    ),
    (
        "mount-path",
        Says(
            OTHER_TOOL,
            "a mount is the volume and the path, side by side",
            "For example: `mount data \"/data\"`",
        ),
    ),
    (
        "name",
        Says(
            OTHER_TOOL,
            "a mount is the volume and the path, side by side",
            "For example: `mount data \"/data\"`",
        ),
    ),
];

static VOLUME: &[(&str, Answer)] = &[
    ("path", Renamed("host-path")),
    ("hostpath", Renamed("host-path")),
    ("source", Renamed("host-path")),
    (
        "empty-dir",
        Says(
            OTHER_TOOL,
            "a pod's volume is empty when nothing else is said",
            "For example: `volume cache`",
        ),
    ),
    ("size", Says(NOT_DONE, "volumes have no size", "Docker does not limit them.")),
];

static FILE: &[(&str, Answer)] = &[
    ("content", Renamed("text")),
    ("contents", Renamed("text")),
    ("source", Renamed("from")),
    ("src", Renamed("from")),
    ("file", Renamed("from")),
    ("permissions", Renamed("mode")),
    ("perms", Renamed("mode")),
    ("user", Renamed("owner")),
    ("signal", Renamed("on-change")),
    ("reload", Renamed("on-change")),
];

static STOP: &[(&str, Answer)] =
    &[("timeout", Renamed("grace")), ("grace-period", Renamed("grace"))];

static CLUSTER: &[(&str, Answer)] = &[
    ("hosts", Renamed("host")),
    ("node", Renamed("host")),
    ("nodes", Renamed("host")),
    ("server", Renamed("host")),
    ("machine", Renamed("host")),
    (
        "pod",
        Says(
            OTHER_TOOL,
            "pods stand beside the cluster, at the top of the spec",
            "The block of the cluster holds its hosts.",
        ),
    ),
    (
        "controller",
        Says(
            OTHER_TOOL,
            "controllers stand beside the cluster, at the top of the spec",
            "The block of the cluster holds its hosts.",
        ),
    ),
    (
        "service",
        Says(
            OTHER_TOOL,
            "services stand beside the cluster, at the top of the spec",
            "The block of the cluster holds its hosts.",
        ),
    ),
    (
        "volume",
        Says(
            OTHER_TOOL,
            "volumes stand beside the cluster, at the top of the spec",
            "The block of the cluster holds its hosts.",
        ),
    ),
];

static HOST: &[(&str, Answer)] = &[
    ("labels", Renamed("label")),
    (
        "url",
        Says(
            OTHER_TOOL,
            "the address stands behind the name",
            "For example: `host a \"ssh://deploy@10.0.0.11\"`",
        ),
    ),
    ("resources", Renamed("capacity")),
];
