//! Provides `pause`, the only program of the infra image, for both supported architectures of engines. For the
//! architecture that Tally is built for, it compiles `pause/pause.rs`: that has no dependencies, so the compiler of
//! this crate is enough. For the other one it copies the committed file, because few developers have the core
//! library and the linker of another architecture. `make pause` builds the committed files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The compiler's name of each architecture, and Docker's.
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

/// Compiles `pause` with the same options as `tests/tools/pause.sh`.
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
