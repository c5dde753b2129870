//! Compiles `pause/pause.rs`, the one program of the infra image, for the architecture Tally is
//! built for. It has no dependencies, so the compiler that builds this crate is all it needs.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=pause/pause.rs");
    println!("cargo::rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var("OUT_DIR")?).join("pause");
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
    let known = matches!(arch.as_str(), "x86_64" | "aarch64");
    if env::var("CARGO_CFG_TARGET_OS")? != "linux" || !known {
        // Loading it says so in a sentence; everything else works.
        fs::write(&out, [])?;
        return Ok(());
    }
    let mut rustc = Command::new(env::var("RUSTC")?);
    rustc
        .args(["--edition=2024", "--crate-type=bin", "--crate-name=pause"])
        .args(["--target", &env::var("TARGET")?])
        .args(["-C", "opt-level=z", "-C", "panic=abort", "-C", "strip=symbols"])
        .args(["-C", "relocation-model=static", "-C", "link-arg=-nostartfiles"])
        .args(["-C", "link-arg=-nostdlib", "-C", "link-arg=-static"])
        .args(["-C", "link-arg=-Wl,--build-id=none,-z,norelro,-n"])
        .arg("-o")
        .arg(&out)
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
