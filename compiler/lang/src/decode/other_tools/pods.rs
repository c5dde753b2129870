//! Words in pods, containers and their contents.

use super::answer::Answer::{self, Renamed, Says, Similar};
use super::top::ARGS;
use crate::codes::{NOT_DONE, OTHER_TOOL};

pub(super) static POD: &[(&str, Answer)] = &[
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
            "this is Compose: the fields in `deploy` are those of the controller",
            "For example: `controller web replicas=3 { update max-unavailable=1 }`",
        ),
    ),
    ("update-config", Renamed("update")),
    (
        "strategy",
        Says(
            OTHER_TOOL,
            "`update` of a controller sets how its pods are replaced",
            "For example: `update max-unavailable=1`",
        ),
    ),
    ("scale", Renamed("replicas")),
    ("count", Renamed("replicas")),
    ("instances", Renamed("replicas")),
    (
        "selector",
        Says(
            OTHER_TOOL,
            "a controller has its own pods; only services have a selector",
            "Leave it out.",
        ),
    ),
    (
        "select",
        Says(
            OTHER_TOOL,
            "a controller has its own pods; only services have a selector",
            "Leave it out.",
        ),
    ),
    (
        "service",
        Says(
            OTHER_TOOL,
            "a service belongs at the top of the spec",
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
            "probes are set on a container, by `readiness` and `liveness`",
            "For example: `container web image=\"…\" { readiness every=\"5s\" { command \"true\" } }`",
        ),
    ),
];

