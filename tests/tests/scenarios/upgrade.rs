//! An upgrade of Tally plans nothing: the labels that earlier builds wrote are kept in
//! tests/fixtures/labels, beside the spec they were written for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tally_lang::MemoryLoader;
use tally_reconcile::desired::realise::{RealiseContext, realise};
use tally_reconcile::labels;
use tally_reconcile::labels::applied::Applied;

/// Labels of every container of a spec, by container.
fn labels_of(spec: &Path) -> BTreeMap<String, BTreeMap<String, String>> {
    let text = std::fs::read_to_string(spec).unwrap();
    let compiled = tally_lang::compile("tally.kdl", &mut MemoryLoader::single("tally.kdl", &text));
    let graph = compiled.graph.unwrap_or_else(|| panic!("{:#?}", compiled.diagnostics));
    let secrets = BTreeMap::new();
    let around = RealiseContext::new(&graph, &graph.cluster().unwrap().name, &secrets);
    let mut all = BTreeMap::new();
    for workload in graph.workloads() {
        for ordinal in 0..2 {
            let pod = realise(workload, workload.pod_name(ordinal), &around);
            for container in &pod.containers {
                let request = pod.request(around.cluster, container);
                all.insert(request.name, request.labels);
            }
        }
    }
    all
}

#[test]
fn an_upgrade_plans_nothing() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/labels");
    let current = format!("{}.json", env!("CARGO_PKG_VERSION"));
    let mut versions = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let spec = entry.unwrap().path();
        if spec.extension().is_none_or(|ending| ending != "kdl") {
            continue;
        }
        versions += 1;
        let now = labels_of(&spec);
        let file = spec.with_extension("json");
        // A fixture is written once, by the version it is named after.
        if !file.exists() && file.ends_with(&current) {
            std::fs::write(&file, serde_json::to_string_pretty(&now).unwrap()).unwrap();
        }
        let then: BTreeMap<String, BTreeMap<String, String>> =
            serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(now.keys().collect::<Vec<_>>(), then.keys().collect::<Vec<_>>());
        for (name, then) in &then {
            let applied = |of: &BTreeMap<String, String>| {
                Applied::from_label(&of[labels::SPEC]).unwrap_or_else(|| panic!("{name}"))
            };
            assert_eq!(applied(&now[name]), applied(then), "{name} would be recreated");
            // The labels that identify a container must stay; new ones may be added.
            for key in [labels::CLUSTER, labels::ROLE, labels::WORKLOAD, labels::POD, labels::NAME]
            {
                assert_eq!(now[name].get(key), then.get(key), "{name} {key}");
            }
        }
    }
    assert!(versions > 0);
}
