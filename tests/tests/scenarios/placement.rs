//! The host of each pod, and when it changes.

use tally_reconcile::memory::Declared;
use tally_reconcile::plan::Plan;
use tally_reconcile::plan::reason::BlockReason;
use tally_simulator::Model;

use crate::many::{Many, blocked, run};
use crate::world::{calls, plan_errors};

const ONE: &str = "container c image=\"tally.local/hello:1\"";

/// Returns the host that would take the first blocked pod, and the condition to remove for that.
fn way_out(plan: &Plan) -> Option<String> {
    let BlockReason::NoHost { way_out, .. } = &plan.blocked.first()?.reason else { return None };
    way_out.as_ref().map(|it| format!("{}: {}", it.host, it.dropped))
}

#[test]
fn pods_spread_over_hosts_and_keep_their_host() {
    run(&["a", "b", "c", "d"], |mut many: Many| async move {
        let three = "host a \"sim:a\"\nhost b \"sim:b\"\nhost c \"sim:c\"";
        let body = format!("controller web replicas=6 {{ {ONE} }}");
        many.apply(&many.graph(three, &body)).await;
        let before = many.running().await;
        for host in ["a", "b", "c"] {
            let on = before.keys().filter(|key| key.starts_with(host)).count();
            assert_eq!(on, 2, "{before:?}");
        }
        // A fourth host takes no pods from the others, and then gets the new ones.
        let plan = many.plan(&many.plain(&body)).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        many.apply(&many.plain(&body.replace("replicas=6", "replicas=8"))).await;
        let after = many.running().await;
        assert!(before.iter().all(|(name, id)| after.get(name) == Some(id)), "nothing moved");
        assert_eq!(after.keys().filter(|key| key.starts_with("d/")).count(), 2, "{after:?}");
    });
}

#[test]
fn spread_counts_the_values_of_a_label() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let hosts = "host a \"sim:a\" { label zone=x }\nhost b \"sim:b\" { label zone=x }\nhost c \"sim:c\" { label zone=y }";
        let body = format!("controller web replicas=4 {{ place {{ spread by=zone }}; {ONE} }}");
        many.apply(&many.graph(hosts, &body)).await;
        let on = many.running().await;
        assert_eq!(on.keys().filter(|key| key.starts_with("c/")).count(), 2, "{on:?}");
    });
}

#[test]
fn preferred_hosts_affinity_and_anti_affinity_are_followed() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let hosts = "host a \"sim:a\"\nhost b \"sim:b\" { label disk=ssd }\nhost c \"sim:c\"";
        let body = format!(
            "pod fast {{ label noisy=yes; place {{ prefer disk=ssd }}; {ONE} }}\n\
             pod shy {{ place {{ prefer disk=ssd; avoid noisy=yes }}; {ONE} }}\n\
             pod friend {{ place {{ near pod=fast }}; {ONE} }}"
        );
        many.apply(&many.graph(hosts, &body)).await;
        assert_eq!(many.hosts_of("fast.c").await, ["b"]);
        assert_ne!(many.hosts_of("shy.c").await, ["b"]);
        assert_eq!(many.hosts_of("friend.c").await, ["b"]);
    });
}

#[test]
fn a_pod_that_fits_nowhere_is_blocked_with_a_suggestion_and_others_proceed() {
    run(&["a", "b"], |mut many: Many| async move {
        let hosts = "host a \"sim:a\" { label disk=ssd; capacity memory=\"1GiB\" }\n\
                     host b \"sim:b\" { label disk=hdd; capacity memory=\"8GiB\" }";
        let body = format!(
            "pod small {{ {ONE} }}\n\
             pod big {{ place {{ require disk=ssd }}; container c image=\"tally.local/hello:1\" {{ resources memory=\"2GiB\" }} }}"
        );
        let graph = many.graph(hosts, &body);
        let plan = many.apply(&graph).await;
        assert_eq!(
            blocked(&plan),
            ["big: no host can take it: a lacks 1GiB; b does not match `disk=ssd`"]
        );
        assert_eq!(way_out(&plan), Some("b: disk=ssd".to_owned()));
        assert_eq!(many.hosts_of("small.c").await.len(), 1);
        assert!(many.hosts_of("big.c").await.is_empty());
    });
}

