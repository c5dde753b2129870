//! The table, continued: pods, controllers, and how their pods are placed and updated.

use super::rows::{FieldRow, Form, KindRow, Naming, Step, UpdateClass, ValueType};

/// Returns a row without default and example.
pub(super) const fn row(
    word: &'static str,
    form: Form<'static>,
    value: ValueType<'static>,
    class: UpdateClass,
    doc: &'static str,
) -> FieldRow<'static> {
    FieldRow::new(word, form, value, class, doc)
}

/// The common fields of pods and controllers.
macro_rules! workload_fields {
    ($($extra:expr),* $(,)?) => {
        &[
            $($extra,)*
            row("label", Form::Map, ValueType::Text, UpdateClass::RecreateContainer, "Labels that selectors read. Docker's containers have them too.")
                .shown("label tier=web", "label tier=front"),
            row("restart", Form::Scalar, ValueType::Enum(&["always", "on-failure", "never"]), UpdateClass::Live, "The reaction to the end of a container.")
                .default("always")
                .shown("restart always", "restart on-failure"),
            row("place", Form::Block("place"), ValueType::Word, UpdateClass::Nothing, "The hosts it may run on.")
                .shown("place { spread by=zone }", "place { spread by=disk }"),
            row("depends-on", Form::Child("depends-on"), ValueType::Name, UpdateClass::Nothing, "A dependency that it waits for before it starts.")
                .shown("depends-on pod base", "depends-on pod base until=started"),
            row("volume", Form::Child("pod volume"), ValueType::Name, UpdateClass::RecreateContainer, "A volume of the pod's own, shared by its containers, removed with the pod.")
                .shown("volume extra; container e image=\"tally.local/hello:1\" { mount extra \"/e\" }", "volume extra host-path=\"/tmp\"; container e image=\"tally.local/hello:1\" { mount extra \"/e\" }"),
            row("init", Form::Child("init"), ValueType::Name, UpdateClass::RecreateContainer, "A container that exits before the others start. Several run in written order.")
                .shown("init i image=\"tally.local/hello:1\" { command \"true\" }", "init i image=\"tally.local/hello:1\" { command \"true\" \"1\" }"),
            row("container", Form::Child("container"), ValueType::Name, UpdateClass::RecreateContainer, "A container.")
                .required()
                .shown("container e image=\"tally.local/hello:1\"", "container e image=\"tally.local/hello:2\""),
            FieldRow::language_of_pod("network", "The network of the pod."),
            FieldRow::language_of_pod("hostname", "The host name of the pod."),
            FieldRow::language_of_pod("dns", "Name servers."),
            FieldRow::language_of_pod("extra-host", "A name and its address in `/etc/hosts`."),
            FieldRow::language_of_pod("sysctl", "Settings of the kernel for the pod."),
        ]
    };
}

pub(super) static POD: KindRow<'static> = KindRow {
    key: "pod",
    word: "pod",
    article: "a pod",
    naming: Naming::Name,
    step: Step::Now,
    doc: "One or more containers that share a network and volumes. It is restarted, never replaced elsewhere.",
    head: "pod example",
    within: "spec",
    fields: workload_fields![],
};

pub(super) static CONTROLLER: KindRow<'static> = KindRow {
    key: "controller",
    word: "controller",
    article: "a controller",
    naming: Naming::Name,
    step: Step::Now,
    doc: "A pod with replicas: `web-0`, `web-1` and so on. The fields of the pod are written in it directly.",
    head: "controller example",
    within: "spec",
    fields: workload_fields![
        row(
            "replicas",
            Form::Scalar,
            ValueType::Replicas,
            UpdateClass::Nothing,
            "The number of pods. `per-host` is one on each host."
        )
        .default("1")
        .shown("replicas 1", "replicas 2"),
        row(
            "update",
            Form::Block("update"),
            ValueType::Word,
            UpdateClass::Nothing,
            "How its pods are replaced when they change."
        )
        .shown("update max-unavailable=1", "update max-unavailable=2"),
    ],
};

