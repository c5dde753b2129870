//! A folder with a spec, and the built program in it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop, and uses what it needs"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder with a spec, removed at the end of the test.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str, spec: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tally-cli-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        folder.write("tally.kdl", spec);
        folder
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }

    pub fn tally(&self, args: &[&str]) -> Ran {
        Ran::new(&self.0, args, "")
    }

    /// Runs the program with `TALLY_LOG`.
    pub fn tally_with_log(&self, log: &str, args: &[&str]) -> Ran {
        Ran::new(&self.0, args, log)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The output of a command, and its exit code.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    fn new(folder: &Path, args: &[&str], log: &str) -> Self {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_tally"))
            .args(args)
            .current_dir(folder)
            .env_remove("DOCKER_HOST")
            .env("LANG", "C.UTF-8")
            .env("TALLY_LOG", log)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        Self {
            code: status.code().unwrap(),
            out: String::from_utf8(stdout).unwrap(),
            err: String::from_utf8(stderr).unwrap(),
        }
    }

    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        self
    }
}
