//! The table, continued: containers and their contents.

use super::rows::{FieldRow, Form, KindRow, Naming, Step, UpdateClass, ValueType};
use super::workloads::row;

const PROBES: &str = "HTTP and TCP probes are not supported yet.";

/// The common fields of containers and inits.
macro_rules! container_fields {
    ($($extra:expr),* $(,)?) => {
        &[
            row("image", Form::Scalar, ValueType::Image, UpdateClass::RecreateContainer, "The image it runs.")
                .required()
                .shown("image \"tally.local/hello:1\"", "image \"tally.local/hello:2\""),
            row("pull", Form::Scalar, ValueType::Enum(&["missing", "always", "never"]), UpdateClass::Nothing, "When the image is fetched before a container is created.")
                .default("missing")
                .shown("pull missing", "pull never"),
            row("entrypoint", Form::List, ValueType::Word, UpdateClass::RecreateContainer, "The program; replaces the image's entrypoint and its command.")
                .shown("entrypoint as-child; command httpd \"-f\" \"-p\" \"8080\" \"-h\" \"/www\"", "entrypoint as-child httpd; command \"-f\" \"-p\" \"8080\" \"-h\" \"/www\""),
            row("command", Form::List, ValueType::Word, UpdateClass::RecreateContainer, "The arguments of the entrypoint, or the program if there is none; replaces the image's command.")
                .shown("command as-child httpd \"-f\" \"-p\" \"8080\" \"-h\" \"/www\"", "command as-child httpd \"-f\" \"-p\" \"8080\" \"-h\" \"/tmp\""),
            row("file", Form::Child("file"), ValueType::Path, UpdateClass::Restart, "A file written into the container before it starts.")
                .shown("file \"/etc/example.conf\" text=\"a\"", "file \"/etc/example.conf\" text=\"b\""),
            row("workdir", Form::Scalar, ValueType::Path, UpdateClass::RecreateContainer, "The working directory.")
                .shown("workdir \"/tmp\"", "workdir \"/www\""),
            row("user", Form::Scalar, ValueType::Owner, UpdateClass::RecreateContainer, "The user it runs as.")
                .shown("user \"1000\"", "user \"1000:1000\""),
            row("env", Form::Map, ValueType::Text, UpdateClass::RecreateContainer, "Environment variables.")
                .at_apply()
                .shown("env LOG_LEVEL=info", "env LOG_LEVEL=debug"),
            row("mount", Form::Child("mount"), ValueType::Volume, UpdateClass::RecreateContainer, "A volume of the pod or of the spec, at a path.")
                .shown("mount data \"/more\"", "mount data \"/other\""),
            row("resources", Form::Block("resources"), ValueType::Word, UpdateClass::Live, "Its reservations and limits.")
                .shown("resources memory=\"32MiB\"", "resources memory=\"64MiB\""),
            row("ulimit", Form::Child("ulimit"), ValueType::Limit, UpdateClass::RecreateContainer, "A limit of the kernel.")
                .shown("ulimit nofile soft=1024 hard=2048", "ulimit nofile soft=1024 hard=4096"),
            $($extra,)*
            FieldRow::language("platform", "The processor and system of the image."),
            FieldRow::language("env-file", "Environment variables from a file."),
            FieldRow::language("tmpfs", "A file system in memory."),
            FieldRow::language("groups", "More groups of the user."),
            FieldRow::language("capability", "Kernel capabilities that are added or dropped."),
            FieldRow::language("device", "A device of the host."),
            FieldRow::language("security", "Security options."),
            FieldRow::language("privileged", "Full privileges on the host."),
            FieldRow::language("read-only-root", "Whether its own file system is read-only."),
            FieldRow::language("log", "Docker's log driver."),
            FieldRow::language("startup", "A probe for slow starts."),
            FieldRow::language("depends-on", "Another container of the pod to wait for."),
        ]
    };
}

pub(super) static INIT: KindRow<'static> = KindRow {
    key: "init",
    word: "init",
    article: "an init",
    naming: Naming::Name,
    step: Step::Now,
    doc: "A container that exits before the others start. Inits run in written order, the only order that counts.",
    head: "init i image=\"tally.local/hello:1\"",
    within: "pod",
    fields: container_fields![],
};

