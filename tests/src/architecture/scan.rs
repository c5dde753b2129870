//! One source file: the modules it declares, the items it defines, and each path it writes.

use super::tokens::{Token, tokens};

/// A path that a file writes, in a `use` declaration or in code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenPath {
    /// The inline modules around it, from the outside in; empty at the top of the file.
    pub inside: Vec<String>,
    /// The names of the path. A `self` at the end of a list of imports is left out.
    pub names: Vec<String>,
    /// The line, from 1.
    pub line: usize,
    /// How the path is written.
    pub kind: PathKind,
}

/// The ways to write a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathKind {
    /// `use a::b as name;`.
    Import {
        /// The name that the declaration gives to the item.
        name: String,
        /// Whether the declaration begins with `pub`.
        public: bool,
    },
    /// `use a::*;`.
    Glob {
        /// Whether the declaration begins with `pub`.
        public: bool,
    },
    /// `a::b` in code.
    Code,
}

/// An item that a file defines at some module's top level.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// The inline modules around it.
    pub inside: Vec<String>,
    /// Its name.
    pub name: String,
}

/// The parts of a file that matter to imports. Items under `#[cfg(test)]` are left out.
#[derive(Debug, Default)]
pub struct Scan {
    /// Modules in files of their own: `mod a;`.
    pub file_modules: Vec<Item>,
    /// Modules with a body: `mod a { … }`.
    pub inline_modules: Vec<Item>,
    /// Modules in files of their own that only tests compile.
    pub test_modules: Vec<Item>,
    /// All other items.
    pub items: Vec<Item>,
    /// All paths of two names or more, and all imports.
    pub paths: Vec<WrittenPath>,
    /// All names outside of `use` declarations, each with the inline modules around it and its line.
    pub names: Vec<(Item, usize)>,
}

/// Reads one source file.
pub fn scan(source: &str) -> Scan {
    let mut scanner = Scanner {
        tokens: tokens(source),
        at: 0,
        depth: 0,
        modules: Vec::new(),
        scan: Scan::default(),
    };
    while scanner.at < scanner.tokens.len() {
        scanner.step();
    }
    scanner.scan
}

struct Scanner {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// The open inline modules, each with the depth of braces outside of it.
    modules: Vec<(String, usize)>,
    scan: Scan,
}

const DEFINING: [&str; 9] =
    ["struct", "enum", "union", "trait", "type", "fn", "const", "static", "macro_rules"];