pub(super) static UPDATE: KindRow<'static> = KindRow {
    key: "update",
    word: "update",
    article: "an `update`",
    naming: Naming::None,
    step: Step::Now,
    doc: "How a controller's pods are replaced when they change.",
    head: "update",
    within: "controller",
    fields: &[
        row("max-unavailable", Form::Scalar, ValueType::Amount, UpdateClass::Nothing, "The maximum number of its pods that may be unavailable; a percentage is rounded down. It is 1 if both this and `max-surge` are 0.")
            .default("1")
            .shown("max-unavailable 1", "max-unavailable \"50%\""),
        row("strategy", Form::Scalar, ValueType::Enum(&["rolling", "recreate"]), UpdateClass::Nothing, "A few pods at a time, or all of them stopped before a new one starts.")
            .default("rolling")
            .shown("strategy rolling", "strategy recreate"),
        row("max-surge", Form::Scalar, ValueType::Amount, UpdateClass::Nothing, "The maximum number of surge pods while others are replaced; a percentage is rounded up.")
            .default("0")
            .shown("max-surge 0", "max-surge 1"),
        row("progress-deadline", Form::Scalar, ValueType::Duration, UpdateClass::Nothing, "The time within which a pod must become ready; the default depends on its probe.")
            .shown("progress-deadline \"2m\"", "progress-deadline \"5m\""),
        row("on-failure", Form::Scalar, ValueType::Enum(&["pause", "rollback"]), UpdateClass::Nothing, "The reaction if a pod does not become ready: the rollout pauses, or the previous revision is restored by itself.")
            .default("pause")
            .shown("on-failure pause", "on-failure rollback"),
    ],
};

pub(super) static PLACE: KindRow<'static> = KindRow {
    key: "place",
    word: "place",
    article: "a `place`",
    naming: Naming::None,
    step: Step::Now,
    doc: "The hosts that pods may run on, by the hosts' labels. Hosts have the labels `host`, `os` and `arch` automatically.",
    head: "place",
    within: "pod",
    fields: &[
        row(
            "require",
            Form::Selector,
            ValueType::Text,
            UpdateClass::Nothing,
            "Conditions on the host's labels.",
        )
        .shown("require os=linux", "require { has os }"),
        row(
            "spread",
            Form::Block("spread"),
            ValueType::Word,
            UpdateClass::Nothing,
            "The label whose values the pods are spread over.",
        )
        .shown("spread by=zone", "spread by=disk"),
        row(
            "prefer",
            Form::Selector,
            ValueType::Text,
            UpdateClass::Nothing,
            "Hosts whose labels match are preferred.",
        )
        .shown("prefer os=linux", "prefer { lacks zone }"),
        row(
            "avoid",
            Form::Selector,
            ValueType::Text,
            UpdateClass::Nothing,
            "Hosts with pods whose labels match are avoided.",
        )
        .shown("avoid noisy=yes", "avoid { has noisy }"),
        row(
            "near",
            Form::Selector,
            ValueType::Text,
            UpdateClass::Nothing,
            "Hosts with pods whose labels match are preferred.",
        )
        .shown("near app=shop", "near { has app }"),
    ],
};

pub(super) static SPREAD: KindRow<'static> = KindRow {
    key: "spread",
    word: "spread",
    article: "a `spread`",
    naming: Naming::None,
    step: Step::Now,
    doc: "Spreads pods over the values of a host label.",
    head: "spread",
    within: "place",
    fields: &[row(
        "by",
        Form::Scalar,
        ValueType::LabelKey,
        UpdateClass::Nothing,
        "The label of the hosts.",
    )
    .required()
    .shown("by zone", "by disk")],
};

pub(super) static DEPENDS_ON: KindRow<'static> = KindRow {
    key: "depends-on",
    word: "depends-on",
    article: "a `depends-on`",
    naming: Naming::None,
    step: Step::Now,
    doc: "A dependency that a pod waits for before it starts, written as kind and name: `depends-on controller db`.",
    head: "depends-on pod base",
    within: "pod",
    fields: &[
        row("kind", Form::Argument, ValueType::Enum(&["pod", "controller", "service"]), UpdateClass::Nothing, "`pod`, `controller` or `service`.")
            .required()
            .shown("depends-on pod base", "depends-on controller many"),
        row("name", Form::Argument, ValueType::Name, UpdateClass::Nothing, "Its name.")
            .required()
            .shown("depends-on pod base", "depends-on pod base2"),
        row("until", Form::Scalar, ValueType::Enum(&["started", "ready", "completed"]), UpdateClass::Nothing, "The state that it must reach. `completed` requires `restart` to be `never` or `on-failure`.")
            .default("ready")
            .shown("until ready", "until started"),
    ],
};

pub(super) static POD_VOLUME: KindRow<'static> = KindRow {
    key: "pod volume",
    word: "volume",
    article: "a pod's volume",
    naming: Naming::Name,
    step: Step::Now,
    doc: "A volume of the pod's own: empty at first, shared by its containers, removed with the pod.",
    head: "container e image=\"tally.local/hello:1\" { mount extra \"/e\" }; volume extra",
    within: "pod",
    fields: &[row(
        "host-path",
        Form::Scalar,
        ValueType::Path,
        UpdateClass::RecreateContainer,
        "A folder or file of the host instead of an empty volume.",
    )
    .shown("host-path \"/tmp\"", "host-path \"/var/tmp\"")],
};