pub(super) static CONTAINER: KindRow<'static> = KindRow {
    key: "container",
    word: "container",
    article: "a container",
    naming: Naming::Name,
    step: Step::Now,
    doc: "One container of a pod.",
    head: "container c image=\"tally.local/hello:1\"",
    within: "pod",
    fields: container_fields![
        row(
            "port",
            Form::Child("port"),
            ValueType::Port,
            UpdateClass::RecreatePod,
            "A port it serves on."
        )
        .shown("port extra 9090 publish=19090", "port extra 9090 publish=19091"),
        row(
            "readiness",
            Form::Block("readiness"),
            ValueType::Word,
            UpdateClass::RecreateContainer,
            "When it counts as ready."
        )
        .shown(
            "readiness every=\"1s\" { command \"true\" }",
            "readiness every=\"2s\" { command \"true\" }"
        ),
        row(
            "liveness",
            Form::Block("liveness"),
            ValueType::Word,
            UpdateClass::Nothing,
            "When it is restarted while it runs."
        )
        .shown(
            "liveness every=\"1s\" { command \"true\" }",
            "liveness every=\"2s\" { command \"true\" }"
        ),
        row(
            "stop",
            Form::Block("stop"),
            ValueType::Word,
            UpdateClass::Nothing,
            "How it is stopped."
        )
        .shown("stop grace=\"1s\"", "stop grace=\"2s\""),
    ],
};

pub(super) static FILE: KindRow<'static> = KindRow {
    key: "file",
    word: "file",
    article: "a file",
    naming: Naming::None,
    step: Step::Now,
    doc: "A file written into the container before it starts. When its content changes it is rewritten in place, and the container gets a signal or is restarted.",
    head: "file \"/etc/example.conf\"",
    within: "container",
    fields: &[
        row("path", Form::Argument, ValueType::Path, UpdateClass::RecreateContainer, "Its path in the container.")
            .required()
            .shown("file \"/etc/a.conf\" text=\"x\"", "file \"/etc/b.conf\" text=\"x\""),
        row("from", Form::Scalar, ValueType::SpecPath, UpdateClass::Restart, "A file of the spec's folder with the content.")
            .shown("from \"a.conf\"", "from \"b.conf\""),
        row("text", Form::Scalar, ValueType::Word, UpdateClass::Restart, "The content itself.")
            .at_apply()
            .shown("text \"a\"", "text \"b\""),
        row("secret", Form::Scalar, ValueType::Secret, UpdateClass::Restart, "A secret that is the content, byte for byte. The file is kept in memory, and its path is a link to it.")
            .shown("secret pass", "secret other-pass"),
        row("mode", Form::Scalar, ValueType::Mode, UpdateClass::Restart, "Permission bits.")
            .default("0644")
            .shown("text \"a\"; mode \"0644\"", "text \"a\"; mode \"0600\""),
        row("owner", Form::Scalar, ValueType::Owner, UpdateClass::Restart, "Its user and group.")
            .default("0:0")
            .shown("text \"a\"; owner \"1000\"", "text \"a\"; owner \"1000:1000\""),
        row("on-change", Form::Scalar, ValueType::Signal, UpdateClass::Nothing, "The signal that makes the program read it again; without one the container is restarted.")
            .shown("text \"a\"; on-change SIGHUP", "text \"a\"; on-change SIGUSR1"),
    ],
};

pub(super) static PORT: KindRow<'static> = KindRow {
    key: "port",
    word: "port",
    article: "a port",
    naming: Naming::Name,
    step: Step::Now,
    doc: "A port that a container serves on. Containers of a pod reach it at `127.0.0.1`, other pods at the pod's name.",
    head: "port extra 9090",
    within: "container",
    fields: &[
        row("number", Form::Argument, ValueType::Port, UpdateClass::RecreatePod, "Its number.")
            .required()
            .shown("port extra 9090 publish=19090", "port extra 9091 publish=19090"),
        row(
            "protocol",
            Form::Scalar,
            ValueType::Enum(&["tcp", "udp"]),
            UpdateClass::RecreatePod,
            "TCP or UDP.",
        )
        .default("tcp")
        .shown("publish 19090; protocol tcp", "publish 19090; protocol udp"),
        row(
            "publish",
            Form::Scalar,
            ValueType::Publish,
            UpdateClass::RecreatePod,
            "The port of the host that publishes it.",
        )
        .shown("publish 19090", "publish \"127.0.0.1:19090\""),
    ],
};

