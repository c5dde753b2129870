//! Specs that compile, and their graphs.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop"
)]

mod common;

use common::{FolderLoader, check, rendered};
use tally_graph::schema;
use tally_graph::{Edge, Graph, GraphNode};
use tally_lang::{MemoryLoader, compile};

fn good(text: &str) -> Graph {
    check(&mut MemoryLoader::single("tally.kdl", text))
}

#[test]
fn the_small_system_of_the_language_page_compiles() {
    let mut loader = MemoryLoader::single("tally.kdl", include_str!("specs/shop.kdl")).with(
        "cache.kdl",
        "volume extra\npod cache { container c image=\"redis:7\" { mount extra \"/data\" } }\n",
    );
    let graph = check(&mut loader);
    assert!(matches!(graph.net.node_weights().next(), Some(GraphNode::Cluster(_))));
    assert_eq!(graph.workloads().count(), 5);
    assert_eq!(graph.net.edge_weights().filter(|edge| matches!(edge, Edge::Selects)).count(), 2);
    assert_eq!(
        graph.net.edge_weights().filter(|edge| matches!(edge, Edge::DependsOn(_))).count(),
        1
    );
    assert_eq!(graph.net.edge_weights().filter(|edge| matches!(edge, Edge::UsesVolume)).count(), 2);
    let web = graph.workloads().find(|w| w.name == "frontend").unwrap().containers.first().unwrap();
    assert_eq!(web.env.get("APP_VERSION").unwrap().plain(), Some("3.10"));
    assert_eq!(graph.services().next().unwrap().ports.get("postgres").unwrap().number, 5432);
}

#[test]
fn pairs_of_a_selector_may_be_children() {
    let spec = |select: &str| {
        good(&format!(
            "cluster c\npod a {{ label app=shop tier=web; container c image=\"x:1\" {{ port http 80 }} }}\n\
             pod b {{ label app=shop; container c image=\"x:1\" {{ port http 80 }} }}\n\
             service s {{ select {select}; port http }}\n"
        ))
    };
    let one = spec("app=shop { not tier=web }").fingerprint();
    assert_eq!(one, spec("{ app shop; not tier=web }").fingerprint());
    assert_ne!(one, spec("{ app shop; tier web }").fingerprint());
}

#[test]
fn a_port_may_be_published_on_all_addresses_of_both_families() {
    good(
        "cluster c\npod a { container c image=\"x:1\" {\n\
         port http 80 publish=\"0.0.0.0:8080\"\n\
         port http6 81 publish=\"[::]:8080\"\n} }\n",
    );
}

#[test]
fn the_key_of_a_label_may_be_that_of_another_tool() {
    good(
        "cluster c\npod a { label \"traefik.http.routers.web.tls.domains[0].main\"=\"a.b\"\n\
         container c image=\"x:1\" }\n",
    );
}

#[test]
fn the_worked_specs_compile() {
    for name in ["hello", "sidecar", "web-and-redis", "with-a-password"] {
        let folder = format!("{}/../../specs/{name}", env!("CARGO_MANIFEST_DIR"));
        check(&mut FolderLoader(folder.into()));
    }
}

#[test]
fn every_example_of_the_schema_compiles_and_its_change_changes_the_graph() {
    for example in schema::examples() {
        let json = |text: &str| {
            let mut loader = MemoryLoader::single("tally.kdl", text);
            for (file, text) in
                [("a.kdl", "volume a1"), ("b.kdl", "volume b1"), ("a.conf", "a"), ("b.conf", "b")]
            {
                loader = loader.with(file, text);
            }
            let compiled = compile("tally.kdl", &mut loader);
            let errors: Vec<_> = compiled
                .diagnostics
                .iter()
                .filter(|d| d.severity == tally_source::Severity::Error)
                .collect();
            assert!(
                errors.is_empty(),
                "{}.{}\n{text}\n{}",
                example.kind.key,
                example.field.word,
                rendered(&compiled)
            );
            let graph = compiled.graph.unwrap();
            serde_json::to_value(&graph.net).unwrap().to_string()
        };
        let (before, after) = (json(&example.before), json(&example.after));
        assert_ne!(
            strip_spans(&before),
            strip_spans(&after),
            "{}.{}",
            example.kind.key,
            example.field.word
        );
    }
}

