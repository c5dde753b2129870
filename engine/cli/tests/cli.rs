//! The commands as people type them, on a simulated host: one test per command that it is connected. Their
//! decisions are tested in the crates below.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests stop loudly")]

mod folder;

use folder::Folder;

const SPEC: &str = "cluster demo {\n    host laptop \"sim:laptop\"\n}\n\
    controller web replicas=2 {\n    container nginx image=\"nginx:1\" {\n\
        port http 80\n        env LEVEL=info\n    }\n}\n\
    pod front {\n    depends-on controller web\n    container nginx image=\"nginx:1\" {\n\
        port http 80 publish=\"127.0.0.1:8080\"\n    }\n}\n";

#[test]
fn a_new_user_goes_from_init_to_destroy() {
    let folder = Folder::new("init", "");
    std::fs::remove_file(folder.0.join("tally.kdl")).unwrap();
    folder.tally(&["init", "--sim"]).ends(0);
    folder.tally(&["init", "--sim"]).ends(1);
    let checked = folder.tally(&["check"]).ends(0);
    assert!(checked.out.contains("no errors"), "{checked:?}");
    let plan = folder.tally(&["plan", "--detailed-exitcode"]).ends(2);
    assert!(plan.out.contains("SIMULATED"), "it always says that it is simulated: {plan:?}");
    let applied = folder.tally(&["apply", "--yes"]).ends(0);
    assert!(applied.out.trim_end().ends_with("http://127.0.0.1:8080"), "{applied:?}");
    folder.tally(&["plan", "--detailed-exitcode"]).ends(0);
    let status = folder.tally(&["status"]).ends(0);
    assert!(status.out.contains("controller/web  2/2 ready"), "{status:?}");
    folder.tally(&["destroy", "--yes"]).ends(0);
    let status = folder.tally(&["status", "--json"]).ends(0);
    assert!(status.out.contains("\"missing\""), "{status:?}");
}

#[test]
fn calls_are_logged_only_when_tally_log_asks_for_it() {
    let folder = Folder::new("log", SPEC);
    let plain = folder.tally(&["apply", "--yes"]).ends(0);
    assert!(!format!("{}{}", plain.out, plain.err).contains("call started"), "{plain:?}");
    folder.write("tally.kdl", &SPEC.replace("replicas=2", "replicas=3"));
    let logged = folder.tally_with_log("debug", &["apply", "--yes"]).ends(0);
    for text in [
        "DEBUG tally_host::calls: call started host=\"laptop\" call=\"create_container\"",
        "DEBUG tally_host::calls: call ended host=\"laptop\" call=\"create_container\" outcome=\"ok\"",
        "operation started number=0 host=\"laptop\"",
        "observation ended host=\"laptop\" containers=",
    ] {
        assert!(logged.err.contains(text), "{text}: {}", logged.err);
    }
    assert!(!logged.out.contains("DEBUG"), "{}", logged.out);
    let filtered = folder.tally_with_log("tally_host::operations=debug", &["destroy", "--yes"]);
    assert!(filtered.err.contains("operation ended"), "{filtered:?}");
    assert!(!filtered.err.contains("call started"), "{filtered:?}");
    folder.tally_with_log("debug=nonsense", &["status"]).ends(1);
}

#[test]
fn init_without_sim_is_a_spec_without_mistakes() {
    let folder = Folder::new("init-real", "");
    folder.tally(&["init", "sub"]).ends(0);
    folder.tally(&["check", "sub"]).ends(0);
}

#[test]
fn without_a_terminal_nothing_is_asked_and_nothing_changed() {
    let folder = Folder::new("ask", SPEC);
    let refused = folder.tally(&["apply"]).ends(1);
    assert!(refused.err.contains("--yes"), "{refused:?}");
    folder.tally(&["plan", "--detailed-exitcode"]).ends(2);
}

