//! The modules of one crate, and the resolution of paths to the module that defines an item.

use std::collections::{BTreeMap, BTreeSet};

use super::scan::{PathKind, Scan, WrittenPath, scan};

/// A module's path from the crate's root; the root is empty.
pub type ModulePath = Vec<String>;

/// The maximum number of re-exports followed on the way to an item. `use time::time;` reads as an import
/// of itself and would never end.
const MAXIMUM_STEPS: usize = 32;

/// One module: a file, or an inline module within one.
#[derive(Debug, Default)]
pub struct Module {
    /// The file it is in, from the crate's `src`.
    pub file: String,
    items: BTreeSet<String>,
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

/// All modules of a crate.
#[derive(Debug)]
pub struct Modules {
    modules: BTreeMap<ModulePath, Module>,
    scans: BTreeMap<ModulePath, Scan>,
}

impl Modules {
    /// Reads a crate from its files: each with its path from `src` (`a/mod.rs`) and its text.
    ///
    /// Files that no `mod` declaration of the crate reaches are left out, and so are modules of tests.
    pub fn read(files: &BTreeMap<String, String>) -> Modules {
        let mut read = Modules { modules: BTreeMap::new(), scans: BTreeMap::new() };
        for root in ["lib.rs", "main.rs"] {
            if files.contains_key(root) {
                read.add_file(files, Vec::new(), root);
                break;
            }
        }
        read
    }

    fn add_file(&mut self, files: &BTreeMap<String, String>, path: ModulePath, file: &str) {
        let Some(text) = files.get(file) else { return };
        let scan = scan(text);
        self.modules.entry(path.clone()).or_default().file = file.to_owned();
        for inline in &scan.inline_modules {
            let inner = joined(&joined(&path, &inline.inside), std::slice::from_ref(&inline.name));
            self.modules.entry(inner).or_default().file = file.to_owned();
        }
        for item in &scan.items {
            self.module(&path, &item.inside).items.insert(item.name.clone());
        }
        for written in &scan.paths {
            let module = self.module(&path, &written.inside);
            match &written.kind {
                PathKind::Import { name, .. } => {
                    module.imports.insert(name.clone(), written.names.clone());
                }
                PathKind::Glob { .. } => module.globs.push(written.names.clone()),
                PathKind::Code => {}
            }
        }
        for child in &scan.file_modules {
            let inner = joined(&joined(&path, &child.inside), std::slice::from_ref(&child.name));
            let base = inner.join("/");
            let name = [format!("{base}.rs"), format!("{base}/mod.rs")];
            if let Some(file) = name.iter().find(|name| files.contains_key(*name)) {
                self.add_file(files, inner, file);
            }
        }
        self.scans.insert(path, scan);
    }

    fn module(&mut self, file: &ModulePath, inside: &[String]) -> &mut Module {
        self.modules.entry(joined(file, inside)).or_default()
    }

    /// Returns each file's module path with the file's scan.
    pub fn scans(&self) -> impl Iterator<Item = (&ModulePath, &Scan)> {
        self.scans.iter()
    }

    /// Returns the file of a module.
    pub fn file(&self, module: &ModulePath) -> &str {
        self.modules.get(module).map_or("", |module| module.file.as_str())
    }

    /// Returns the module that a written path leads to: that which defines the item, re-exports followed.
    /// None for paths into other crates.
    pub fn resolve(&self, file: &ModulePath, written: &WrittenPath) -> Option<ModulePath> {
        self.resolve_in(&joined(file, &written.inside), &written.names, &mut BTreeSet::new())
    }

    /// Resolves names from a module. `seen` holds the (module, names) on the way, against circles of re-exports.
    fn resolve_in(
        &self,
        from: &ModulePath,
        names: &[String],
        seen: &mut BTreeSet<(ModulePath, Vec<String>)>,
    ) -> Option<ModulePath> {
        if seen.len() == MAXIMUM_STEPS || !seen.insert((from.clone(), names.to_vec())) {
            return None;
        }
        let mut base = from.clone();
        let mut rest = names;
        match names.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &names[1..];
            }
            "self" => rest = &names[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    base.pop()?;
                    rest = &rest[1..];
                }
            }
            first if self.leads_somewhere(from, first) => {}
            _ => return None,
        }
        self.walk(base, rest, seen)
    }

    /// Checks whether a relative path can begin with this name here: a child module or an imported name.
    fn leads_somewhere(&self, from: &ModulePath, name: &str) -> bool {
        let child = joined(from, &[name.to_owned()]);
        let imported =
            self.modules.get(from).is_some_and(|module| module.imports.contains_key(name));
        self.modules.contains_key(&child) || imported
    }

    fn walk(
        &self,
        mut base: ModulePath,
        mut rest: &[String],
        seen: &mut BTreeSet<(ModulePath, Vec<String>)>,
    ) -> Option<ModulePath> {
        while let Some(name) = rest.first() {
            let child = joined(&base, std::slice::from_ref(name));
            if self.modules.contains_key(&child) {
                base = child;
                rest = &rest[1..];
                continue;
            }
            return Some(self.definer(&base, name, rest, seen).unwrap_or(base));
        }
        Some(base)
    }

    /// Returns the module that defines a name of `base`, if that is another one.
    fn definer(
        &self,
        base: &ModulePath,
        name: &str,
        rest: &[String],
        seen: &mut BTreeSet<(ModulePath, Vec<String>)>,
    ) -> Option<ModulePath> {
        let module = self.modules.get(base)?;
        if module.items.contains(name) {
            return None;
        }
        if let Some(target) = module.imports.get(name) {
            let names = joined(target, &rest[1..]);
            // `use a::b` where this very name begins the path is no way to follow.
            return self.resolve_in(base, &names, seen);
        }
        module.globs.iter().find_map(|glob| {
            let target = self.resolve_in(base, glob, seen)?;
            self.provides(&target, name).then(|| self.walk(target, rest, seen)).flatten()
        })
    }

    fn provides(&self, module: &ModulePath, name: &str) -> bool {
        let child = joined(module, &[name.to_owned()]);
        self.modules.contains_key(&child)
            || self.modules.get(module).is_some_and(|module| {
                module.items.contains(name) || module.imports.contains_key(name)
            })
    }
}

/// Returns both lists as one.
pub fn joined(before: &[String], after: &[String]) -> Vec<String> {
    before.iter().chain(after).cloned().collect()
}
