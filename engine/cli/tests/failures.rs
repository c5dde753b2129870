//! The built program on a real engine (if `TALLY_TEST_DOCKER=1`): failures at run time are reported at the
//! attribute that caused them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests stop loudly"
)]

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// A folder with a spec, whose cluster is destroyed at the end of the test.
struct Cluster(PathBuf);

impl Cluster {
    fn new(name: &str, spec: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tally-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("tally.kdl"), spec).unwrap();
        let cluster = Self(folder);
        // The leftovers of a test that was killed.
        cluster.tally(&["destroy", "--yes"]);
        cluster
    }

    fn tally(&self, args: &[&str]) -> (i32, String) {
        let Output { status, stderr, .. } = Command::new(env!("CARGO_BIN_EXE_tally"))
            .args(args)
            .current_dir(&self.0)
            // Reports are as wide as this terminal; none may be wrapped.
            .env("COLUMNS", "200")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (status.code().unwrap(), String::from_utf8(stderr).unwrap())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.tally(&["destroy", "--yes"]);
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Returns `tally.kdl:LINE:COLUMN` of the only occurrence of `text`.
fn place_of(text: &str, spec: &str) -> String {
    let (before, after) = spec.split_once(text).expect("it is in the spec");
    assert!(!after.contains(text), "{text} occurs once");
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |end| end + 1) + 1;
    format!("[tally.kdl:{line}:{column}]")
}

/// Returns the report with a code: from the line with the code to the line of the next one.
fn report<'a>(code: &str, all: &'a str) -> &'a str {
    let (_, from) = all.split_once(&format!("\n{code}\n")).unwrap_or_else(|| {
        panic!("no {code} in\n{all}");
    });
    from.split_once("\nE1").map_or(from, |(report, _)| report)
}

#[test]
fn failures_at_run_time_are_reported_at_their_attribute() {
    if std::env::var("TALLY_TEST_DOCKER").as_deref() != Ok("1") {
        eprintln!("SKIPPED: failures of the built program (TALLY_TEST_DOCKER is not 1)");
        return;
    }
    let other_program = TcpListener::bind("127.0.0.1:0").unwrap();
    let publish = format!("publish=\"{}\"", other_program.local_addr().unwrap());
    // Nothing listens on port 9 of this machine, so this needs no registry that refuses.
    let image = "image=\"127.0.0.1:9/missing:1\"";
    let command = "command \"no-such-program\" --verbose";
    let spec = format!(
        "cluster t-cli-failures\n\
         pod noimage {{\n    container c {image}\n}}\n\
         pod port {{\n    container c image=\"tally.local/hello:1\" {{\n        port http 8080 {publish}\n    }}\n}}\n\
         pod command {{\n    container c image=\"tally.local/hello:1\" {{\n        {command}\n    }}\n}}\n\
         pod good {{\n    container c image=\"tally.local/hello:1\"\n}}\n"
    );
    let cluster = Cluster::new("cli-failures", &spec);
    let (code, err) = cluster.tally(&["apply", "--yes"]);
    assert_eq!(code, 1, "{err}");
    for (code, attribute) in [("E1201", image), ("E1202", &*publish), ("E1203", command)] {
        let report = report(code, &err);
        let place = place_of(attribute, &spec);
        assert!(report.contains(&place), "{code} is not at {place}:\n{report}");
        let marks = report.lines().find(|line| line.contains('^')).unwrap();
        let marked = marks.matches(['^', '|']).count();
        assert_eq!(
            marked,
            attribute.len(),
            "{code} marks more or less than {attribute}:\n{report}"
        );
    }
    assert_eq!(err.matches("\nE1").count(), 3, "one report for each mistake:\n{err}");
    // Independent pods were applied; names and ports that became free are used.
    drop(other_program);
    let (code, err) = cluster.tally(&["apply", "--yes"]);
    assert_eq!(code, 1, "{err}");
    assert!(!err.contains("E1202"), "{err}");
    assert!(err.contains("port/c"), "{err}");
    assert!(!err.contains("good/c"), "it was made by the first apply:\n{err}");
}
