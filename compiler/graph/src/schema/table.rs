//! The table: the top of a spec, and services. Pods are in `workloads`, their contents in `containers`.

use super::rows::{FieldRow, Form, KindRow, Naming, Step, UpdateClass, ValueType};
use super::{containers, workloads};

const SERVICES: &str = "A service is checked and shown, but not served yet.";

pub(super) static KINDS: &[&KindRow<'static>] = &[
    &SPEC,
    &USE,
    &CLUSTER,
    &HOST,
    &CAPACITY,
    &TLS,
    &VOLUME,
    &SECRET,
    &workloads::POD,
    &workloads::CONTROLLER,
    &workloads::UPDATE,
    &workloads::PLACE,
    &workloads::SPREAD,
    &workloads::DEPENDS_ON,
    &workloads::POD_VOLUME,
    &containers::INIT,
    &containers::CONTAINER,
    &containers::FILE,
    &containers::PORT,
    &containers::MOUNT,
    &containers::RESOURCES,
    &containers::ULIMIT,
    &containers::READINESS,
    &containers::LIVENESS,
    &containers::STOP,
    &SERVICE,
    &SERVICE_PORT,
];

const fn nothing(
    word: &'static str,
    form: Form<'static>,
    value: ValueType<'static>,
    doc: &'static str,
) -> FieldRow<'static> {
    FieldRow::new(word, form, value, UpdateClass::Nothing, doc)
}

static SPEC: KindRow<'static> = KindRow {
    key: "spec",
    word: "",
    article: "a spec",
    naming: Naming::None,
    step: Step::Now,
    doc: "The top of a file. A spec starts at `tally.kdl` and contains that file and the files it uses.",
    head: "",
    within: "",
    fields: &[
        nothing(
            "use",
            Form::Child("use"),
            ValueType::SpecPath,
            "More of the same spec, in another file.",
        )
        .shown("use \"./a.kdl\"", "use \"./b.kdl\""),
        nothing(
            "cluster",
            Form::Child("cluster"),
            ValueType::Name,
            "The cluster that the spec describes; exactly one.",
        )
        .required()
        .shown("cluster shop", "cluster stage"),
        nothing(
            "volume",
            Form::Child("volume"),
            ValueType::Name,
            "A named volume, which outlives the pods that use it.",
        )
        .shown("volume extra", "volume other"),
        nothing(
            "secret",
            Form::Child("secret"),
            ValueType::Name,
            "A secret, read when the spec is applied, never when it is compiled.",
        )
        .shown("secret extra env=PATH", "secret other env=PATH"),
        nothing("pod", Form::Child("pod"), ValueType::Name, "One pod.").shown(
            "pod extra { container c image=\"tally.local/hello:1\" }",
            "pod other { container c image=\"tally.local/hello:1\" }",
        ),
        nothing("controller", Form::Child("controller"), ValueType::Name, "A pod with replicas.")
            .shown(
                "controller extra { container c image=\"tally.local/hello:1\" }",
                "controller other { container c image=\"tally.local/hello:1\" }",
            ),
        nothing(
            "service",
            Form::Child("service"),
            ValueType::Name,
            "One stable name for the pods that a selector matches.",
        )
        .later(SERVICES)
        .shown(
            "service extra { select pod=example; port http }",
            "service other { select pod=example; port http }",
        ),
        FieldRow::language("job", "Pods that end, once or by a schedule."),
        FieldRow::language("let", "A named value."),
        FieldRow::language("component", "A part of a spec with parameters."),
        FieldRow::language("for-each", "A part for each item of a list or a map."),
        FieldRow::language("when", "A part that depends on an expression."),
        FieldRow::language("assert", "An expression that must hold."),
        FieldRow::language("environment", "The differences of one environment."),
        FieldRow::language("patch", "A change of something declared elsewhere."),
        FieldRow::language("remove", "Removes something declared elsewhere."),
        FieldRow::language("test", "An expectation of the result of compiling."),
        FieldRow::language("policy", "A rule that all things of a kind must keep."),
        FieldRow::language("output", "A value that a component returns."),
        FieldRow::language("param", "A parameter of a component."),
        FieldRow::language("slot", "A place in a component that its caller fills."),
        FieldRow::language("insert", "Where a slot's content goes."),
    ],
};