#[test]
fn output_without_a_terminal_is_plain() {
    let folder = Folder::new("plain", SPEC);
    folder.write("bad.kdl", "cluster a\npod p { contianer c image=\"x:1\" }\n");
    for args in [&["plan"][..], &["apply", "--yes"], &["status"], &["check", "bad.kdl"]] {
        let ran = folder.tally(args);
        let text = format!("{}{}", ran.out, ran.err);
        assert!(!text.contains('\x1b'), "{text}");
        assert!(text.is_ascii(), "{text}");
    }
}

#[test]
fn colours_can_be_forced_and_switched_off() {
    let folder = Folder::new("colours", SPEC);
    for (variables, coloured) in [
        (&[][..], false),
        (&[("CLICOLOR_FORCE", "1")], true),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        (&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "")], true),
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tally"));
        command.arg("plan").current_dir(&folder.0);
        command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").envs(variables.iter().copied());
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text.contains("\u{1b}["), coloured, "{variables:?}: {text}");
    }
}

#[test]
fn a_plan_shows_the_field_its_values_its_position_and_its_cost() {
    let folder = Folder::new("fields", SPEC);
    folder.tally(&["apply", "--yes"]).ends(0);
    folder.write("tally.kdl", &SPEC.replace("LEVEL=info", "LEVEL=debug"));
    let plan = folder.tally(&["plan"]).ends(0);
    for part in
        ["env.LEVEL", "info -> debug", "tally.kdl:7", "recreates the container", "1 of 2 at a time"]
    {
        assert!(plan.out.contains(part), "no {part:?} in {}", plan.out);
    }
    let json = folder.tally(&["plan", "--json"]).ends(0);
    let json: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["format"], 1);
    assert_eq!(json["changes"][0]["fields"][0]["new"], "debug");
}

#[test]
fn a_plan_of_destroy_includes_named_volumes_only_on_request() {
    let spec = "cluster demo { host laptop \"sim:laptop\" }\nvolume data\n\
        pod db { container c image=\"db:1\" { mount data \"/data\" } }\n";
    let folder = Folder::new("volumes", spec);
    folder.tally(&["apply", "--yes"]).ends(0);
    let kept = folder.tally(&["plan", "--destroy"]).ends(0);
    assert!(!kept.out.contains("- volume data"), "{kept:?}");
    assert!(kept.out.contains("volume data stays, with its data"), "{kept:?}");
    let gone = folder.tally(&["plan", "--destroy", "--volumes", "--out", "all.plan"]).ends(0);
    assert!(gone.out.contains("- volume data"), "{gone:?}");
    folder.tally(&["apply", "all.plan"]).ends(0);
    let left = ["plan", "--destroy", "--volumes", "--detailed-exitcode"];
    folder.tally(&left).ends(0);
    folder.tally(&["apply", "--yes"]).ends(0);
    folder.tally(&["plan", "--destroy", "--out", "some.plan"]).ends(0);
    let gone = folder.tally(&["apply", "some.plan"]).ends(0).out;
    assert!(gone.contains("demo is gone, except its named volumes"), "{gone}");
    let gone = folder.tally(&["destroy", "--yes"]).ends(0).out;
    assert!(gone.contains("runs here") && gone.contains("volume data stays"), "{gone}");
    let gone = folder.tally(&["plan", "--destroy"]).ends(0).out;
    assert!(gone.contains("Nothing of demo runs here"), "nothing tallies that is gone: {gone}");
    folder.tally(&left).ends(2);
    let alone = folder.tally(&["plan", "--volumes"]);
    assert!(alone.code != 0 && alone.err.contains("--destroy"), "{alone:?}");
}

#[test]
fn a_saved_plan_is_executed_and_refused_if_the_cluster_has_changed() {
    let folder = Folder::new("saved", SPEC);
    folder.tally(&["plan", "--out", "first.plan"]).ends(0);
    // The spec may change meanwhile: the plan that was shown is executed.
    folder.write("tally.kdl", &SPEC.replace("replicas=2", "replicas=3"));
    folder.tally(&["apply", "first.plan"]).ends(0);
    let refused = folder.tally(&["apply", "first.plan"]).ends(1);
    assert!(refused.err.contains("E1104"), "{refused:?}");
    let plan = folder.tally(&["plan"]).ends(0);
    assert!(plan.out.contains("web-2"), "{plan:?}");
}

