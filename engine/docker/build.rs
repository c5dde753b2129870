//! Makes `pause`, the one program of the infra image, for both architectures that engines run on: for
//! the one Tally is built for by compiling `pause/pause.rs`, which has no dependencies, so that the
//! compiler that builds this crate is all it needs; for the other from the committed file, since few
//! have that one's core library and linker (`make pause` makes those files anew).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The compiler's word for an architecture and Docker's.
const ARCHITECTURES: [(&str, &str); 2] = [("x86_64", "amd64"), ("aarch64", "arm64")];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=pause");
    println!("cargo::rerun-if-changed=build.rs");
    let folder = PathBuf::from(env::var("OUT_DIR")?);
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
    let on_linux = env::var("CARGO_CFG_TARGET_OS")? == "linux";
    for (ours, docker) in ARCHITECTURES {
        let name = format!("pause.{docker}");
        if on_linux && ours == arch {
            compile(&folder.join(name))?
        } else {
            fs::copy(Path::new("pause").join(&name), folder.join(name))?;
        }
    }
    Ok(())
}

/// As in `tests/tools/pause.sh`.
fn compile(out: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut rustc = Command::new(env::var("RUSTC")?);
    rustc
        .args(["--edition=2024", "--crate-type=bin", "--crate-name=pause"])
        .args(["--target", &env::var("TARGET")?])
        .args(["-C", "opt-level=z", "-C", "panic=abort", "-C", "strip=symbols"])
        .args(["-C", "relocation-model=static", "-C", "link-arg=-nostartfiles"])
        .args(["-C", "link-arg=-nostdlib", "-C", "link-arg=-static"])
        .args(["-C", "link-arg=-Wl,--build-id=none,-z,norelro,-n"])
        .arg("-o")
        .arg(out)
        .arg("pause/pause.rs");
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={linker}"));
    }
    let status = rustc.status()?;
    if !status.success() {
        return Err(format!("pause/pause.rs did not compile: {status}").into());
    }
    Ok(())
}
