//! The image of infra containers: one tiny static program of our own, handed to the engine
//! through its API. No registry, and nothing to download.

use bollard::body_full;
use bollard::query_parameters::CreateImageOptions;
use futures_util::TryStreamExt as _;
use tally_reconcile::labels::INFRA_IMAGE;

use crate::HostError;
use crate::connect::DockerHost;

/// `pause`, compiled by `build.rs`.
static PAUSE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pause"));

/// The program of the infra image, for the architecture of this build; empty where there is none.
#[must_use]
pub fn infra_program() -> &'static [u8] {
    PAUSE
}

/// Imports the image.
pub(crate) async fn load(host: &DockerHost) -> Result<(), HostError> {
    let archive = root_archive(&host.arch)?;
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        // The tag within the name, as Docker allows: Podman overlooks one beside it.
        repo: Some(INFRA_IMAGE.to_owned()),
        message: Some("Tally's infra container: it holds a pod's network and IPC".to_owned()),
        changes: vec!["ENTRYPOINT [\"/pause\"]".to_owned()],
        ..CreateImageOptions::default()
    };
    let import = host.docker.create_image(Some(options), Some(body_full(archive.into())), None);
    let finished = import.try_for_each(|_| async { Ok(()) });
    host.call("load the infra image", host.options.mutate, finished).await
}

/// The image's root file system.
fn root_archive(engine_arch: &str) -> Result<Vec<u8>, HostError> {
    let ours = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    if PAUSE.is_empty() || ours != engine_arch {
        return Err(HostError::Refused {
            status: 0,
            message: format!(
                "pods of several containers need the infra image, which this build of Tally ({ours}) \
                 has for engines of its own architecture only; this engine's is {engine_arch}"
            ),
        });
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o755);
    header.set_size(PAUSE.len() as u64);
    let mut builder = tar::Builder::new(Vec::new());
    let written = builder.append_data(&mut header, "pause", PAUSE);
    written
        .and_then(|()| builder.into_inner())
        .map_err(|error| HostError::Broken(format!("the infra image could not be made: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_of_another_architecture_is_refused_in_a_sentence() {
        let error = root_archive("riscv64").map(|_| ()).map_err(|error| error.to_string());
        assert!(error.is_err_and(|message| message.contains("this engine's is riscv64")));
    }

    #[test]
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
    fn the_program_is_tiny() {
        assert!(!PAUSE.is_empty());
        assert!(PAUSE.len() < 4096, "{} bytes", PAUSE.len());
    }
}
