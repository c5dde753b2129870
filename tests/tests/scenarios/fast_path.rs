//! Pods that are up to date are recognised by the fast path. Whatever differs in the observation, the plan is the
//! same as with a comparison of every field.

use std::collections::BTreeSet;

use tally_graph::{FileText, Graph};
use tally_reconcile::input::observed::{
    ContainerState, Health, HostView, Observed, ObservedContainer,
};
use tally_reconcile::memory::Memory;
use tally_reconcile::plan::Plan;
use tally_reconcile::{LOCAL_HOST, Options, labels};
use tally_tests::plan_equivalence;

use crate::world::{World, only_simulated};

const SPEC: &str = "
controller web replicas=3 {
    volume data
    init first image=\"tally.local/hello:1\" { entrypoint \"true\" }
    container a image=\"tally.local/hello:1\" {
        port http 8080
        mount data \"/data\"
        env NAME=\"web-0\" OTHER=\"t-glance\"
        file \"/etc/a.conf\" text=\"a\" on-change=SIGHUP
        readiness { command \"true\" }
    }
    container b image=\"tally.local/hello:1\" { command as-child sleep \"1000\" }
}
controller once replicas=2 restart=never { container c image=\"tally.local/hello:1\" { entrypoint \"true\" } }
pod alone { container c image=\"tally.local/hello:1\" { port http 8080 publish=18080; resources memory=\"8MiB\" } }
pod behind { depends-on controller once until=completed; container c image=\"tally.local/hello:1\" }
";

type Change = fn(&mut ObservedContainer);

fn details(
    container: &mut ObservedContainer,
) -> &mut tally_reconcile::input::observed::ContainerDetails {
    container.details.as_mut().unwrap()
}

/// Variants of the observation of a container.
const CHANGES: &[(&str, Change)] = &[
    ("nothing", |_| {}),
    ("created", |c| c.state = ContainerState::Created),
    ("paused", |c| c.state = ContainerState::Paused),
    ("restarting", |c| c.state = ContainerState::Restarting),
    ("dead", |c| c.state = ContainerState::Dead),
    ("ended well", |c| {
        c.state = ContainerState::Exited;
        details(c).exit_code = Some(0);
    }),
    ("ended badly", |c| {
        c.state = ContainerState::Exited;
        details(c).exit_code = Some(1);
    }),
    ("running", |c| c.state = ContainerState::Running),
    ("unhealthy", |c| details(c).health = Health::Unhealthy),
    ("starting", |c| details(c).health = Health::Starting),
    ("started later", |c| details(c).started_at_ms = Some(i64::MAX)),
    ("started earlier", |c| details(c).started_at_ms = Some(0)),
    ("never started", |c| details(c).started_at_ms = None),
    ("not inspected", |c| c.details = None),
    ("joined another", |c| details(c).joined = Some("f".repeat(64))),
    ("joined none", |c| details(c).joined = None),
    ("more memory", |c| details(c).live.memory += 1),
    ("more cpu", |c| details(c).live.cpu_shares += 7),
    ("another policy", |c| details(c).live.restart = "unless-stopped".to_owned()),
    ("no files", |c| details(c).files = None),
    ("other files", |c| {
        for file in details(c).files.iter_mut().flat_map(|files| files.values_mut()) {
            file.content = FileText::Stored("0".repeat(64));
        }
    }),
    ("another reaction", |c| {
        for file in details(c).files.iter_mut().flat_map(|files| files.values_mut()) {
            file.on_change = None;
        }
    }),
    ("another spec", |c| {
        c.labels.insert(labels::SPEC.to_owned(), "{\"image\":\"x:1\"}".to_owned());
    }),
    ("no spec", |c| {
        c.labels.insert(labels::SPEC.to_owned(), "{".to_owned());
    }),
    ("another pod's spec", |c| {
        let spec = c.labels.get(labels::SPEC).unwrap().replace("web-0", "web-1");
        c.labels.insert(labels::SPEC.to_owned(), spec);
    }),
    ("another workload", |c| {
        c.labels.insert(labels::WORKLOAD.to_owned(), "controller/other".to_owned());
    }),
    ("another cluster", |c| {
        c.labels.insert(labels::CLUSTER.to_owned(), "other".to_owned());
    }),
    ("another generation", |c| {
        c.labels.insert(labels::GENERATION.to_owned(), "7".to_owned());
    }),
    ("another role", |c| {
        c.labels.insert(labels::ROLE.to_owned(), "volume".to_owned());
    }),
];

fn plan(graph: &Graph, observed: &Observed, memory: &Memory, now_ms: i64) -> Plan {
    plan_equivalence::plan_checked(
        graph,
        observed,
        memory,
        &Options { now_ms, ..Options::default() },
    )
}

#[test]
fn the_fast_path_misses_no_difference() {
    only_simulated("glance", "what is seen is changed by hand", |world: World| async move {
        let graph = world.graph(SPEC);
        world.apply(&graph).await;
        let seen = world.observe().await;
        let (memory, now_ms) = (Memory::default(), world.now_ms());
        // Pods of `once` are awaited, so each plan contains them.
        const AWAITED: usize = 2;
        let calm = plan(&graph, &seen, &memory, now_ms);
        assert!(calm.is_empty());
        assert_eq!(calm.compared, AWAITED, "all others take the fast path");
        let count = world.state().await.containers.len();
        assert!(count >= 3 * 4 + 4, "{count}");
        let mut planned: BTreeSet<&str> = BTreeSet::new();
        for at in 0..count {
            for (name, change) in CHANGES {
                let mut observed = seen.clone();
                let Some(HostView::Ready(state)) = observed.hosts.get_mut(LOCAL_HOST) else {
                    panic!("no host");
                };
                change(state.containers.get_mut(at).unwrap());
                let plan = plan(&graph, &observed, &memory, now_ms);
                if !plan.is_empty() {
                    planned.insert(name);
                }
                assert!(plan.compared <= AWAITED + 1, "{name} makes others be compared");
            }
            // And without it: an init that has completed does not have to exist.
            let mut observed = seen.clone();
            let Some(HostView::Ready(state)) = observed.hosts.get_mut(LOCAL_HOST) else {
                panic!("no host");
            };
            let gone = state.containers.remove(at);
            let is_init = gone.labels.get(labels::ROLE).is_some_and(|role| role == "init");
            assert_eq!(plan(&graph, &observed, &memory, now_ms).is_empty(), is_init);
            // And after its liveness probe has failed.
            let mut failing = Memory::default();
            failing.in_flight.failing.insert(gone.id);
            plan(&graph, &seen, &failing, now_ms);
        }
        for harmless in ["nothing", "another generation", "another reaction", "joined none"] {
            assert!(!planned.contains(harmless), "{harmless}");
        }
        for harmful in ["paused", "more memory", "other files", "another spec", "joined another"] {
            assert!(planned.contains(harmful), "{harmful}");
        }
    });
}

#[test]
fn texts_that_contain_separators_are_compared_correctly() {
    only_simulated("glance-mark", "a matter of texts", |world: World| async move {
        let mark = "\u{e000}tally\u{e000}";
        let spec = |text: &str| {
            format!(
                "controller web replicas=2 {{ container c image=\"tally.local/hello:1\" {{ env A=\"{text}\" }} }}"
            )
        };
        let (first, second) = (world.graph(&spec("web-0")), world.graph(&spec(mark)));
        world.apply(&first).await;
        let now_ms = world.now_ms();
        let observed = world.observe().await;
        assert!(!plan(&second, &observed, &Memory::default(), now_ms).is_empty());
    });
}