pub(super) static MOUNT: KindRow<'static> = KindRow {
    key: "mount",
    word: "mount",
    article: "a mount",
    naming: Naming::None,
    step: Step::Now,
    doc: "A volume at a path of the container. The volume is declared in the pod or at the top of the spec, never in both.",
    head: "mount data \"/more\"",
    within: "container",
    fields: &[
        row(
            "volume",
            Form::Argument,
            ValueType::Volume,
            UpdateClass::RecreateContainer,
            "The volume.",
        )
        .required()
        .shown("mount data \"/more\"", "mount shared \"/more\""),
        row(
            "path",
            Form::Argument,
            ValueType::Path,
            UpdateClass::RecreateContainer,
            "Its path in the container.",
        )
        .required()
        .shown("mount data \"/more\"", "mount data \"/other\""),
        row(
            "read-only",
            Form::Scalar,
            ValueType::Bool,
            UpdateClass::RecreateContainer,
            "Whether it is read-only.",
        )
        .default("#false")
        .shown("read-only #true", "read-only #false"),
        FieldRow::language("propagation", "Whether later mounts are propagated to it."),
    ],
};

pub(super) static RESOURCES: KindRow<'static> = KindRow {
    key: "resources",
    word: "resources",
    article: "`resources`",
    naming: Naming::None,
    step: Step::Now,
    doc: "The reservations and limits of a container.",
    head: "resources",
    within: "container",
    fields: &[
        row("cpu", Form::Scalar, ValueType::Cpu, UpdateClass::Live, "Cores reserved.")
            .shown("cpu 0.1", "cpu 0.2"),
        row(
            "memory",
            Form::Scalar,
            ValueType::Bytes,
            UpdateClass::Live,
            "Memory reserved, and the limit unless `max-memory` is set.",
        )
        .shown("memory \"32MiB\"", "memory \"64MiB\""),
        row(
            "max-cpu",
            Form::Scalar,
            ValueType::Cpu,
            UpdateClass::Live,
            "The maximum number of cores; unlimited by default.",
        )
        .shown("max-cpu 0.5", "max-cpu 1"),
        row(
            "max-memory",
            Form::Scalar,
            ValueType::Bytes,
            UpdateClass::Live,
            "The maximum amount of memory.",
        )
        .shown("memory \"32MiB\"; max-memory \"64MiB\"", "memory \"32MiB\"; max-memory \"128MiB\""),
        FieldRow::language("pids", "The maximum number of processes."),
        FieldRow::language("shm", "The size of `/dev/shm`."),
        FieldRow::language("gpu", "Graphics processors."),
    ],
};

pub(super) static ULIMIT: KindRow<'static> = KindRow {
    key: "ulimit",
    word: "ulimit",
    article: "a `ulimit`",
    naming: Naming::Word,
    step: Step::Now,
    doc: "A limit of the kernel for the container's processes, by Docker's name for it (`nofile`, `nproc`, `core` …).",
    head: "ulimit nofile",
    within: "container",
    fields: &[
        row(
            "soft",
            Form::Scalar,
            ValueType::Limit,
            UpdateClass::RecreateContainer,
            "The soft limit.",
        )
        .required()
        .shown("soft 1024; hard 4096", "soft 2048; hard 4096"),
        row(
            "hard",
            Form::Scalar,
            ValueType::Limit,
            UpdateClass::RecreateContainer,
            "The hard limit; the soft one by default.",
        )
        .shown("soft 1024; hard 2048", "soft 1024; hard 4096"),
    ],
};

