//! Any bytes give a graph or reports: `make fuzz`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tally_lang::{MemoryLoader, compile};

fuzz_target!(|data: &[u8]| {
    let mut loader = MemoryLoader::default();
    loader.files.insert("tally.kdl".into(), data.to_vec());
    let compiled = compile("tally.kdl", &mut loader);
    assert!(compiled.graph.is_some() || !compiled.diagnostics.is_empty());
    for label in compiled.diagnostics.iter().flat_map(|found| &found.labels) {
        let file = compiled.sources.get(label.span.file).expect("a label in a file");
        assert!(file.text.get(label.span.range()).is_some(), "a label outside its file");
    }
});