#[test]
fn each_unmet_condition_of_a_host_is_reported_and_can_be_dropped() {
    run(&["a", "b"], |mut many: Many| async move {
        for (condition, told, other) in [
            ("require disk=ssd", "disk=ssd", "disk=ssd"),
            ("require { not disk=hdd }", "not disk=hdd", "disk=ssd"),
            ("require { any zone y z }", "any zone y z", "zone=y"),
            ("require { has rack }", "has rack", "rack=1"),
            ("require { lacks zone }", "lacks zone", "disk=ssd"),
        ] {
            let hosts = format!(
                "host a \"sim:a\" {{ label disk=hdd zone=x }}\n\
                 host b \"sim:b\" {{ drain #true; label {other} }}"
            );
            let body = format!("pod web {{ place {{ {condition} }}; {ONE} }}");
            let plan = many.plan(&many.graph(&hosts, &body)).await;
            let reason =
                format!("web: no host can take it: a does not match `{told}`; b is drained");
            assert_eq!(blocked(&plan), [reason], "{condition}");
            assert_eq!(way_out(&plan), Some(format!("a: {told}")));
        }
    });
}

#[test]
fn a_per_host_pod_that_does_not_fit_says_why_and_others_proceed() {
    run(&["a", "b"], |mut many: Many| async move {
        let hosts = "host a \"sim:a\" { capacity memory=\"1GiB\" }\n\
                     host b \"sim:b\" { capacity memory=\"8GiB\" }";
        let body = "controller agent replicas=per-host { container c image=\"tally.local/hello:1\" { resources memory=\"2GiB\" } }";
        let plan = many.apply(&many.graph(hosts, body)).await;
        assert_eq!(many.running().await.len(), 1);
        let reason = "agent-a: its host cannot take it: a lacks 1GiB";
        assert_eq!(blocked(&plan), [reason]);
    });
}

#[test]
fn no_operation_waits_for_a_pod_of_a_lost_host() {
    run(&["a", "b"], |mut many: Many| async move {
        let body =
            "controller agent replicas=per-host { container c image=\"tally.local/hello:1\" }";
        let graph = many.plain(body);
        many.apply(&graph).await;
        many.cut("b");
        assert_eq!(
            blocked(&many.plan(&graph).await),
            ["agent-b: it was on `b`, which does not answer"]
        );
        many.declare("b", Declared::Lost);
        let plan = many.plan(&graph).await;
        assert_eq!(blocked(&plan), Vec::<String>::new());
        assert_eq!(plan.pods["controller/agent"].desired, 1);
    });
}

#[test]
fn capacity_is_used_by_reservations() {
    run(&["a", "b"], |mut many: Many| async move {
        let hosts = "host a \"sim:a\" { capacity cpu=2 }\nhost b \"sim:b\" { capacity cpu=1 }";
        let body = "controller web replicas=4 { container c image=\"tally.local/hello:1\" { resources cpu=1 } }";
        let plan = many.apply(&many.graph(hosts, body)).await;
        assert_eq!(many.running().await.len(), 3);
        assert_eq!(
            blocked(&plan),
            ["web-3: no host can take it: a lacks 1 cores; b lacks 1 cores"]
        );
    });
}

#[test]
fn a_host_port_is_used_by_one_pod_per_host() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let body = "controller web replicas=3 { container c image=\"tally.local/hello:1\" { port http 8080 publish=8080 } }";
        many.apply(&many.plain(body)).await;
        for host in ["a", "b", "c"] {
            assert_eq!(many.running().await.keys().filter(|k| k.starts_with(host)).count(), 1);
        }
    });
}

#[test]
fn a_host_port_in_use_moves_pods_to_other_hosts() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let port = "container c image=\"tally.local/hello:1\" { port http 8080 publish=8080 }";
        let mut other = Many::beside(&many, "other");
        other
            .apply(&other.plain(&format!("pod first {{ place {{ require host=a }}; {port} }}")))
            .await;
        let ours = many.plain(&format!("controller web replicas=2 {{ {port} }}"));
        let plan = many.apply(&ours).await;
        assert_eq!(plan_errors(&plan), Vec::<String>::new());
        let on = [many.hosts_of("web-0.c").await, many.hosts_of("web-1.c").await].concat();
        assert_eq!(on, ["b", "c"]);
        // If no host is left, the plan says so, and changes nothing.
        let more = many.plain(&format!("controller web replicas=3 {{ {port} }}"));
        let plan = many.plan(&more).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        assert_eq!(plan.blocked.len(), 1, "{:?}", blocked(&plan));
    });
}

#[test]
fn a_named_volume_keeps_its_pods_on_its_host() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let body = |env: u32, replicas: u32| {
            format!(
                "volume data\ncontroller db replicas={replicas} {{ container c image=\"tally.local/hello:1\" {{ mount data \"/d\"; env A={env} }} }}"
            )
        };
        many.apply(&many.plain(&body(1, 1))).await;
        let home = many.hosts_of("db-0.c").await;
        many.apply(&many.plain(&body(2, 3))).await;
        for pod in ["db-0.c", "db-1.c", "db-2.c"] {
            assert_eq!(many.hosts_of(pod).await, home, "{pod}");
        }
        let volumes = |state: tally_reconcile::input::observed::HostState| state.volumes.len();
        let mut all = 0;
        for host in ["a", "b", "c"] {
            all += volumes(many.state(host).await);
        }
        assert_eq!(all, 1, "one volume on one host");
    });
}