#[test]
fn only_its_owner_reads_a_saved_plan_even_if_the_file_existed() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new("saved-mode", SPEC);
    folder.write("all.plan", "");
    let path = folder.0.join("all.plan");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
    folder.tally(&["plan", "--out", "all.plan"]).ends(0);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

const UNEVEN: &str = "cluster demo {\n    host a \"sim:a\"\n    host b \"sim:b\"\n}\nvolume data\n\
    controller web replicas=4 {\n    container nginx image=\"nginx:1\" { resources memory=\"1GiB\"; }\n}\n\
    pod db {\n    container pg image=\"pg:1\" { mount data \"/d\"; }\n}\n";

const MOVES: &str = "cluster demo on a (SIMULATED), b (SIMULATED)

  + network demo on b                                                                    tally.kdl:1

Moves to rebalance
  > controller/web  1 of 4 at a time, never below 3 ready  tally.kdl:6
      web-2  a -> b  its pods on a: 4 to 2, on b: 0 to 2
             reserves 1GiB; b pulls nginx:1
      web-3  a -> b  its pods on a: 4 to 2, on b: 0 to 2
             reserves 1GiB; b pulls nginx:1

  host   pods     cores   memory
  a      5 -> 3   0 %     50 % -> 25 %
  b      0 -> 2   0 %     0 % -> 25 %
  controller/db stays: its volume `data` is where it is  tally.kdl:9

Plan: 1 to add, 2 to move
";

#[test]
fn pods_move_only_on_request() {
    let alone = UNEVEN.replace("    host b \"sim:b\"\n", "");
    let folder = Folder::new("rebalance", &alone);
    folder.tally(&["apply", "--yes"]).ends(0);
    folder.write("tally.kdl", UNEVEN);
    folder.tally(&["plan", "--detailed-exitcode"]).ends(0);
    let plan = folder.tally(&["plan", "--rebalance", "--detailed-exitcode"]).ends(2);
    assert_eq!(plan.out, MOVES.replace("controller/db", "pod/db"));
    let json = folder.tally(&["plan", "--rebalance", "--json"]).ends(0).out;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let first = &json["balance"]["moves"][0];
    assert_eq!((first["from"].as_str(), first["pulls"][0].as_str()), (Some("a"), Some("nginx:1")));
    assert_eq!(first["disruption"]["ready"], 3);
    folder.tally(&["plan", "--rebalance", "--destroy"]).ends(1);
    folder.tally(&["run", "--once"]).ends(0);
    folder.tally(&["plan", "--rebalance", "--out", "moves.plan"]).ends(0);
    let refused = folder.tally(&["apply", "--rebalance", "moves.plan"]).ends(1);
    assert!(refused.err.contains("has its moves already"), "{refused:?}");
    let done = folder.tally(&["apply", "moves.plan"]).ends(0);
    assert!(done.out.contains("2 moved"), "{done:?}");
    let again = folder.tally(&["apply", "--rebalance"]).ends(0);
    assert!(again.out.contains("Nothing to rebalance"), "{again:?}");
    folder.tally(&["plan", "--detailed-exitcode"]).ends(0);
}