pub(super) static CONTAINER: &[(&str, Answer)] = &[
    ("readiness-probe", Renamed("readiness")),
    ("ready", Renamed("readiness")),
    ("liveness-probe", Renamed("liveness")),
    (
        "healthcheck",
        Says(
            OTHER_TOOL,
            "there are two checks: `readiness` decides when it counts as ready, `liveness` when it is restarted",
            "For example: `readiness every=\"5s\" { command \"true\" }`",
        ),
    ),
    (
        "health-check",
        Says(
            OTHER_TOOL,
            "there are two checks: `readiness` decides when it counts as ready, `liveness` when it is restarted",
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
    ("expose", Similar("port")),
    ("cmd", Renamed("command")),
    ("run", Similar("command")),
    ("args", ARGS),
    ("arguments", ARGS),
    ("image-pull-policy", Renamed("pull")),
    ("pull-policy", Renamed("pull")),
    ("working-dir", Renamed("workdir")),
    ("work-dir", Renamed("workdir")),
    ("cwd", Renamed("workdir")),
    ("run-as-user", Renamed("user")),
    ("limits", Similar("resources")),
    ("volume-mounts", Similar("mount")),
    ("volume-mount", Similar("mount")),
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
            "a volume is declared in the pod or at the top; a container mounts it",
            "For example: `mount data \"/data\"`",
        ),
    ),
    ("files", Renamed("file")),
    ("config", Similar("file")),
    ("configs", Similar("file")),
    ("ulimits", Similar("ulimit")),
    (
        "memory",
        Says(
            OTHER_TOOL,
            "`memory` belongs in `resources`",
            "For example: `resources memory=\"256MiB\"`",
        ),
    ),
    (
        "mem-limit",
        Says(
            OTHER_TOOL,
            "the memory limit belongs in `resources`",
            "For example: `resources memory=\"256MiB\"`",
        ),
    ),
    (
        "mem-reservation",
        Says(
            OTHER_TOOL,
            "reserved memory belongs in `resources`",
            "For example: `resources memory=\"256MiB\" max-memory=\"512MiB\"`",
        ),
    ),
    ("cpu", Says(OTHER_TOOL, "`cpu` belongs in `resources`", "For example: `resources cpu=0.5`")),
    (
        "cpus",
        Says(
            OTHER_TOOL,
            "cores belong in `resources`",
            "For example: `resources cpu=0.5`; `max-cpu` caps them.",
        ),
    ),
    (
        "stop-signal",
        Says(OTHER_TOOL, "the signal belongs in `stop`", "For example: `stop signal=SIGTERM`"),
    ),
    (
        "stop-grace-period",
        Says(OTHER_TOOL, "the grace period belongs in `stop`", "For example: `stop grace=\"20s\"`"),
    ),
    (
        "stop-timeout",
        Says(OTHER_TOOL, "the grace period belongs in `stop`", "For example: `stop grace=\"20s\"`"),
    ),
    (
        "termination-grace-period-seconds",
        Says(OTHER_TOOL, "the grace period belongs in `stop`", "For example: `stop grace=\"20s\"`"),
    ),
    (
        "lifecycle",
        Says(
            NOT_DONE,
            "there are no hooks in a container",
            "To run something first, use an `init`; `stop` sets how a container is stopped.",
        ),
    ),
    (
        "restart",
        Says(
            OTHER_TOOL,
            "`restart` is set on the whole pod",
            "For example: `pod web restart=on-failure { … }`",
        ),
    ),
    (
        "restart-policy",
        Says(
            OTHER_TOOL,
            "`restart` is set on the whole pod",
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
            "the name is written after the word: `container NAME`",
            "Docker's name is made of the cluster's, the pod's and the container's.",
        ),
    ),
    ("name", Says(OTHER_TOOL, "the name is written after the word: `container NAME`", "")),
    (
        "replicas",
        Says(
            OTHER_TOOL,
            "`replicas` is set on a controller",
            "For example: `controller web replicas=3 { … }`",
        ),
    ),
    (
        "deploy",
        Says(
            OTHER_TOOL,
            "this is Compose: `replicas` are the controller's, limits belong in `resources`",
            "",
        ),
    ),
    (
        "secrets",
        Says(
            OTHER_TOOL,
            "a secret is put where it is used",
            "Declare it at the top, `secret NAME file=\"…\"`, and write `file \"/run/secrets/NAME\" secret=NAME` or `env KEY=\"${secret.NAME}\"` in the container.",
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
        "profiles",
        Says(
            OTHER_TOOL,
            "differences will be an `environment`, which is not in this version yet",
            "",
        ),
    ),
];

pub(super) static PROBE: &[(&str, Answer)] = &[
    ("http-get", Renamed("http")),
    ("path", Similar("http")),
    ("exec", Renamed("command")),
    ("test", Similar("command")),
    ("cmd", Renamed("command")),
    ("tcp-socket", Renamed("tcp")),
    ("interval", Renamed("every")),
    ("period", Renamed("every")),
    ("period-seconds", Similar("every")),
    ("timeout-seconds", Similar("timeout")),
    ("initial-delay", Renamed("delay")),
    ("initial-delay-seconds", Similar("delay")),
    ("start-period", Similar("delay")),
    ("retries", Renamed("failures")),
    ("failure-threshold", Renamed("failures")),
    ("success-threshold", Renamed("successes")),
];

pub(super) static RESOURCES: &[(&str, Answer)] = &[
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
            "`cpu` and `memory` are the reservations",
            "For example: `resources cpu=0.5 memory=\"256MiB\"`",
        ),
    ),
    (
        "reservations",
        Says(
            OTHER_TOOL,
            "`cpu` and `memory` are the reservations",
            "For example: `resources cpu=0.5 memory=\"256MiB\"`",
        ),
    ),
    ("mem", Renamed("memory")),
    ("ram", Renamed("memory")),
    ("cpus", Similar("cpu")),
    ("cores", Renamed("cpu")),
    ("memory-limit", Renamed("max-memory")),
    ("mem-limit", Renamed("max-memory")),
    ("cpu-limit", Renamed("max-cpu")),
];

pub(super) static PORT: &[(&str, Answer)] = &[
    ("host-port", Renamed("publish")),
    ("published", Renamed("publish")),
    ("host", Similar("publish")),
    ("proto", Renamed("protocol")),
    (
        "container-port",
        Says(OTHER_TOOL, "the number is written after the name", "For example: `port http 8080`"),
    ),
    (
        "target-port",
        Says(OTHER_TOOL, "the number is written after the name", "For example: `port http 8080`"),
    ),
    (
        "target",
        Says(OTHER_TOOL, "the number is written after the name", "For example: `port http 8080`"),
    ),
];

pub(super) static MOUNT: &[(&str, Answer)] = &[
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

pub(super) static FILE: &[(&str, Answer)] = &[
    ("content", Renamed("text")),
    ("contents", Renamed("text")),
    ("source", Renamed("from")),
    ("src", Renamed("from")),
    ("file", Renamed("from")),
    ("permissions", Renamed("mode")),
    ("perms", Renamed("mode")),
    ("user", Similar("owner")),
    ("signal", Similar("on-change")),
    ("reload", Similar("on-change")),
];

pub(super) static STOP: &[(&str, Answer)] =
    &[("timeout", Renamed("grace")), ("grace-period", Renamed("grace"))];