#[test]
fn workloads_that_share_volumes_are_on_one_host_from_the_first_plan() {
    let body = |mounts: &[(&str, &str)]| {
        let pod = |(name, mounts): &(&str, &str)| {
            let mounts = mounts.split(' ').map(|volume| format!("mount {volume} \"/{volume}\""));
            let mounts: Vec<String> = mounts.collect();
            format!(
                "pod {name} {{ container c image=\"tally.local/hello:1\" {{ {} }} }}",
                mounts.join("; ")
            )
        };
        let pods: Vec<String> = mounts.iter().map(pod).collect();
        format!("volume x; volume y; volume z\n{}", pods.join("\n"))
    };
    run(&["a", "b", "c"], |mut many: Many| async move {
        // The last workload connects the others, the second of which would otherwise go elsewhere.
        let all = body(&[("one", "x"), ("two", "y"), ("both", "x y")]);
        many.apply(&many.plain(&all)).await;
        let home = many.hosts_of("one.c").await;
        assert_eq!(many.hosts_of("two.c").await, home);
        assert_eq!(many.hosts_of("both.c").await, home);
        // A later workload, with a volume that does not exist yet, joins the others.
        let more =
            body(&[("one", "x"), ("two", "y"), ("both", "x y"), ("new", "z"), ("link", "y z")]);
        many.apply(&many.plain(&more)).await;
        assert_eq!(many.hosts_of("new.c").await, home);
        assert_eq!(many.hosts_of("link.c").await, home);
        assert!(many.plan(&many.plain(&more)).await.is_empty());
    });
}

#[test]
fn per_host_pods_are_created_and_removed_with_their_host() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let body = format!("controller agent replicas=per-host {{ {ONE} }}");
        many.apply(&many.graph("host a \"sim:a\"\nhost b \"sim:b\"", &body)).await;
        assert_eq!(many.running().await.keys().collect::<Vec<_>>(), ["a/agent-a.c", "b/agent-b.c"]);
        let before = many.running().await;
        many.apply(&many.plain(&body)).await;
        let after = many.running().await;
        assert_eq!(after.len(), 3);
        assert!(before.iter().all(|(name, id)| after.get(name) == Some(id)));
    });
}

#[test]
fn a_drained_host_loses_its_pods_within_the_limits_of_update() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let body = format!("controller web replicas=6 {{ {ONE} }}");
        many.apply(&many.plain(&body)).await;
        let before = many.running().await;
        let drained = many.host_lines().replace("\"sim:b\"", "\"sim:b\" { drain #true }");
        let graph = many.graph(&drained, &body);
        let plan = many.plan(&graph).await;
        let (least, most) = many.watched(&graph, &plan, "web").await;
        assert_eq!((least, most), (5, 6));
        let after = many.running().await;
        assert_eq!(after.len(), 6);
        assert!(after.keys().all(|key| !key.starts_with("b/")), "{after:?}");
        let stayed = before.iter().filter(|(name, _)| !name.starts_with("b/"));
        assert!(stayed.into_iter().all(|(name, id)| after.get(name) == Some(id)));
        assert!(many.plan(&graph).await.is_empty());
    });
}

#[test]
fn a_drained_host_keeps_pods_that_fit_nowhere_else() {
    run(&["a", "b"], |mut many: Many| async move {
        let body = "volume data\npod db { container c image=\"tally.local/hello:1\" { mount data \"/d\" } }";
        many.apply(&many.plain(body)).await;
        let home = many.hosts_of("db.c").await.remove(0);
        let line = format!("\"sim:{home}\"");
        let drained = many.host_lines().replace(&line, &format!("{line} {{ drain #true }}"));
        let plan = many.plan(&many.graph(&drained, body)).await;
        assert!(plan.is_empty(), "{:?}", plan.changes);
        assert_eq!(plan.blocked.len(), 1);
        assert_eq!(many.hosts_of("db.c").await, [home]);
    });
}

#[test]
fn a_plan_that_assumes_a_lost_host_is_a_normal_plan() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let body = format!(
            "volume data\ncontroller web replicas=3 {{ {ONE} }}\n\
             pod db {{ place {{ require host=b }}; container c image=\"tally.local/hello:1\" {{ mount data \"/d\" }} }}"
        );
        let graph = many.plain(&body);
        many.apply(&graph).await;
        let options = tally_reconcile::Options {
            without: ["b".to_owned()].into(),
            ..tally_reconcile::Options::default()
        };
        let plan = many.plan_with(&graph, options).await;
        assert_eq!(plan_errors(&plan), Vec::<String>::new());
        assert!(!plan.is_empty(), "its pod without data moves");
        assert_eq!(blocked(&plan), ["db: its volume `data` may be on `b`, which does not answer"]);
        assert!(plan.operations.iter().all(|operation| operation.host != "b"));
    });
}