#[test]
fn a_failed_rollout_is_rolled_back_and_every_command_shows_it() {
    let spec = |tag: u32, command: &str| {
        format!(
            "cluster demo {{\n    host laptop \"sim:laptop\"\n}}\n\
             controller web replicas=2 {{\n    update progress-deadline=\"1s\" on-failure=rollback\n\
                 container c image=\"app:{tag}\" {{\n        readiness every=\"1s\" {{ command \
             \"{command}\" }}\n    }}\n}}\n"
        )
    };
    let folder = Folder::new("rollback", &spec(1, "true"));
    folder.tally(&["apply", "--yes"]).ends(0);
    folder.write("tally.kdl", &spec(2, "false"));
    let plan = folder.tally(&["plan"]).ends(0);
    assert!(
        plan.out.contains("controller/web is rolled back to entry 1 of the history, app:1"),
        "{plan:#?}"
    );
    let saved = folder.tally(&["plan", "--out", "saved"]).ends(0);
    let failed = folder.tally(&["apply", "--yes"]).ends(1);
    assert!(failed.out.contains("controller/web was rolled back to entry 1 of the history"));
    assert!(failed.err.contains("E1205") && failed.err.contains("tally.kdl:7:9"), "{failed:#?}");
    // A plan that was saved before the failure is not executed after it.
    assert!(folder.tally(&["apply", "saved"]).ends(1).err.contains("E1104"), "{saved:#?}");

    let words = "rolled back to entry 1 of the history: web-1/c: not ready after";
    let again = folder.tally(&["apply", "--yes"]).ends(1);
    assert!(again.out.contains(words) && again.err.contains("E1303"), "{again:#?}");
    assert!(folder.tally(&["plan"]).ends(0).out.contains(words));
    let status = folder.tally(&["status"]).ends(0).out;
    assert!(status.contains(words) && status.contains("2/2 ready"), "{status}");
    let rollout = folder.tally(&["rollout", "status", "web"]).ends(2).out;
    assert!(rollout.contains(words) && rollout.contains("0 of 2 pods"), "{rollout}");
    assert!(folder.tally(&["rollout", "history", "web"]).ends(0).out.contains(words));
    let json = folder.tally(&["plan", "--json", "--detailed-exitcode"]).ends(2).out;
    assert!(json.contains(words), "{json}");

    // The loop keeps the previous revision, and retries on request.
    folder.tally(&["run", "--once"]).ends(1);
    folder.tally(&["rollout", "resume", "web"]).ends(0);
    let tried = folder.tally(&["run", "--once"]).ends(1).out;
    assert_eq!(tried.matches("rolled-back ").count(), 1, "{tried}");
    folder.write("tally.kdl", &spec(3, "true"));
    assert!(folder.tally(&["apply", "--yes"]).ends(0).out.contains("demo tallies"));
    // A person who requests the failed version again, after another one, means it.
    folder.write("tally.kdl", &spec(2, "false"));
    let plan = folder.tally(&["plan"]).ends(0).out;
    assert!(plan.contains("is rolled back to entry 2 of the history, app:3"), "{plan}");
    // From a fresh checkout the pods that were not changed yet show the previous revision.
    std::fs::remove_dir_all(folder.0.join(".tally/history")).unwrap();
    let plan = folder.tally(&["plan"]).ends(0).out;
    assert!(
        plan.contains("controller/web is rolled back to the revision of its older pods, app:3"),
        "{plan}"
    );
    let failed = folder.tally(&["apply", "--yes"]).ends(1).out;
    assert!(
        failed.contains("was rolled back to the revision of its older pods, app:3"),
        "{failed}"
    );
    folder.tally(&["rollout", "resume", "web"]).ends(0);
    // No state of removed objects is kept.
    folder.tally(&["apply", "--yes"]).ends(1);
    folder.tally(&["destroy", "--yes"]).ends(0);
    assert!(!folder.tally(&["plan"]).ends(0).out.contains("rolled back"));
}