static USE: KindRow<'static> = KindRow {
    key: "use",
    word: "use",
    article: "a `use`",
    naming: Naming::None,
    step: Step::Now,
    doc: "Another file of the same spec. Paths are relative to the file that names them and stay inside the folder of the first file. A file that is named twice counts once.",
    head: "use \"./more.kdl\"",
    within: "spec",
    fields: &[
        nothing("path", Form::Argument, ValueType::SpecPath, "The file.")
            .required()
            .shown("use \"./a.kdl\"", "use \"./b.kdl\""),
        FieldRow::language("as", "The name of a library."),
    ],
};

static CLUSTER: KindRow<'static> = KindRow {
    key: "cluster",
    word: "cluster",
    article: "a cluster",
    naming: Naming::Name,
    step: Step::Now,
    doc: "The scope of a plan. Its name is part of every object that Tally creates, so it is written, never taken from the folder. Without a host it runs on the local Docker engine.",
    head: "cluster example",
    within: "spec",
    fields: &[
        nothing("host", Form::Child("host"), ValueType::Name, "A host of the cluster.")
            .shown("host local \"unix:///var/run/docker.sock\"", "host local \"sim:local\""),
        nothing("lost-after", Form::Scalar, ValueType::Duration, "The time after which an unreachable host counts as lost, and its pods without data are replaced. Off by default.")
            .shown("lost-after \"5m\"", "lost-after \"1h\""),
        FieldRow::language("pull", "When images are fetched, for all containers."),
    ],
};

static HOST: KindRow<'static> = KindRow {
    key: "host",
    word: "host",
    article: "a host",
    naming: Naming::Name,
    step: Step::Now,
    doc: "A machine with a Docker engine.",
    head: "host local \"sim:local\"",
    within: "cluster",
    fields: &[
        nothing("address", Form::Argument, ValueType::Address, "Its address.")
            .required()
            .shown("host local \"sim:local\"", "host local \"sim:other\""),
        nothing("label", Form::Map, ValueType::Text, "Labels that placement reads.")
            .shown("label zone=a", "label zone=b"),
        nothing(
            "capacity",
            Form::Block("capacity"),
            ValueType::Word,
            "Its capacity; by default the one that the engine reports.",
        )
        .shown("capacity cpu=4", "capacity cpu=8"),
        nothing(
            "drain",
            Form::Scalar,
            ValueType::Bool,
            "Whether its pods move away, a few at a time, and no new ones are placed on it.",
        )
        .shown("drain #false", "drain #true"),
        nothing("tls", Form::Block("tls"), ValueType::Word, "Files for mutual TLS, for `tcp://`.")
            .shown(
                "tls ca=\"ca.pem\" cert=\"me.pem\" key=\"me.key\"",
                "tls ca=\"ca2.pem\" cert=\"me.pem\" key=\"me.key\"",
            ),
    ],
};

static CAPACITY: KindRow<'static> = KindRow {
    key: "capacity",
    word: "capacity",
    article: "a `capacity`",
    naming: Naming::None,
    step: Step::Now,
    doc: "The capacity of a host.",
    head: "capacity",
    within: "host",
    fields: &[
        nothing("cpu", Form::Scalar, ValueType::Cpu, "Cores.").shown("cpu 4", "cpu 8"),
        nothing("memory", Form::Scalar, ValueType::Bytes, "Memory.")
            .shown("memory \"8GiB\"", "memory \"16GiB\""),
        FieldRow::language("gpu", "Graphics processors."),
    ],
};