/// Removes the spans, which differ whenever the text does.
fn strip_spans(json: &str) -> String {
    fn strip(value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(fields) => {
                fields.retain(|key, _| !key.contains("span") && !key.contains("provenance"));
                fields.values_mut().for_each(strip);
            }
            serde_json::Value::Array(items) => items.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut value = serde_json::from_str(json).unwrap();
    strip(&mut value);
    value.to_string()
}

#[test]
fn the_same_text_gives_the_same_graph_byte_for_byte() {
    let json = || {
        let mut loader =
            MemoryLoader::single("tally.kdl", include_str!("specs/shop.kdl")).with("cache.kdl", "");
        serde_json::to_string(&check(&mut loader)).unwrap()
    };
    let first = json();
    assert_eq!(first, json());
    // The graph can be saved and read again, and is the same.
    let again: Graph = serde_json::from_str(&first).unwrap();
    assert_eq!(first, serde_json::to_string(&again).unwrap());
}

#[test]
fn an_escaped_dollar_brace_is_a_dollar_brace() {
    let graph = good(
        "cluster c\npod p { container c image=\"x:1\" { env A=\"$${B}\"; file \"/f\" text=\"x $${y} $\" } }",
    );
    let container = graph.workloads().next().unwrap().containers.first().unwrap();
    assert_eq!(container.env.get("A").unwrap().plain(), Some("${B}"));
    let hash = container.file.get("/f").unwrap().content.stored().unwrap();
    assert_eq!(graph.contents.get(hash).unwrap().0, b"x ${y} $");
}

#[test]
fn the_notation_of_a_value_never_changes_its_meaning() {
    let text =
        |field: &str| format!("cluster c\npod p {{ container c image=\"x:1\" {{ {field} }} }}");
    let json = |field: &str| {
        let graph = good(&text(field));
        serde_json::to_string(&graph.workloads().next().unwrap().containers).unwrap()
    };
    for (a, b) in [
        ("workdir \"/x\"", "workdir #\"/x\"#"),
        ("env A=info", "env { A \"info\" }"),
        ("env A=1 B=2", "env B=2 { A 1 }"),
        ("env A=#true", "env A=\"true\""),
        ("env A=0x1F", "env A=\"0x1F\""),
        ("pull always", "pull \"always\""),
        ("env A=1 B=2", "env A=1; env B=2"),
        ("port a 0x50", "port a 80"),
        ("command \"a\" \"b\"", "command a b"),
        ("command \"a\" /- \"x\" \"b\" // y\n", "command a \\\n b"),
    ] {
        assert_eq!(json(a), json(b), "{a} | {b}");
    }
}

#[test]
fn byte_order_marks_line_ends_and_version_lines_are_accepted_in_every_file() {
    let text = "\u{feff}/- kdl-version 2\r\nuse \"b.kdl\"\r\ncluster c\r\n";
    let mut loader = MemoryLoader::single("tally.kdl", text).with(
        "b.kdl",
        "\u{feff}/- kdl-version 2\r\npod p {\r\n    container c image=\"x:1\"\r\n}\r\n",
    );
    assert_eq!(check(&mut loader).workloads().count(), 1);
}

#[test]
fn files_that_use_each_other_are_loaded_once() {
    let mut loader = MemoryLoader::single("tally.kdl", "use \"a/b.kdl\"\ncluster c\n")
        .with("a/b.kdl", "use \"../tally.kdl\"\nuse \"./c.kdl\"\npod b { container c image=\"x:1\" { file \"/f\" from=\"f.txt\" } }")
        .with("a/c.kdl", "use \"b.kdl\"\npod c { container c image=\"x:1\" }")
        .with("a/f.txt", "hello");
    let graph = check(&mut loader);
    let names: Vec<&str> = graph.workloads().map(|w| w.name.as_str()).collect();
    assert_eq!(names, ["b", "c"]);
}

#[test]
fn a_spec_with_only_a_cluster_compiles() {
    assert_eq!(good("cluster c").workloads().count(), 0);
}

#[test]
fn every_value_has_an_origin() {
    let graph = good(
        "cluster c\ncontroller web {\n    container c image=\"x:1\" { env A=1; stop grace=\"1s\" }\n}",
    );
    let web = graph.workloads().next().unwrap();
    let place = |provenance: &tally_graph::Provenance, path: &str| {
        let origin = provenance.of(&tally_graph::FieldPath::parse(path)).unwrap();
        match graph.written_at(origin) {
            Some(span) => graph.sources.text(span).to_owned(),
            None => format!("{:?}", graph.origins.get(origin).unwrap().kind),
        }
    };
    let container = web.container_provenance.get("c").unwrap();
    assert_eq!(place(container, "image"), "image=\"x:1\"");
    assert_eq!(place(container, "env.A"), "A=1");
    assert_eq!(place(container, "stop.grace"), "grace=\"1s\"");
    assert_eq!(place(container, "pull"), "Default(\"container.pull\")");
    assert_eq!(place(&web.provenance, "replicas"), "Default(\"controller.replicas\")");
}

#[test]
fn the_example_of_the_user_guide_compiles() {
    let guide = include_str!("../../../docs/user/language.md");
    let spec = guide.split("```kdl\n").nth(1).unwrap().split("```").next().unwrap();
    check(&mut MemoryLoader::single("tally.kdl", spec).with("cache.kdl", ""));
}