impl Scanner {
    fn text(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |token| token.text.as_str())
    }

    fn name_at(&self, ahead: usize) -> bool {
        self.tokens.get(self.at + ahead).is_some_and(Token::is_name)
    }

    fn inside(&self) -> Vec<String> {
        self.modules.iter().map(|(name, _)| name.clone()).collect()
    }

    fn item(&self, name: &str) -> Item {
        Item { inside: self.inside(), name: name.to_owned() }
    }

    fn step(&mut self) {
        let here = self.text(0).to_owned();
        match here.as_str() {
            "#" if self.is_test_attribute() => self.skip_test_item(),
            "{" => self.open(),
            "}" => self.close(),
            "mod" if self.name_at(1) && matches!(self.text(2), ";" | "{") => self.module(),
            "use" if self.at_item() => self.import(),
            _ if DEFINING.contains(&here.as_str()) => self.definition(),
            _ if self.name_at(0) || here == "::" => self.code_path(),
            _ => self.at += 1,
        }
    }

    /// Checks whether a `use` here is a declaration, and not the `use<'a>` of a bound.
    fn at_item(&self) -> bool {
        self.name_at(1) || matches!(self.text(1), "{" | "::" | "*")
    }

    fn open(&mut self) {
        self.depth += 1;
        self.at += 1;
    }

    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        if self.modules.last().is_some_and(|(_, depth)| *depth == self.depth) {
            self.modules.pop();
        }
        self.at += 1;
    }

    fn module(&mut self) {
        let name = self.text(1).to_owned();
        let item = self.item(&name);
        if self.text(2) == "{" {
            self.scan.inline_modules.push(item);
            self.modules.push((name, self.depth));
            self.depth += 1;
        } else {
            self.scan.file_modules.push(item);
        }
        self.at += 3;
    }

    fn definition(&mut self) {
        let ahead = if self.text(1) == "!" { 2 } else { 1 };
        let top = self.modules.last().map_or(0, |(_, depth)| depth + 1);
        if self.depth == top && self.name_at(ahead) {
            let item = self.item(self.text(ahead));
            self.scan.items.push(item);
        }
        self.at += 1;
    }

    fn is_test_attribute(&self) -> bool {
        ["#", "[", "cfg", "(", "test", ")", "]"]
            .iter()
            .enumerate()
            .all(|(ahead, text)| self.text(ahead) == *text)
    }

    /// Skips `#[cfg(test)]` and the item after it, up to its `;` or the end of its body.
    fn skip_test_item(&mut self) {
        self.at += 7;
        let mut depth = 0_usize;
        let is_use =
            (0..6).map(|ahead| self.text(ahead)).find(|text| matches!(*text, "use" | "mod" | "fn"))
                == Some("use");
        if let Some(ahead) =
            (0..6).find(|ahead| self.text(*ahead) == "mod" && self.text(ahead + 2) == ";")
        {
            let item = self.item(self.text(ahead + 1));
            self.scan.test_modules.push(item);
        }
        while self.at < self.tokens.len() {
            let here = self.text(0).to_owned();
            self.at += 1;
            match here.as_str() {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => {
                    depth = depth.saturating_sub(1);
                    if here == "}" && depth == 0 && !is_use {
                        return;
                    }
                }
                ";" if depth == 0 => return,
                _ => {}
            }
        }
    }

    fn is_public(&self) -> bool {
        let before = self.at.checked_sub(1).map_or("", |at| self.tokens[at].text.as_str());
        if before != ")" {
            return before == "pub";
        }
        let open = self.tokens[..self.at].iter().rposition(|token| token.is("("));
        open.and_then(|open| open.checked_sub(1)).is_some_and(|at| self.tokens[at].is("pub"))
    }

    fn import(&mut self) {
        let public = self.is_public();
        self.at += 1;
        self.tree(&[], public);
        if self.text(0) == ";" {
            self.at += 1;
        }
    }

    /// Reads one tree of a `use` declaration: `a::b`, `a::{…}`, `a::*`, `a as b`.
    fn tree(&mut self, before: &[String], public: bool) {
        let mut names = before.to_vec();
        let line = self.tokens.get(self.at).map_or(0, |token| token.line);
        loop {
            match self.text(0).to_owned().as_str() {
                "::" => self.at += 1,
                "{" => {
                    self.at += 1;
                    while !matches!(self.text(0), "}" | "") {
                        self.tree(&names, public);
                        if self.text(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "*" => {
                    self.at += 1;
                    self.push_path(names, line, PathKind::Glob { public });
                    return;
                }
                name if self.name_at(0) && name != "as" => {
                    names.push(name.to_owned());
                    self.at += 1;
                }
                _ => break,
            }
        }
        if names.last().is_some_and(|name| name == "self") && names.len() > 1 {
            names.pop();
        }
        let mut name = names.last().cloned().unwrap_or_default();
        if self.text(0) == "as" {
            self.text(1).clone_into(&mut name);
            self.at += 2;
        }
        if !matches!(self.text(0), "," | "}" | ";" | "") {
            // Unknown grammar: go on, and never loop.
            self.at += 1;
        }
        self.push_path(names, line, PathKind::Import { name, public });
    }

    fn push_path(&mut self, names: Vec<String>, line: usize, kind: PathKind) {
        self.scan.paths.push(WrittenPath { inside: self.inside(), names, line, kind });
    }

    /// Reads `a::b::C` or a single name in code.
    fn code_path(&mut self) {
        let line = self.tokens[self.at].line;
        let after_dot = self.at.checked_sub(1).is_some_and(|at| self.tokens[at].is("."));
        let absolute = self.text(0) == "::";
        if absolute {
            self.at += 1;
        }
        let mut names = Vec::new();
        while self.name_at(0) {
            names.push(self.text(0).to_owned());
            self.at += 1;
            if self.text(0) != "::" || !self.name_at(1) {
                break;
            }
            self.at += 1;
        }
        let Some(first) = names.first() else { return };
        if absolute || after_dot {
            return;
        }
        let item = self.item(first);
        self.scan.names.push((item, line));
        if names.len() > 1 {
            self.push_path(names, line, PathKind::Code);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PathKind, scan};

    /// Returns each import as `path as name`, with `pub` before those that are public.
    fn imports(source: &str) -> Vec<String> {
        let prefix = |public: bool| if public { "pub " } else { "" };
        scan(source)
            .paths
            .iter()
            .filter_map(|path| match &path.kind {
                PathKind::Import { name, public } => {
                    Some(format!("{}{} as {name}", prefix(*public), path.names.join("::")))
                }
                PathKind::Glob { public } => {
                    Some(format!("{}{}::*", prefix(*public), path.names.join("::")))
                }
                PathKind::Code => None,
            })
            .collect()
    }

    #[test]
    fn nested_lists_of_imports_are_read() {
        assert_eq!(
            imports("use crate::{a::{B, c::D as E, self}, e, f::*};"),
            [
                "crate::a::B as B",
                "crate::a::c::D as E",
                "crate::a as a",
                "crate::e as e",
                "crate::f::*",
            ]
        );
    }

    #[test]
    fn re_exports_are_known_by_pub() {
        assert_eq!(
            imports("pub use a::B; pub(crate) use c::{D}; use e::F; fn f() { use g::H; }"),
            ["pub a::B as B", "pub c::D as D", "e::F as F", "g::H as H",]
        );
    }

    #[test]
    fn tests_are_left_out() {
        let source = "#[cfg(test)]\nmod tests { use super::X; fn f() { crate::a::b(); } }\n\
                      #[cfg(test)] mod samples;\n#[cfg(test)] use crate::{a, b};\nuse crate::c;";
        let found = scan(source);
        assert_eq!(imports(source), ["crate::c as c"]);
        assert_eq!(found.paths.len(), 1);
        assert_eq!(found.test_modules[0].name, "samples");
        assert!(found.file_modules.is_empty());
    }

    #[test]
    fn paths_in_code_are_read_and_fields_are_not() {
        let source = "fn f(x: super::T) -> u8 { a::b::c(x.d::<u8>()); crate::e!() }";
        let paths: Vec<String> =
            scan(source).paths.iter().map(|path| path.names.join("::")).collect();
        assert_eq!(paths, ["super::T", "a::b::c", "crate::e"]);
    }

    #[test]
    fn inline_modules_are_entered_and_left() {
        let found = scan(
            "mod a { pub mod b { use super::X; } use super::Y; struct S; } use crate::Z; fn g() {}",
        );
        let inside: Vec<String> = found.paths.iter().map(|path| path.inside.join("::")).collect();
        assert_eq!(inside, ["a::b", "a", ""]);
        let items: Vec<String> = found.items.iter().map(|item| item.name.clone()).collect();
        assert_eq!(items, ["S", "g"]);
    }
}
