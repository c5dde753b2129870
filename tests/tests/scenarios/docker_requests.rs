//! The Docker requests of each field, for containers and volumes, kept as text in `recorded/`. The cases come from
//! the schema table, so each new field is included.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};
use tally_graph::schema::{Step, examples};
use tally_reconcile::plan::Action;
use tally_reconcile::plan::request::ContainerRequest;

use crate::fields::{FILES, own};
use crate::world::World;

#[test]
fn the_docker_requests_of_each_field_match_the_snapshot() {
    let (mut text, mut known) = (String::new(), BTreeSet::new());
    let now = examples().filter(|example| example.field.step == Step::Now);
    for case in now.filter(|example| !example.before.contains("tcp://")) {
        for (name, spec) in [("before", &case.before), ("after", &case.after)] {
            // Lines that an earlier case has shown are not repeated.
            let mut new = requests(spec);
            new.retain(|line| known.insert(line.clone()));
            if !new.is_empty() {
                let _ = writeln!(text, "{}.{} {name}", case.kind.key, case.field.word);
                new.iter().for_each(|line| text.push_str(line));
            }
        }
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("recorded");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("docker-requests", text));
}

/// Returns the requests of a plan for an empty host, a line each.
fn requests(spec: &str) -> Vec<String> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::simulated("told", 1);
        let graph = world.compile(&own(&world, spec), FILES);
        let plan = world.plan(&graph).await;
        let lines = plan.operations.iter().filter_map(|operation| match &operation.action {
            Action::CreateContainer(request) => {
                Some(format!("    container {} {}\n", request.name, differs(request)))
            }
            Action::CreateVolume(request) => {
                Some(format!("    volume {}\n", serde_json::to_string(request).unwrap()))
            }
            Action::Stop { grace_s, .. } => Some(format!("    stop within {grace_s:?}\n")),
            Action::AwaitReady { rule, .. } => Some(format!("    waits {rule:?}\n")),
            _ => None,
        });
        lines.collect()
    })
}

/// Returns the fields of a request that differ from the default request.
fn differs(request: &ContainerRequest) -> Value {
    let fields = |request: &ContainerRequest| match serde_json::to_value(request) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let plain = fields(&ContainerRequest::default());
    let all = fields(request).into_iter();
    let own = |(key, value): &(String, Value)| key != "name" && plain.get(key) != Some(value);
    Value::Object(all.filter(own).collect())
}