#[test]
fn a_frozen_cluster_shows_its_state_and_the_loop_does_not_wait_for_it() {
    let folder = Folder::new("frozen", SPEC);
    folder.tally(&["apply", "--yes"]).ends(0);
    let image = |text: &str| text.split('"').find(|word| word.contains(':')).map(str::to_owned);
    let old = SPEC.lines().find(|line| line.contains("image=")).and_then(image).unwrap();
    folder.write("tally.kdl", &SPEC.replace(&old, "other:2"));
    folder.tally(&["freeze", "-m", "not now"]).ends(0);
    let status = folder.tally(&["status"]).ends(0).out;
    assert!(status.contains(&format!("{old} (spec: other:2)")), "{status}");
    let once = folder.tally(&["run", "--once"]).ends(1).out;
    assert_eq!(once.matches("the cluster is frozen: not now").count(), 3, "{once}");
    let kept = folder.tally(&["destroy", "--yes"]).ends(1).out;
    assert!(kept.contains("the cluster is frozen") && !kept.contains("Nothing of"), "{kept}");
    folder.tally(&["unfreeze"]).ends(0);
    folder.tally(&["run", "--once"]).ends(0);
    let status = folder.tally(&["status"]).ends(0).out;
    assert!(status.contains("other:2") && !status.contains("spec:"), "{status}");
}

#[test]
fn check_reports_for_people_and_machines_and_applies_certain_fixes() {
    let wrong = SPEC.replace("container nginx", "contianer nginx");
    let folder = Folder::new("check", &wrong);
    let people = folder.tally(&["check"]).ends(1);
    assert!(people.err.contains("tally.kdl:5:5") && people.err.contains("contianer"), "{people:?}");
    let machines = folder.tally(&["check", "--format", "json"]).ends(1);
    for line in machines.out.lines() {
        let found: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(found["edits"].is_array());
    }
    folder.tally(&["check", "--fix"]).ends(0);
    assert_eq!(folder.read("tally.kdl"), SPEC);
}

#[test]
fn a_pipe_is_no_file_of_a_spec() {
    for line in ["use \"./pipe\"", "use \"./folder\""] {
        let folder = Folder::new("pipe", &format!("{line}\n{SPEC}"));
        std::fs::create_dir(folder.0.join("folder")).unwrap();
        let made = std::process::Command::new("mkfifo").arg(folder.0.join("pipe")).status();
        assert!(made.unwrap().success());
        let refused = folder.tally(&["check"]).ends(1);
        assert!(refused.err.contains("is no regular file"), "{refused:?}");
        let refused = folder.tally(&["check", "pipe"]).ends(1);
        assert!(refused.err.contains("no file or folder"), "{refused:?}");
    }
    let spec = SPEC.replace("env ", "file \"/etc/pipe\" from=\"pipe\"\n        env ");
    let folder = Folder::new("pipe-from", &spec);
    let made = std::process::Command::new("mkfifo").arg(folder.0.join("pipe")).status();
    assert!(made.unwrap().success());
    let refused = folder.tally(&["check"]).ends(1);
    assert!(refused.err.contains("is no regular file"), "{refused:?}");
}

#[test]
fn a_graph_has_four_forms() {
    let folder = Folder::new("graph", SPEC);
    assert!(folder.tally(&["graph"]).ends(0).out.contains("waits until ready controller/web"));
    assert!(folder.tally(&["graph", "--format", "dot"]).ends(0).out.starts_with("digraph"));
    assert!(folder.tally(&["graph", "--format", "mermaid"]).ends(0).out.starts_with("graph LR"));
    let json = folder.tally(&["graph", "--format", "json"]).ends(0).out;
    let _: serde_json::Value = serde_json::from_str(&json).unwrap();
}

#[test]
fn logs_and_exec_find_their_container_or_suggest_the_nearest() {
    let spec = SPEC.replace(
        "port http 80\n        env",
        "command sh \"-c\" \"echo hello; sleep 1000\"\n        port http 80\n        env",
    );
    let folder = Folder::new("logs", &spec);
    folder.tally(&["apply", "--yes"]).ends(0);
    let one = folder.tally(&["logs", "web-0"]).ends(0);
    assert_eq!(one.out, "hello\n");
    let both = folder.tally(&["logs", "controller/web"]).ends(0);
    assert_eq!(both.out.lines().count(), 2, "{both:?}");
    let none = folder.tally(&["logs", "wbe-0"]).ends(1);
    assert!(none.err.contains("web-0"), "{none:?}");
    let two = folder.tally(&["exec", "controller/web", "--", "true"]).ends(1);
    assert!(two.err.contains("2 containers"), "{two:?}");
}

