//! Failures at run time: each is classified, and its report points at the attribute in the spec.

use tally_host::{FailureKind, HostError};

use crate::world::{HELLO, World, both, only_real, only_simulated};

#[test]
fn a_missing_image_stops_no_container() {
    both("noimage", |world: World| async move {
        let spec = |image: &str| world.graph(&format!("pod p {{ container c image=\"{image}\" }}"));
        world.apply(&spec("tally.local/hello:1")).await;
        let before = world.ids().await;
        let bad = spec("tally.local/missing:1");
        let (plan, report) = world.try_apply(&bad).await;
        let failures: Vec<_> = report.failures().collect();
        assert_eq!(failures.len(), 1);
        let (id, failure) = &failures[0];
        assert!(matches!(failure.kind, FailureKind::Host(HostError::Image { .. })), "{failure:?}");
        let span = plan.operation(*id).unwrap().origin.unwrap();
        assert!(bad.sources.text(span).contains("missing:1"), "{}", bad.sources.text(span));
        assert_eq!(world.ids().await, before, "the old version still serves");
    });
}

#[test]
fn a_port_in_use_by_another_program_is_classified() {
    only_real(
        "port",
        "the simulator has no programs beside containers",
        |world: World| async move {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let graph = world.graph(&format!(
            "pod p {{ container c image=\"tally.local/hello:1\" {{ port http 8080 publish=\"127.0.0.1:{port}\" }} }}"
        ));
            let (_, report) = world.try_apply(&graph).await;
            let failures: Vec<_> = report.failures().collect();
            assert_eq!(failures.len(), 1);
            let kind = &failures[0].1.kind;
            assert!(matches!(kind, FailureKind::Host(HostError::PortTaken { .. })), "{kind:?}");
            drop(listener);
            world.apply(&graph).await;
        },
    );
}

#[test]
fn a_port_of_an_unmanaged_container_is_reported_before_any_change() {
    both("held", |world: World| async move {
        let graph = |port: u16| {
            world.graph(&format!(
                "pod p {{ container c image=\"tally.local/hello:1\" {{ port http 8080 publish=\"127.0.0.1:{port}\" }} }}"
            ))
        };
        let other = tally_reconcile::plan::request::ContainerRequest {
            name: format!("{}-other", world.cluster),
            image: crate::world::HELLO.to_owned(),
            labels: [("test.cluster".to_owned(), world.cluster.clone())].into(),
            publish: vec![tally_reconcile::input::observed::PublishedPort {
                host: tally_graph::Publish { ip: None, port: 28_191 },
                container: 8080,
                protocol: tally_graph::Protocol::Tcp,
            }],
            ..Default::default()
        };
        world.have_image().await;
        let id = world.host.create_container(&other).await.unwrap();
        world.host.start(&id).await.unwrap();
        let errors = crate::world::plan_errors(&world.plan(&graph(28_191)).await);
        assert!(errors[0].starts_with("E1103"), "{errors:?}");
        world.apply(&graph(28_192)).await;
    });
}

#[test]
fn a_missing_command_is_classified() {
    both("nocommand", |world: World| async move {
        let graph = world.graph(
            "pod p { container c image=\"tally.local/hello:1\" { command \"missing-command\" } }",
        );
        let (_, report) = world.try_apply(&graph).await;
        let failures: Vec<_> = report.failures().collect();
        assert_eq!(failures.len(), 1);
        let kind = &failures[0].1.kind;
        assert!(matches!(kind, FailureKind::Host(HostError::CommandNotFound(_))), "{kind:?}");
    });
}

#[test]
fn the_failure_of_an_exited_container_has_its_exit_code_and_last_lines() {
    only_real("ends", "the simulator runs no programs that print", |world: World| async move {
        let graph = world.graph(
            "pod p { restart never; container c image=\"tally.local/hello:1\" { command sh \"-c\" \"echo the reason; exit 7\" } }",
        );
        let (_, report) = world.try_apply(&graph).await;
        let failures: Vec<_> = report.failures().collect();
        assert_eq!(failures.len(), 1);
        let failure = failures[0].1;
        assert!(
            matches!(failure.kind, FailureKind::Ended { exit_code: Some(7), .. }),
            "{failure:?}"
        );
        assert_eq!(failure.last_lines, ["the reason"]);
    });
}

#[test]
fn each_unsupported_field_is_reported_in_one_sentence() {
    only_simulated("later", "a matter of the plan", |world: World| async move {
        let web = |probe: &str| {
            format!("pod web {{ container c image=\"{HELLO}\" {{ port http 8080; {probe} }} }}")
        };
        let told = async |body: String| {
            let plan = world.plan(&world.graph(&body)).await;
            let said = plan.diagnostics.iter().map(|it| format!("{} {}", it.code, it.headline));
            (plan.is_empty(), said.collect::<Vec<_>>())
        };
        let (empty, said) = told(web("readiness http=\"/\"")).await;
        assert!(empty && said.len() == 1 && said[0].starts_with("E1102 "), "{said:?}");
        // Unsupported parts that can be left out safely are reported, and all others are applied.
        let (empty, said) = told(web("liveness tcp=8080")).await;
        assert!(!empty && said.len() == 1 && said[0].starts_with("E1102 "), "{said:?}");
        let service = format!("{}\nservice s {{ select pod=web; port http }}", web(""));
        let (empty, said) = told(service).await;
        assert_eq!((empty, said), (false, vec!["E1102 service `s` is not served yet".to_owned()]));
    });
}