/// Returns the fields of both probes; they differ in their class.
const fn probe_fields(class: UpdateClass, delay: &'static str) -> [FieldRow<'static>; 9] {
    [
        row(
            "command",
            Form::List,
            ValueType::Word,
            class,
            "Runs a command in the container; exit code 0 is success.",
        )
        .shown("command \"true\"", "command \"true\" \"1\""),
        row(
            "http",
            Form::Scalar,
            ValueType::UrlPath,
            class,
            "Sends an HTTP request; a status from 200 to 399 is success.",
        )
        .later(PROBES)
        .shown("http \"/\"; port http", "http \"/healthz\"; port http"),
        row("tcp", Form::Scalar, ValueType::PortRef, class, "Opens a connection to a port.")
            .later(PROBES)
            .shown("tcp http", "tcp other"),
        row(
            "port",
            Form::Scalar,
            ValueType::PortRef,
            class,
            "The port for `http`, needed when the container has several.",
        )
        .later(PROBES)
        .shown("http \"/\"; port http", "http \"/\"; port other"),
        row("every", Form::Scalar, ValueType::Duration, class, "Time between two probes.")
            .default("10s")
            .shown("command \"true\"; every \"1s\"", "command \"true\"; every \"2s\""),
        row(
            "timeout",
            Form::Scalar,
            ValueType::Duration,
            class,
            "Time after which one has failed.",
        )
        .default("1s")
        .shown("command \"true\"; timeout \"1s\"", "command \"true\"; timeout \"2s\""),
        row(
            "delay",
            Form::Scalar,
            ValueType::Duration,
            class,
            "Time after the start in which a failure does not count.",
        )
        .default(delay)
        .shown("command \"true\"; delay \"1s\"", "command \"true\"; delay \"2s\""),
        row(
            "failures",
            Form::Scalar,
            ValueType::Int(1, 1000),
            class,
            "The number of consecutive failures after which it fails.",
        )
        .default("3")
        .shown("command \"true\"; failures 3", "command \"true\"; failures 4"),
        row(
            "successes",
            Form::Scalar,
            ValueType::Int(1, 1000),
            class,
            "The number of consecutive successes after which it succeeds.",
        )
        .default("1")
        .shown("command \"true\"; successes 1", "command \"true\"; successes 2"),
    ]
}

/// The time a container must have run to be ready if its readiness has no action.
pub(super) const RUNNING_DELAY: &str = "5s";

static READINESS_FIELDS: [FieldRow<'static>; 9] =
    probe_fields(UpdateClass::RecreateContainer, "0s");
static LIVENESS_FIELDS: [FieldRow<'static>; 9] = probe_fields(UpdateClass::Nothing, "0s");

pub(super) static READINESS: KindRow<'static> = KindRow {
    key: "readiness",
    word: "readiness",
    article: "a `readiness`",
    naming: Naming::None,
    step: Step::Now,
    doc: "When a container counts as ready: `command`, `http` or `tcp`. With none of the three it is ready after `delay` (then 5s) of running without a restart.",
    head: "readiness",
    within: "container",
    fields: &READINESS_FIELDS,
};

pub(super) static LIVENESS: KindRow<'static> = KindRow {
    key: "liveness",
    word: "liveness",
    article: "a `liveness`",
    naming: Naming::None,
    step: Step::Now,
    doc: "When a container is restarted while it runs: `command`, `http` or `tcp` fails.",
    head: "liveness",
    within: "container",
    fields: &LIVENESS_FIELDS,
};

pub(super) static STOP: KindRow<'static> = KindRow {
    key: "stop",
    word: "stop",
    article: "a `stop`",
    naming: Naming::None,
    step: Step::Now,
    doc: "How a container is stopped.",
    head: "stop",
    within: "container",
    fields: &[
        row(
            "signal",
            Form::Scalar,
            ValueType::Signal,
            UpdateClass::RecreateContainer,
            "The signal that asks it to exit; by default the one of the image, or SIGTERM.",
        )
        .shown("signal SIGTERM", "signal SIGINT"),
        row(
            "grace",
            Form::Scalar,
            ValueType::Duration,
            UpdateClass::Nothing,
            "Time until it is killed; by default Docker's 10 seconds.",
        )
        .shown("grace \"1s\"", "grace \"2s\""),
    ],
};
