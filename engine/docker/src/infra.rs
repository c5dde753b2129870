//! The image of infra containers: one small static program, imported through the engine's API. It needs no registry and
//! no download.

use std::time::Duration;

use bollard::body_full;
use bollard::query_parameters::CreateImageOptions;
use futures_util::TryStreamExt as _;
use tally_reconcile::labels::INFRA_IMAGE;

use crate::docker_host::DockerHost;
use tally_host::HostError;

/// The program `pause` (see `build.rs`), by Docker's name of the architecture.
static PROGRAMS: [(&str, &[u8]); 2] = [
    ("amd64", include_bytes!(concat!(env!("OUT_DIR"), "/pause.amd64"))),
    ("arm64", include_bytes!(concat!(env!("OUT_DIR"), "/pause.arm64"))),
];

/// Returns the program of the infra image for an engine's architecture, in Docker's words (`amd64`).
#[must_use]
pub fn infra_program(architecture: &str) -> Option<&'static [u8]> {
    PROGRAMS.iter().find(|(name, _)| *name == architecture).map(|(_, program)| *program)
}

/// Number of tries, and the pause between them, while others load the image too.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(200);

/// Imports the image. With containerd's image store, Docker removes the existing image before it names the new one, and
/// refuses some of several concurrent imports: for those it is enough that the image exists afterwards.
pub(crate) async fn load(host: &DockerHost) -> Result<(), HostError> {
    let archive = root_archive(&host.facts().await?.arch)?;
    let mut tries = 1;
    loop {
        match import(host, archive.clone()).await {
            Err(error @ (HostError::Refused { .. } | HostError::NotFound(_))) => {
                if exists(host).await {
                    return Ok(());
                }
                if tries == TRIES {
                    return Err(error);
                }
            }
            other => return other,
        }
        tries += 1;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn exists(host: &DockerHost) -> bool {
    let inspect = host.docker.inspect_image(INFRA_IMAGE);
    host.call("inspect image", host.options.read, inspect).await.is_ok()
}

async fn import(host: &DockerHost, archive: Vec<u8>) -> Result<(), HostError> {
    let options = CreateImageOptions {
        from_src: Some("-".to_owned()),
        // The tag is part of the name, as Docker allows, because Podman ignores a separate one.
        repo: Some(INFRA_IMAGE.to_owned()),
        message: Some("Tally's infra container: it holds a pod's network and IPC".to_owned()),
        changes: vec!["ENTRYPOINT [\"/pause\"]".to_owned()],
        ..CreateImageOptions::default()
    };
    let import = host.docker.create_image(Some(options), Some(body_full(archive.into())), None);
    let finished = import.try_for_each(|_| async { Ok(()) });
    host.call("load the infra image", host.options.mutate, finished).await
}

/// Returns the image's root file system as an archive.
fn root_archive(engine_arch: &str) -> Result<Vec<u8>, HostError> {
    let Some(program) = infra_program(engine_arch) else {
        let known = PROGRAMS.map(|(name, _)| name).join(" and ");
        return Err(HostError::NoInfraImage { architecture: engine_arch.to_owned(), known });
    };
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o755);
    header.set_size(program.len() as u64);
    let mut builder = tar::Builder::new(Vec::new());
    let written = builder.append_data(&mut header, "pause", program);
    written.and_then(|()| builder.into_inner()).map_err(|error| HostError::Archive {
        content: "the infra image",
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_of_another_architecture_is_refused_in_a_sentence() {
        let error = root_archive("riscv64").map(|_| ()).map_err(|error| error.to_string());
        assert!(error.is_err_and(|message| message.contains("this one is on riscv64")));
    }

    #[test]
    fn engines_of_both_architectures_get_a_tiny_static_program_for_their_machine() {
        let word = |at: &[u8], from: usize| u16::from_le_bytes([at[from], at[from + 1]]);
        for (name, machine) in [("amd64", 62), ("arm64", 183)] {
            let committed = std::fs::read(format!("pause/pause.{name}")).unwrap_or_default();
            let program = infra_program(name).unwrap_or_default();
            let archive = root_archive(name).unwrap();
            assert!(archive.windows(program.len()).any(|part| part == program), "{name}");
            for elf in [program, &committed] {
                assert!((64..4096).contains(&elf.len()), "{name}: {} bytes", elf.len());
                assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "{name}: 64 bits, little-endian");
                assert_eq!((word(elf, 16), word(elf, 18)), (2, machine), "{name}: executable");
                // Its program headers contain no interpreter (3) and no dynamic section (2).
                let (start, size) = (usize::from(word(elf, 32)), usize::from(word(elf, 54)));
                for nth in 0..usize::from(word(elf, 56)) {
                    let asks = word(elf, start + nth * size);
                    assert!(!matches!(asks, 2 | 3), "{name}: static, and asks for {asks}");
                }
            }
        }
    }
}
