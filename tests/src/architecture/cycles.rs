//! Import cycles: files of a crate that need one another.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;

use super::imports::{Import, imports};

/// Files that all need one another, with the imports among them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cycle {
    /// The files, sorted.
    pub files: BTreeSet<String>,
    /// The imports among them, sorted.
    pub imports: Vec<Import>,
}

/// Returns the import cycles of a crate, largest first. Files carry their path from `src`.
pub fn cycles(files: &BTreeMap<String, String>) -> Vec<Cycle> {
    let imports = imports(files);
    let names: BTreeSet<&str> =
        imports.iter().flat_map(|import| [import.from.as_str(), import.to.as_str()]).collect();
    let mut graph = DiGraph::<&str, ()>::new();
    let nodes: BTreeMap<&str, _> =
        names.into_iter().map(|name| (name, graph.add_node(name))).collect();
    for import in &imports {
        graph.add_edge(nodes[import.from.as_str()], nodes[import.to.as_str()], ());
    }
    let mut found: Vec<Cycle> = tarjan_scc(&graph)
        .into_iter()
        .filter(|files| files.len() > 1)
        .map(|files| {
            let files: BTreeSet<String> =
                files.into_iter().map(|node| graph[node].to_owned()).collect();
            let among =
                |import: &&Import| files.contains(&import.from) && files.contains(&import.to);
            let imports = imports.iter().filter(among).cloned().collect();
            Cycle { files, imports }
        })
        .collect();
    found
        .sort_by(|one, other| other.files.len().cmp(&one.files.len()).then_with(|| one.cmp(other)));
    found
}

/// Renders a cycle as a list: each file, and the imports that keep it in the cycle.
pub fn rendered(cycle: &Cycle) -> String {
    let mut text = format!("cycle of {} files:\n", cycle.files.len());
    for file in &cycle.files {
        text.push_str(&format!("  {file}\n"));
        for import in cycle.imports.iter().filter(|import| import.from == *file) {
            text.push_str(&format!(
                "    -> {} (line {}: {})\n",
                import.to, import.line, import.path
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{cycles, rendered};

    /// Checks the cycles of a crate given as `(file, text)`, each as its sorted files.
    fn check(files: &[(&str, &str)], expected: &[&[&str]]) {
        let files =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let found: Vec<Vec<String>> =
            cycles(&files).into_iter().map(|cycle| cycle.files.into_iter().collect()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_child_that_imports_its_parent_is_a_cycle() {
        check(
            &[
                ("lib.rs", "mod a;"),
                ("a/mod.rs", "mod b; pub struct P; fn f() { b::g(); }"),
                ("a/b.rs", "use super::P;"),
            ],
            &[&["a/b.rs", "a/mod.rs"]],
        );
    }

    #[test]
    fn a_cycle_through_a_re_export_is_found() {
        check(
            &[
                ("lib.rs", "mod a; mod b; mod c; pub use a::X;"),
                ("a.rs", "pub struct X; use crate::b::Y;"),
                ("b.rs", "pub struct Y; use crate::{X, c};"),
                ("c.rs", ""),
            ],
            &[&["a.rs", "b.rs"]],
        );
    }

    #[test]
    fn a_root_that_only_declares_and_re_exports_is_in_no_cycle() {
        check(
            &[
                ("lib.rs", "mod a; mod b; pub use a::X; pub use b::*;"),
                ("a.rs", "pub struct X;"),
                ("b.rs", "use crate::X;"),
            ],
            &[],
        );
    }

    #[test]
    fn a_root_whose_items_its_modules_need_is_in_a_cycle() {
        check(
            &[
                ("main.rs", "mod a; struct S; fn main() { a::f(); }"),
                ("a.rs", "use crate::S; pub fn f() {}"),
            ],
            &[&["a.rs", "main.rs"]],
        );
    }

    #[test]
    fn tests_make_no_cycle() {
        check(
            &[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "use crate::b;"),
                ("b.rs", "#[cfg(test)] mod tests { use crate::a; }"),
            ],
            &[],
        );
    }

    #[test]
    fn two_cycles_are_two() {
        check(
            &[
                ("lib.rs", "mod a; mod b; mod c; mod d; mod e;"),
                ("a.rs", "use crate::b;"),
                ("b.rs", "use crate::a; use crate::c;"),
                ("c.rs", "use crate::d;"),
                ("d.rs", "use crate::e;"),
                ("e.rs", "use crate::c;"),
            ],
            &[&["c.rs", "d.rs", "e.rs"], &["a.rs", "b.rs"]],
        );
    }

    #[test]
    fn a_cycle_is_shown_with_its_lines() {
        let files = [
            ("lib.rs", "mod a; mod b;"),
            ("a.rs", "\nuse crate::b::f;"),
            ("b.rs", "use super::a::{g};"),
        ];
        let files =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let expected = "cycle of 2 files:\n  a.rs\n    -> b.rs (line 2: crate::b::f)\n  b.rs\n    -> a.rs (line 1: super::a::g)\n";
        assert_eq!(rendered(&cycles(&files)[0]), expected);
    }
}