#[test]
fn explain_knows_codes_fields_and_where_values_came_from() {
    let folder = Folder::new("explain", SPEC);
    assert!(folder.tally(&["explain", "E1101"]).ends(0).out.contains("# E1101"));
    let field = folder.tally(&["explain", "container.image"]).ends(0);
    assert!(field.out.contains("recreates the container"), "{field:?}");
    let init = folder.tally(&["explain", "init.image"]).ends(0);
    assert!(init.out.contains("recreates the pod"), "an init runs when its pod is made: {init:?}");
    let named = folder.tally(&["explain", "image"]).ends(0);
    assert!(named.out.contains("container.image") && named.out.contains("init.image"), "{named:?}");
    let value = folder.tally(&["explain", "controller/web.replicas"]).ends(0);
    assert!(value.out.contains("tally.kdl:4"), "{value:?}");
    let default = folder.tally(&["explain", "controller/web.restart"]).ends(0);
    assert!(default.out.contains("default"), "{default:?}");
    folder.tally(&["explain", "controller/wbe"]).ends(1);
    folder.tally(&["explain", "container.imgae"]).ends(1);
}

#[test]
fn a_failure_points_at_the_attribute_that_caused_it() {
    let spec = "cluster demo { host laptop \"sim:laptop\" }\n\
        pod a {\n    container c image=\"acme/missing:1\"\n}\n\
        controller b replicas=2 {\n    container c image=\"acme/web:1\" {\n\
            command \"missing-program\" \"--flag\"\n    }\n}\n\
        pod ends {\n    restart never\n    container c image=\"acme/web:1\" {\n\
            command sh \"-c\" \"echo the reason; exit 7\"\n    }\n}\n";
    let folder = Folder::new("blame", spec);
    let failed = folder.tally(&["apply", "--yes"]).ends(1);
    for part in [
        "E1201",
        "tally.kdl:3:17", // the image
        "E1203",
        "tally.kdl:7:1",      // the command
        "The same for b-1/c", // replicas that fail alike are one report
        "E1204",
        "tally.kdl:13:1",
        "exit code 7",
        "| the reason",
    ] {
        assert!(failed.err.contains(part), "no {part:?} in {}", failed.err);
    }
    // The next apply continues where this one ended.
    folder.write(
        "tally.kdl",
        &spec
            .replace("missing:1", "web:1")
            .replace("missing-program", "web")
            .replace("exit 7", "sleep 1000"),
    );
    folder.tally(&["apply", "--yes"]).ends(0);
}

#[test]
fn a_user_or_path_refused_by_docker_is_reported_with_a_fix() {
    for (name, inside, place, help) in [
        ("user", "user missing-user", "tally.kdl:2:35", "must exist in the image"),
        ("path", "mount v \"/v\"", "tally.kdl:2:9", "create it on host `laptop`"),
    ] {
        let spec = format!(
            "cluster demo {{ host laptop \"sim:laptop\" }}\n\
             pod a {{ container c image=\"x:1\" {{ {inside}; }} }}\n\
             volume v host-path=\"/missing/v\"\n"
        );
        let folder = Folder::new(name, &spec);
        let failed = folder.tally(&["apply", "--yes"]).ends(1).err;
        assert!(failed.contains("E1206") && failed.contains(place), "{failed}");
        assert!(failed.contains(help), "{failed}");
    }
}

#[test]
fn a_damaged_file_of_a_simulated_host_does_not_suggest_to_start_docker() {
    let folder = Folder::new("damaged", SPEC);
    folder.tally(&["apply", "--yes"]).ends(0);
    folder.write(".tally/sim/laptop.jsonl", "{not ours}\n");
    let failed = folder.tally(&["plan"]).ends(1).err;
    assert!(failed.contains("is damaged") && !failed.contains("docker version"), "{failed}");
}