#[test]
fn pods_that_are_not_ready_leave_a_drained_host_first() {
    run(&["a", "b"], |mut many: Many| async move {
        let body = format!("controller web replicas=2 {{ {ONE} }}");
        many.apply(&many.graph("host a \"sim:a\"", &body)).await;
        let stop = |model: &mut Model, now: i64| {
            let found = model.list().into_iter().find(|it| it.name == "many.web-0.c").unwrap();
            model.pause(&found.id, now).unwrap();
        };
        many.hosts["a"].inject(stop).unwrap();
        let drained = many.host_lines().replace("\"sim:a\"", "\"sim:a\" { drain #true }");
        let graph = many.graph(&drained, &body);
        let plan = many.plan(&graph).await;
        let downs = calls(&plan).into_iter().filter(|call| call.starts_with("remove "));
        assert_eq!(downs.collect::<Vec<_>>(), ["remove web-0/c", "remove web-1/c"]);
        let (least, _) = many.watched(&graph, &plan, "web").await;
        assert_eq!(least, 1, "web-1 serves until web-0 is ready elsewhere");
    });
}

#[test]
fn a_block_reason_names_the_first_hosts_and_counts_the_others() {
    let all = ["a", "b", "c", "d", "e", "f"];
    for (hosts, rest) in
        [(&all[..4], None), (&all[..5], Some("1 more")), (&all[..], Some("2 more"))]
    {
        run(hosts, |mut many: Many| async move {
            let big = "container c image=\"tally.local/hello:1\" { resources cpu=1000 }";
            let body = format!("pod web {{ {big} }}");
            let plan = many.plan(&many.plain(&body)).await;
            let why = blocked(&plan).remove(0);
            assert_eq!(why.matches(" lacks ").count(), 4, "{why}");
            match rest {
                Some(rest) => assert!(why.ends_with(&format!("{rest} cannot either")), "{why}"),
                None => assert!(!why.contains("more cannot either"), "{why}"),
            }
        });
    }
}

#[test]
fn a_fenced_host_does_not_split_pods_that_share_a_new_volume() {
    run(&["a", "b", "c"], |mut many: Many| async move {
        let other = "pod other { container c image=\"tally.local/hello:1\" }";
        many.apply(&many.plain(other)).await;
        many.cut("c");
        many.declare("c", Declared::Fenced);
        let mount = "container c image=\"tally.local/hello:1\" { mount data \"/d\" }";
        let graph = many.plain(&format!(
            "volume data\ncontroller web replicas=2 {{ {mount} }}\ncontroller api replicas=2 {{ {mount} }}\n{other}"
        ));
        let plan = many.plan(&graph).await;
        assert_eq!(blocked(&plan), Vec::<String>::new());
        let made = plan.operations.iter().filter(|it| it.action.word() == "create-container");
        let made = made.filter(|it| !it.subject.is_of_pod("other"));
        let hosts: Vec<&str> = made.map(|it| it.host.as_str()).collect();
        assert!(hosts.len() == 4 && hosts.iter().all(|host| *host == hosts[0]), "{hosts:?}");
    });
}

#[test]
fn the_same_port_with_another_protocol_is_another_port() {
    run(&["a"], |mut many: Many| async move {
        let port = |protocol: &str| {
            format!(
                "container c image=\"tally.local/hello:1\" {{ port dns 53 publish=53 protocol={protocol} }}"
            )
        };
        let mut other = Many::beside(&many, "other");
        other.apply(&other.plain(&format!("pod first {{ {} }}", port("udp")))).await;
        let plan = many.plan(&many.plain(&format!("pod mine {{ {} }}", port("tcp")))).await;
        assert_eq!((blocked(&plan), plan_errors(&plan)), (vec![], vec![]));
        assert!(!plan.is_empty());
        let plan = many.plan(&many.plain(&format!("pod mine {{ {} }}", port("udp")))).await;
        assert!(plan.is_empty(), "{:?}", calls(&plan));
    });
}

#[test]
fn the_same_port_on_another_address_is_another_port() {
    run(&["a"], |mut many: Many| async move {
        let pod = |name: &str, address: &str| {
            format!(
                "pod {name} {{ container c image=\"tally.local/hello:1\" {{ port http 80 publish=\"{address}\" }} }}\n"
            )
        };
        let apart = pod("one", "127.0.0.1:8080") + &pod("two", "127.0.0.2:8080");
        assert_eq!(blocked(&many.plan(&many.plain(&apart)).await), Vec::<String>::new());
    });
}
