//! A daemon with other defaults (log options, ulimits, init, cgroup parent, shared memory): the values that it
//! merges into its containers are no difference. The engine is started by tests/tools/test.sh.

use crate::world::{World, other_engine};

const SPEC: &str = r#"
volume data
pod single {
    label app=one
    container c image="tally.local/hello:1"
}
pod full {
    volume own
    restart on-failure
    init first image="tally.local/hello:1" { command "true"; mount own "/own" }
    container main image="tally.local/hello:1" {
        entrypoint as-child
        command httpd "-f" "-p" "8080" "-h" "/www"
        workdir "/www"
        user "0:0"
        env A=1 B=3.10
        port http 8080 publish="127.0.0.1:18080"
        mount own "/own"
        mount data "/data" read-only=#true
        resources cpu=0.5 memory="64MiB" max-cpu=1 max-memory="128MiB"
        ulimit core soft=0 hard=0
        readiness every="500ms" timeout="2s" failures=4 { command "true" }
        stop signal=SIGTERM grace="3s"
        file "/etc/a" text="a" mode="0600" owner="1000"
    }
    container side image="tally.local/hello:2" {
        command as-child httpd "-f" "-p" "8081" "-h" "/www"
    }
}
controller web replicas=2 { container web image="tally.local/hello:1" { env X=1 } }
"#;

#[test]
fn defaults_merged_in_by_the_daemon_are_no_difference() {
    other_engine("defaults", |world: World| async move {
        let graph = world.graph(SPEC);
        world.apply(&graph).await;
        let before = world.ids().await;
        world.apply(&graph).await;
        assert_eq!(world.ids().await, before);
        let changed = world.graph(&SPEC.replace("X=1", "X=2").replace("64MiB", "48MiB"));
        world.apply(&changed).await;
    });
}
