//! The imports between the files of a crate.

use std::collections::BTreeMap;

use super::modules::{ModulePath, Modules, joined};
use super::scan::{PathKind, Scan, WrittenPath};

/// One file needs another, with the first line that says so.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// The file that imports, from the crate's `src`.
    pub from: String,
    /// The file that defines the imported item.
    pub to: String,
    /// The line in `from`, from 1.
    pub line: usize,
    /// The path as written there.
    pub path: String,
}

/// Returns the imports between the files of a crate, one per pair of files, sorted.
///
/// These are no imports: a `mod` declaration; a `pub use` in `lib.rs`, `main.rs` or `mod.rs` whose name
/// the file does not use itself; anything under `#[cfg(test)]`.
pub fn imports(files: &BTreeMap<String, String>) -> Vec<Import> {
    let modules = Modules::read(files);
    let mut found: BTreeMap<(String, String), Import> = BTreeMap::new();
    for (module, scan) in modules.scans() {
        let from = modules.file(module);
        for written in &scan.paths {
            if let Some(import) = import(&modules, module, scan, written)
                && import.to != from
            {
                found.entry((import.from.clone(), import.to.clone())).or_insert(import);
            }
        }
    }
    found.into_values().collect()
}

fn import(
    modules: &Modules,
    module: &ModulePath,
    scan: &Scan,
    written: &WrittenPath,
) -> Option<Import> {
    let from = modules.file(module).to_owned();
    let line = match &written.kind {
        PathKind::Import { name, public: true } if may_re_export(&from) => {
            use_of(scan, written, name)?
        }
        PathKind::Glob { public: true } if may_re_export(&from) => return None,
        _ => written.line,
    };
    let target = modules.resolve(module, written)?;
    let to = modules.file(&target).to_owned();
    Some(Import { from, to, line, path: joined(&written.names, &[]).join("::") })
}

fn may_re_export(file: &str) -> bool {
    file == "lib.rs" || file == "main.rs" || file == "mod.rs" || file.ends_with("/mod.rs")
}

/// Returns the line on which a file uses a name that it re-exports, if it does.
fn use_of(scan: &Scan, written: &WrittenPath, name: &str) -> Option<usize> {
    let used =
        scan.names.iter().find(|(item, _)| item.name == name && item.inside == written.inside);
    used.map(|(_, line)| *line)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::imports;

    /// Checks the imports of a crate given as `(file, text)`, each as `from -> to`.
    fn check(files: &[(&str, &str)], expected: &[&str]) {
        let files: BTreeMap<String, String> =
            files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        let found: Vec<String> = imports(&files)
            .into_iter()
            .map(|import| format!("{} -> {}", import.from, import.to))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn declarations_and_re_exports_are_no_imports() {
        check(
            &[
                ("lib.rs", "mod a; mod b; pub use a::{X, Y as Z};"),
                ("a.rs", "pub struct X; pub struct Y;"),
                ("b.rs", ""),
            ],
            &[],
        );
    }

    #[test]
    fn an_import_through_a_re_export_is_one_of_the_defining_module() {
        check(
            &[
                ("lib.rs", "mod a; mod b; pub use a::X as Y;"),
                ("a/mod.rs", "mod inner; pub use inner::*;"),
                ("a/inner.rs", "pub struct X;"),
                ("b.rs", "use crate::Y; use crate::a::X;"),
            ],
            &["b.rs -> a/inner.rs"],
        );
    }

    #[test]
    fn a_re_export_that_the_file_uses_itself_is_an_import() {
        check(
            &[("lib.rs", "mod a; pub use a::X; pub fn f(x: X) {}"), ("a.rs", "pub struct X;")],
            &["lib.rs -> a.rs"],
        );
    }

    #[test]
    fn super_self_and_children_are_followed() {
        check(
            &[
                ("main.rs", "mod a; fn main() { a::run(); }"),
                ("a/mod.rs", "mod b; mod c; use self::c::C; fn run() { b::go(); } struct P;"),
                ("a/b.rs", "use super::P; use super::super::a::c::C; fn go() {}"),
                ("a/c.rs", "pub struct C; fn f() { super::b::go() }"),
            ],
            &[
                "a/b.rs -> a/c.rs",
                "a/b.rs -> a/mod.rs",
                "a/c.rs -> a/b.rs",
                "a/mod.rs -> a/b.rs",
                "a/mod.rs -> a/c.rs",
                "main.rs -> a/mod.rs",
            ],
        );
    }

    #[test]
    fn a_module_that_is_imported_by_name_is_followed_in_code() {
        check(
            &[
                ("lib.rs", "mod a; mod b;"),
                ("a/mod.rs", "pub mod deep;"),
                ("a/deep.rs", "pub fn f() {}"),
                ("b.rs", "use crate::a; fn g() { a::deep::f(); }"),
            ],
            &["b.rs -> a/deep.rs", "b.rs -> a/mod.rs"],
        );
    }

    #[test]
    fn grouped_imports_in_inline_modules_and_enums_lead_to_their_file() {
        check(
            &[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "pub enum E { V } pub mod inner { pub struct I; }"),
                (
                    "b.rs",
                    "mod m { use crate::{a::{E::{self, V}, inner::I}}; use super::T; } struct T;",
                ),
            ],
            &["b.rs -> a.rs"],
        );
    }

    #[test]
    fn other_crates_and_names_alike_are_no_imports() {
        check(
            &[
                ("lib.rs", "mod std_like; mod b;"),
                (
                    "std_like.rs",
                    "use std::fmt; use serde::b; fn f() { fmt::write(); Self::b::c(); b_::d(); }",
                ),
                ("b.rs", "// use crate::std_like;\nconst T: &str = \"crate::std_like::f()\";"),
            ],
            &[],
        );
    }

    #[test]
    fn circles_of_re_exports_end() {
        check(
            &[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "pub use crate::b::X; pub use crate::b::*;"),
                ("b.rs", "pub use crate::a::X; pub use crate::a::*;"),
            ],
            &["a.rs -> b.rs", "b.rs -> a.rs"],
        );
    }
}
