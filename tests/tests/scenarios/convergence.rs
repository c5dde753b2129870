//! Random specs, one after the other on one simulated host: each apply converges at once, the second plan is
//! empty, and the result does not depend on the previous state (L2 and L4).

use std::collections::BTreeMap;

use proptest::prelude::*;
use tally_reconcile::input::observed::ContainerState;
use tally_reconcile::labels;

use crate::world::World;

/// The random parts of one workload; small numbers, so that two workloads often agree in part.
#[derive(Debug, Clone)]
struct Drawn {
    controller: bool,
    replicas: u32,
    sidecar: bool,
    init: Option<u8>,
    env: u8,
    memory: Option<u8>,
    volume: bool,
    named: bool,
    file: Option<(u8, bool)>,
    publish: Option<u8>,
    restart: u8,
    depends: bool,
    missing: u8,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let first = (any::<bool>(), 1..4u32, any::<bool>(), proptest::option::of(0..2u8), 0..2u8);
    let second = (proptest::option::of(0..2u8), any::<bool>(), any::<bool>());
    let file = proptest::option::of((0..2u8, any::<bool>()));
    let third = (file, proptest::option::of(0..2u8), 0..2u8, any::<bool>(), 1..3u8);
    (first, second, third).prop_map(|(first, second, third)| {
        let (controller, replicas, sidecar, init, env) = first;
        let (memory, volume, named) = second;
        let (file, publish, restart, depends, missing) = third;
        Drawn {
            controller,
            replicas,
            sidecar,
            init,
            env,
            memory,
            volume,
            named,
            file,
            publish,
            restart,
            depends,
            missing,
        }
    })
}

/// Generates specs of up to three workloads; some names are left out, so that pods are added and removed.
fn spec() -> impl Strategy<Value = String> {
    proptest::collection::btree_map(0..3usize, drawn(), 1..4).prop_map(|all| text(&all))
}

fn text(all: &BTreeMap<usize, Drawn>) -> String {
    let mut out = String::from("volume shared\n");
    let mut before: Option<(String, &str)> = None;
    for (number, drawn) in all {
        let name = format!("w{number}");
        let (kind, replicas) = if drawn.controller {
            ("controller", format!(" replicas={}", drawn.replicas))
        } else {
            ("pod", String::new())
        };
        out.push_str(&format!("{kind} {name}{replicas} {{\n"));
        if drawn.controller {
            out.push_str(&format!("    update max-unavailable={}\n", drawn.missing));
        }
        if drawn.restart == 1 {
            out.push_str("    restart on-failure\n");
        }
        if let (true, Some((name, kind))) = (drawn.depends, &before) {
            out.push_str(&format!("    depends-on {kind} {name}\n"));
        }
        if drawn.volume {
            out.push_str("    volume own\n");
        }
        if let Some(init) = drawn.init {
            out.push_str(&format!(
                "    init i image=\"tally.local/hello:1\" {{ command \"true\"; env X={init} }}\n"
            ));
        }
        out.push_str("    container c image=\"tally.local/hello:1\" {\n");
        out.push_str(&format!("        env X={}\n", drawn.env));
        if let Some(memory) = drawn.memory {
            out.push_str(&format!("        resources memory=\"{}MiB\"\n", 32 << memory));
        }
        if drawn.volume {
            out.push_str("        mount own \"/own\"\n");
        }
        if drawn.named {
            out.push_str("        mount shared \"/shared\"\n");
        }
        if let Some((content, signal)) = drawn.file {
            let signal = if signal { " on-change=SIGHUP" } else { "" };
            out.push_str(&format!("        file \"/etc/f\" text=\"{content}\"{signal}\n"));
        }
        // One pod can have a host port, several cannot.
        if let (Some(port), false) = (drawn.publish, drawn.controller) {
            out.push_str(&format!(
                "        port http 8080 publish={}\n",
                20_000 + 10 * number + usize::from(port)
            ));
        }
        out.push_str("    }\n");
        if drawn.sidecar {
            out.push_str("    container side image=\"tally.local/hello:1\"\n");
        }
        out.push_str("}\n");
        before = Some((name, kind));
    }
    out
}

/// Returns the relevant parts of the final state: each container's applied spec, state, settings, files.
async fn ended(world: &World) -> BTreeMap<String, String> {
    let state = world.state().await;
    let mut all = BTreeMap::new();
    for container in state.containers {
        let details = container.details.unwrap();
        let init = container.labels[labels::ROLE] == "init";
        // The limits and files of an init are irrelevant once it has ended; a live setting in the label may be an
        // older one that was updated since.
        let label = &container.labels[labels::SPEC];
        let mut applied: serde_json::Value = serde_json::from_str(label).unwrap();
        let fields = applied.as_object_mut().unwrap();
        fields.remove("resources");
        fields.remove("restart");
        let state = if init {
            (ContainerState::Exited, details.exit_code)
        } else {
            (container.state, None)
        };
        let files = details.files.filter(|files| !files.is_empty());
        all.insert(container.name, format!("{applied} {state:?} {:?} {files:?}", details.live));
    }
    for volume in state.volumes {
        if volume.labels[labels::ROLE] == "pod-volume" {
            all.insert(format!("volume {}", volume.name), String::new());
        }
    }
    all
}

fn paused<F: Future<Output = ()>>(work: impl FnOnce() -> F) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(async { work().await });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_result_of_an_apply_does_not_depend_on_the_previous_state(specs in proptest::collection::vec(spec(), 2..4)) {
        paused(|| async {
            let world = World::simulated("walk", 1);
            for spec in &specs {
                // Converges with one plan, and the second plan is empty.
                world.apply(&world.graph(spec)).await;
            }
            let fresh = World::simulated("walk", 2);
            fresh.apply(&fresh.graph(specs.last().unwrap())).await;
            assert_eq!(ended(&world).await, ended(&fresh).await, "{}", specs.join("\n-- then --\n"));
        });
    }
}
