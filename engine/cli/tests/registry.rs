//! The built program and a registry that requires a login (if `TALLY_TEST_DOCKER=1`): credentials come from where
//! Docker's client keeps them, and are never shown.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "tests stop loudly")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tally_tests::registry::{PASSWORD, Registry, USER};

const HELLO: &str = "tally.local/hello:1";

fn docker(args: &[&str]) -> Output {
    Command::new("docker").args(args).stdin(Stdio::null()).output().unwrap()
}

/// A spec whose image is in a guarded registry; everything is removed at the end of the test.
struct World {
    folder: tempfile::TempDir,
    image: String,
    _registry: Registry,
}

impl World {
    fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let open = Registry::start(path, false)?;
        let pushed = format!("{}/hello:1", open.address());
        for args in [&["tag", HELLO, &pushed][..], &["push", &pushed], &["image", "rm", &pushed]] {
            let ran = docker(args);
            assert!(ran.status.success(), "{ran:?}");
        }
        // The same images, behind a login.
        let registry = Registry::start(path, true)?;
        let image = format!("{}/hello:1", registry.address());
        let spec = format!("cluster t-cli-registry\npod p {{ container c image=\"{image}\" }}\n");
        std::fs::write(path.join("tally.kdl"), spec).unwrap();
        let world = Self { folder, image, _registry: registry };
        world.clear();
        Some(world)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `tally` with Docker's config from a folder, and further programs from it.
    fn tally(&self, args: &[&str], docker_config: &Path) -> (i32, String) {
        let path = std::env::var("PATH").unwrap_or_default();
        let ran = Command::new(env!("CARGO_BIN_EXE_tally"))
            .args(args)
            .current_dir(self.folder.path())
            .env("DOCKER_CONFIG", docker_config)
            .env("PATH", format!("{}:{path}", docker_config.display()))
            .env("COLUMNS", "200")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [ran.stdout, ran.stderr].concat();
        (ran.status.code().unwrap(), String::from_utf8(said).unwrap())
    }

    /// Removes the cluster and the image, so that the image has to be pulled again.
    fn clear(&self) {
        self.tally(&["destroy", "--yes"], self.folder.path());
        docker(&["image", "rm", "-f", &self.image]);
    }

    fn has_image(&self) -> bool {
        docker(&["image", "inspect", &self.image]).status.success()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.clear();
    }
}

#[test]
fn a_login_comes_from_dockers_config_file_or_a_credential_helper() {
    if std::env::var("TALLY_TEST_DOCKER").as_deref() != Ok("1") {
        eprintln!("SKIPPED: pulls with a login (TALLY_TEST_DOCKER is not 1)");
        return;
    }
    let Some(world) = World::new() else { return };
    let server = world.image.split('/').next().unwrap();

    let none = world.path("none");
    std::fs::create_dir(&none).unwrap();
    let (code, said) = world.tally(&["apply", "--yes"], &none);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("E1201") && said.contains(&format!("docker login {server}")), "{said}");

    let wrong = world.path("wrong");
    std::fs::create_dir(&wrong).unwrap();
    // tally:wrong
    write_auth(&wrong, server, "dGFsbHk6d3Jvbmc=");
    let (code, said) = world.tally(&["apply", "--yes"], &wrong);
    assert_eq!(code, 1, "{said}");
    assert!(!said.contains("dGFsbHk6") && !said.contains("wrong"), "it is shown to nobody: {said}");

    let file = world.path("file");
    std::fs::create_dir(&file).unwrap();
    // tally:secret
    write_auth(&file, server, "dGFsbHk6c2VjcmV0");
    let (code, said) = world.tally(&["apply", "--yes"], &file);
    assert_eq!(code, 0, "{said}");
    assert!(world.has_image());

    world.clear();
    assert!(!world.has_image());
    let helper = world.path("helper");
    std::fs::create_dir(&helper).unwrap();
    let config = format!("{{\"credHelpers\": {{\"{server}\": \"test\"}}}}");
    std::fs::write(helper.join("config.json"), config).unwrap();
    let program = helper.join("docker-credential-test");
    let script = format!(
        "#!/bin/sh\nread -r server\n[ \"$1 $server\" = 'get {server}' ] || exit 1\n\
         echo '{{\"Username\": \"{USER}\", \"Secret\": \"{PASSWORD}\"}}'\n"
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (code, said) = world.tally(&["apply", "--yes"], &helper);
    assert_eq!(code, 0, "{said}");
    assert!(world.has_image());
    assert!(!said.contains(PASSWORD), "it is shown to nobody: {said}");
}

fn write_auth(folder: &Path, server: &str, auth: &str) {
    let config = format!("{{\"auths\": {{\"{server}\": {{\"auth\": \"{auth}\"}}}}}}");
    std::fs::write(folder.join("config.json"), config).unwrap();
}
