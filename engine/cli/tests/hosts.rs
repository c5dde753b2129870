//! Which hosts a command reaches, and its reports of those that it cannot reach: the built program, with simulated
//! hosts and addresses without an engine only.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests stop loudly")]

use std::path::Path;
use std::process::Command;

const POD: &str = "controller a replicas=per-host { container c image=\"tally.local/hello:1\"; }\n";

/// `tally plan` of a spec, with these variables: exit code, output, errors.
fn plan(spec: &str, variables: &[(&str, &str)]) -> (i32, String, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tally.kdl"), format!("{spec}\n{POD}")).unwrap();
    plan_in(folder.path(), variables)
}

fn plan_in(folder: &Path, variables: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tally"));
    command.arg("plan").current_dir(folder).env("HOME", folder).env("NO_COLOR", "1");
    for name in ["DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "TALLY_ALLOW_PLAIN_TCP"] {
        command.env_remove(name);
    }
    let output = command.envs(variables.iter().copied()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn an_unreachable_host_does_not_stop_the_others() {
    let spec = "cluster demo {\n host here \"sim:here\"\n host too \"sim:too\"\n \
                host gone \"unix:///none/docker.sock\"\n}";
    let (code, out, err) = plan(spec, &[]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains("gone (does not answer)"), "{out}");
    assert!(out.contains("a-here") && out.contains("a-too"), "{out}");
    assert!(out.contains("to add"), "{out}");
    assert!(err.contains("host `gone` does not answer"), "{err}");
}

#[test]
fn if_all_hosts_are_unreachable_each_has_its_report() {
    let spec = "cluster demo {\n host one \"unix:///none/1.sock\"\n \
                host two \"tcp://127.0.0.1:2376\" { tls ca=\"ca.pem\" cert=\"c.pem\" key=\"k.pem\"; }\n}";
    let (code, out, err) = plan(spec, &[]);
    assert_eq!((code, out.as_str()), (1, ""), "{err}");
    assert!(err.contains("E1001") && err.contains("/none/1.sock"), "{err}");
    assert!(err.contains("E1013") && err.contains("is not there"), "{err}");
}

#[test]
fn without_a_host_dockers_own_settings_are_used() {
    let cluster = "cluster demo";
    for (variables, code) in [
        (&[("DOCKER_HOST", "unix:///none/docker.sock")][..], "E1001"),
        (&[("DOCKER_HOST", "tcp://192.0.2.1:2375")][..], "E1015"),
        (&[("DOCKER_HOST", "tcp://127.0.0.1:1")][..], "E1001"),
        (&[("DOCKER_HOST", "ssh://-oProxyCommand=x")][..], "E1001"),
        (&[("DOCKER_HOST", "npipe:////./pipe/docker_engine")][..], "E1016"),
        (&[("DOCKER_CONTEXT", "nowhere")][..], "E1016"),
        (&[("DOCKER_HOST", "tcp://127.0.0.1:1"), ("DOCKER_TLS_VERIFY", "1")][..], "E1013"),
    ] {
        let (exit, out, err) = plan(cluster, variables);
        assert_eq!((exit, out.as_str()), (1, ""), "{variables:?}: {err}");
        assert!(err.contains(code), "{variables:?}: {err}");
    }
}

#[test]
fn pods_of_an_unreachable_host_are_unknown_and_not_missing() {
    let folder = tempfile::tempdir().unwrap();
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tally"));
        command
            .args(args)
            .current_dir(folder.path())
            .env("NO_COLOR", "1")
            .env_remove("DOCKER_HOST");
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    };
    let write = |other: &str, more: &str| {
        let hosts = format!("host here \"sim:here\"\n host too \"{other}\"");
        let spec = format!("cluster demo {{\n {hosts}\n}}\n{POD}{more}");
        std::fs::write(folder.path().join("tally.kdl"), spec).unwrap();
    };
    write("sim:too", "");
    run(&["apply", "--yes"]);
    // The same host, which is unreachable now; and a pod that never existed.
    write("unix:///none/docker.sock", "pod new { container c image=\"tally.local/hello:1\"; }\n");
    let status: serde_json::Value =
        serde_json::from_str(&run(&["status", "--json"])).expect("it is JSON");
    let pods: Vec<(&str, Option<&str>, &str)> = status["workloads"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|workload| workload["pods"].as_array().unwrap())
        .map(|pod| {
            let state = pod["containers"][0]["state"].as_str().unwrap();
            (pod["name"].as_str().unwrap(), pod["host"].as_str(), state)
        })
        .collect();
    let expected = [
        ("a-here", Some("here"), "running"),
        ("a-too", Some("too"), "unknown"),
        ("new", None, "missing"),
    ];
    assert_eq!(pods, expected);
    let text = run(&["status"]);
    assert!(text.contains("a-too  on too") && text.contains("unknown"), "{text}");
}
