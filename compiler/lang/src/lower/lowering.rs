//! The state of lowering.

use std::collections::{BTreeMap, BTreeSet};

use tally_graph::FileContent;
use tally_source::OriginArena;

use crate::loader::Loader;
use crate::reporter::Reporter;

/// The state that lowering reads and writes.
pub(crate) struct Lowering<'l, 's> {
    pub cx: Reporter<'s>,
    pub loader: &'l mut dyn Loader,
    pub origins: OriginArena,
    pub contents: BTreeMap<String, FileContent>,
    pub content_bytes: usize,
    /// The hash of each file that `from` names, by path: each is read once.
    pub read: BTreeMap<String, Option<String>>,
    /// Named volumes that something mounts.
    pub used_volumes: BTreeSet<String>,
    /// Secrets that something uses.
    pub used_secrets: BTreeSet<String>,
}

impl<'l, 's> Lowering<'l, 's> {
    /// Starts with nothing lowered.
    pub fn new(cx: Reporter<'s>, loader: &'l mut dyn Loader) -> Self {
        Self {
            cx,
            loader,
            origins: OriginArena::default(),
            contents: BTreeMap::new(),
            content_bytes: 0,
            read: BTreeMap::new(),
            used_volumes: BTreeSet::new(),
            used_secrets: BTreeSet::new(),
        }
    }
}
