//! Shared helpers of the tests of this crate.

#![allow(
    clippy::disallowed_methods,
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test may stop, and uses what it needs"
)]

use std::path::PathBuf;

use tally_graph::Graph;
use tally_lang::{Compiled, LoadError, Loader, compile};
use tally_source::{RenderOptions, Theme, render_people};

/// Files of a folder.
pub struct FolderLoader(pub PathBuf);

impl Loader for FolderLoader {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, LoadError> {
        std::fs::read(self.0.join(path)).map_err(|_| LoadError::NotFound)
    }
}

/// Compiles a spec that must compile without a diagnostic.
pub fn check(loader: &mut dyn Loader) -> Graph {
    let compiled = compile("tally.kdl", loader);
    assert!(compiled.diagnostics.is_empty(), "{}", rendered(&compiled));
    compiled.graph.expect("no graph without a report")
}

/// All reports as people see them.
pub fn rendered(compiled: &Compiled) -> String {
    let options = RenderOptions { width: 100, theme: Theme::Unicode, most: 50 };
    render_people(&compiled.diagnostics, &compiled.sources, options)
}