static TLS: KindRow<'static> = KindRow {
    key: "tls",
    word: "tls",
    article: "a `tls`",
    naming: Naming::None,
    step: Step::Now,
    doc: "Files for mutual TLS with a host at `tcp://`. They must exist when connecting, not when compiling.",
    head: "tls",
    within: "host",
    fields: &[
        nothing(
            "ca",
            Form::Scalar,
            ValueType::SpecPath,
            "The only certificate authority that is trusted.",
        )
        .required()
        .shown(
            "ca \"ca.pem\"; cert \"me.pem\"; key \"me.key\"",
            "ca \"ca2.pem\"; cert \"me.pem\"; key \"me.key\"",
        ),
        nothing("cert", Form::Scalar, ValueType::SpecPath, "The client certificate.")
            .required()
            .shown(
                "ca \"ca.pem\"; cert \"me.pem\"; key \"me.key\"",
                "ca \"ca.pem\"; cert \"me2.pem\"; key \"me.key\"",
            ),
        nothing("key", Form::Scalar, ValueType::SpecPath, "The client key.").required().shown(
            "ca \"ca.pem\"; cert \"me.pem\"; key \"me.key\"",
            "ca \"ca.pem\"; cert \"me.pem\"; key \"me2.key\"",
        ),
    ],
};

static VOLUME: KindRow<'static> = KindRow {
    key: "volume",
    word: "volume",
    article: "a volume",
    naming: Naming::Name,
    step: Step::Now,
    doc: "A named volume. It is on one host, the pods that mount it run there, and it outlives them.",
    head: "volume extra",
    within: "spec",
    fields: &[
        nothing(
            "host-path",
            Form::Scalar,
            ValueType::Path,
            "A folder or file of the host instead of a Docker volume.",
        )
        .shown("host-path \"/srv/a\"", "host-path \"/srv/b\""),
        nothing(
            "per-host",
            Form::Scalar,
            ValueType::Bool,
            "Whether each host has one of its own, instead of one on one host.",
        )
        .default("#false")
        .shown("per-host #true", "per-host #false"),
        FieldRow::language("external", "A volume that Tally did not create."),
        FieldRow::language("driver", "Docker's volume driver."),
        FieldRow::language("option", "Options of the driver."),
    ],
};

static SECRET: KindRow<'static> = KindRow {
    key: "secret",
    word: "secret",
    article: "a secret",
    naming: Naming::Name,
    step: Step::Now,
    doc: "A secret, read when the spec is applied, never when it is compiled: from a file, an environment variable or a command, exactly one of the three. `${secret.NAME}` puts it into a value of `env` or into the `text` of a `file`, and `file … secret=NAME` makes a file of it. It stands in no plan, label or log.",
    head: "secret extra",
    within: "spec",
    fields: &[
        nothing("file", Form::Scalar, ValueType::SecretPath, "A file of the machine that applies the spec.")
            .shown("file \"a.conf\"", "file \"b.conf\""),
        nothing("env", Form::Scalar, ValueType::Variable, "An environment variable of the process that applies the spec.")
            .shown("env PATH", "env HOME"),
        nothing("command", Form::List, ValueType::Word, "A command, run without a shell in the folder of the first file; its output is the secret.")
            .shown("command echo \"a\"", "command echo \"b\""),
    ],
};

static SERVICE: KindRow<'static> = KindRow {
    key: "service",
    word: "service",
    article: "a service",
    naming: Naming::Name,
    step: Step::Later(SERVICES),
    doc: "One stable name for the pods that a selector matches.",
    head: "service extra",
    within: "spec",
    fields: &[
        nothing("select", Form::Selector, ValueType::Text, "The selected pods. Pods have the labels `cluster` and `pod` or `controller` automatically, so `select controller=web` names a controller.")
            .required()
            .shown("select pod=example; port http", "select app=example; port http"),
        nothing("port", Form::Child("service port"), ValueType::Port, "A port of the pods, by its name.")
            .shown("select pod=example; port http", "select pod=example; port http 80"),
    ],
};

static SERVICE_PORT: KindRow<'static> = KindRow {
    key: "service port",
    word: "port",
    article: "a service's port",
    naming: Naming::Word,
    step: Step::Later(SERVICES),
    doc: "A port of a service. Its name is the name of the pods' port.",
    head: "port http",
    within: "service",
    fields: &[
        nothing(
            "number",
            Form::Argument,
            ValueType::Port,
            "The service's own number; the pods' number by default.",
        )
        .shown("port http 80", "port http 81"),
        nothing(
            "publish",
            Form::Scalar,
            ValueType::Publish,
            "The port of the hosts that publishes it.",
        )
        .shown("publish 18081", "publish \"127.0.0.1:18081\""),
    ],
};