#[test]
fn every_code_has_its_page_and_every_page_its_code() {
    let folder = Folder::new("codes", SPEC);
    let pages = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/diagnostics");
    for info in tally_source::all_codes() {
        let shown = folder.tally(&["explain", &info.code.to_string()]).ends(0);
        let title = format!("# {}: {}\n", info.code, info.title);
        assert!(shown.out.starts_with(&title), "{} has no page that begins {title}", info.code);
    }
    for entry in std::fs::read_dir(pages).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(code) = name.strip_suffix(".md").and_then(tally_source::Code::parse) else {
            continue;
        };
        assert!(tally_source::code_info(code).is_some(), "{name} has no code");
    }
}

#[test]
fn a_wrong_target_and_a_missing_spec_are_reported_with_a_fix() {
    let folder = Folder::new("target", SPEC);
    let wrong = folder.tally(&["plan", "--target", "controller/wbe"]).ends(1);
    assert!(wrong.err.contains("controller/web"), "{wrong:?}");
    let whole = folder.tally(&["plan", "--target", "controller/web"]).ends(0);
    let short = folder.tally(&["plan", "--target", "web"]).ends(0);
    assert_eq!(short.out, whole.out, "a name that only one has is enough");
    folder.tally(&["apply", "--yes", "--target", "controller/web"]).ends(0);
    folder.tally(&["plan", "--detailed-exitcode"]).ends(2);
    let nothing = folder.tally(&["plan", "nowhere"]).ends(1);
    assert!(nothing.err.contains("nowhere"), "{nothing:?}");
}

#[test]
fn run_once_waits_for_a_pod_that_is_never_ready_up_to_its_deadline() {
    let one = |name: &str, more: &str| {
        format!(
            "controller {name} replicas=1 {{\n    update progress-deadline=\"1s\"\n    container c image=\"x:1\" {{ {more} }}\n"
        )
    };
    let crashes = one("web", "command \"sh\" \"-c\" \"exit 3\"");
    let waits = one("front", "");
    let spec = format!(
        "cluster c {{ host h \"sim:h\" }}\n{crashes}}}\n{waits}    depends-on controller web\n}}\n"
    );
    let folder = Folder::new("patience", &spec);
    let once = folder.tally(&["run", "--once"]).ends(1);
    assert!(once.out.contains("what is waited for did not come about within 1s"), "{once:?}");
    assert!(once.out.contains("front-0"), "{once:?}");
}

#[test]
fn a_plan_shows_how_many_pods_a_requested_restart_affects_at_a_time() {
    let spec =
        "cluster c { host h \"sim:h\" }\ncontroller web replicas=3 { container c image=\"x:1\" }\n";
    let folder = Folder::new("restart", spec);
    folder.tally(&["apply", "--yes"]).ends(0);
    folder.tally(&["rollout", "restart", "web"]).ends(0);
    let plan = folder.tally(&["plan"]).ends(0);
    assert!(plan.out.contains("1 of 3 at a time, never below 2 ready"), "{plan:?}");
}

#[test]
fn an_unreachable_engine_is_an_error_and_nothing_is_planned() {
    let spec = "cluster c {\n    host h \"unix:///nonexistent/docker.sock\"\n}\npod p { container c image=\"x:1\" }\n";
    let folder = Folder::new("dead", spec);
    let dead = folder.tally(&["plan"]).ends(1);
    assert!(dead.err.contains("E1001") && dead.err.contains("tally.kdl:2"), "{dead:?}");
}

#[test]
fn version_and_completions_are_printed() {
    let folder = Folder::new("misc", SPEC);
    assert!(folder.tally(&["version"]).ends(0).out.starts_with("tally "));
    for shell in ["bash", "zsh", "fish"] {
        assert!(folder.tally(&["completions", shell]).ends(0).out.contains("tally"));
    }
}
