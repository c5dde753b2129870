//! The files of a spec: the first one, and those that `use` names from there.

use std::collections::BTreeMap;

use tally_graph::schema;
use tally_source::{Diagnostic, FileId, SourceMap, Span, misspelt};

use super::other_files;
use crate::codes;
use crate::hidden::HiddenText;
use crate::loader::{LoadError, Loader};
use crate::syntax::{self, Ast, holes};
use crate::write;

/// The maximum size of a file of a spec, in bytes.
const MOST_BYTES: usize = 16 << 20;
/// The maximum size of all files of a spec together, in bytes.
const MOST_BYTES_TOGETHER: usize = 64 << 20;
/// The maximum number of files of a spec.
const MOST_FILES: usize = 4096;

/// The files of a spec, parsed.
pub(crate) struct Files {
    pub asts: Vec<Ast>,
    pub sources: SourceMap,
    pub out: Vec<Diagnostic>,
    /// Lines whose quotes or braces do not pair up, in order. Nothing else is reported of them.
    pub unpaired: Vec<Span>,
    /// Text that was not read.
    pub hidden: HiddenText,
}

/// Loads the first file and all files used from there, each once.
pub(crate) fn load(entry: &str, loader: &mut dyn Loader) -> Files {
    let mut files = Files {
        asts: Vec::new(),
        sources: SourceMap::default(),
        out: Vec::new(),
        unpaired: Vec::new(),
        hidden: HiddenText::default(),
    };
    let mut known: BTreeMap<String, ()> = BTreeMap::new();
    let mut bytes = 0;
    known.insert(entry.to_owned(), ());
    match loader.read(entry) {
        Ok(data) => {
            add(&mut files, entry, data, &mut bytes);
        }
        Err(error) => {
            files.hidden.add_file();
            let headline = match error {
                LoadError::NotFound => format!("there is no file `{entry}`"),
                LoadError::TooLarge => format!("`{entry}` is too large for a spec"),
                LoadError::Outside => format!("`{entry}` is a link that leaves its folder"),
                LoadError::NotRegular => format!("`{entry}` is no regular file"),
                LoadError::Other(why) => format!("`{entry}` cannot be read: {why}"),
            };
            files.out.push(Diagnostic::error(codes::UNREADABLE, headline));
        }
    }
    let mut next = 0;
    while let Some(ast) = files.asts.get(next) {
        let uses = uses(ast);
        next += 1;
        for (path, span) in uses {
            follow(&mut files, loader, &mut known, &mut bytes, &path, span);
        }
    }
    files
}

/// Returns the well-formed `use` lines of a file. Others are reported where they are decoded.
fn uses(ast: &Ast) -> Vec<(String, Span)> {
    let uses = ast.nodes.iter().filter(|node| is_use(&node.name.text));
    uses.filter_map(|node| {
        let entry = node.entries.first().filter(|entry| entry.key.is_none())?;
        let plain = node.entries.len() == 1 && node.block.is_none();
        let text =
            entry.value.text().filter(|text| plain && !text.is_empty() && !holes::any(text))?;
        Some((text.to_owned(), entry.value.span))
    })
    .collect()
}

/// Checks whether a word is `use`, or a typo of it.
fn is_use(word: &str) -> bool {
    let words = schema::kind("spec").map_or(&[][..], |kind| kind.fields);
    let is_word = words.iter().any(|row| row.word == word);
    word == "use" || !is_word && misspelt(word, words.iter().map(|row| row.word)) == Some("use")
}

fn follow(
    files: &mut Files,
    loader: &mut dyn Loader,
    known: &mut BTreeMap<String, ()>,
    bytes: &mut usize,
    path: &str,
    span: Span,
) {
    let Some(target) = resolve_path(&files.sources, path, span, &mut files.out) else {
        files.hidden.add_file();
        return;
    };
    if known.insert(target.clone(), ()).is_some() {
        return;
    }
    let error = match loader.read(&target) {
        Ok(_) if files.asts.len() >= MOST_FILES => {
            LoadError::Other(format!("a spec has at most {MOST_FILES} files"))
        }
        Ok(data) => {
            if add(files, &target, data, bytes) {
                return;
            }
            LoadError::TooLarge
        }
        Err(error) => error,
    };
    files.hidden.add_file();
    let found = unreadable(&error, &target, span, &mut |other| loader.read(other).is_ok(), path);
    files.out.push(found);
}

/// Returns the report for a file that `from` names and that cannot be read.
pub(crate) fn unreadable_file(
    error: &LoadError,
    target: &str,
    span: Span,
    written: &str,
) -> Diagnostic {
    unreadable(error, target, span, &mut |_| false, written)
}

/// Returns the report for a file that cannot be read.
fn unreadable(
    error: &LoadError,
    target: &str,
    span: Span,
    exists: &mut dyn FnMut(&str) -> bool,
    written: &str,
) -> Diagnostic {
    let found = match error {
        LoadError::NotFound => {
            let found = match target.rsplit_once('/') {
                Some((folder, name)) => {
                    Diagnostic::error(codes::NO_FILE, format!("no file `{name}` in `{folder}`"))
                }
                None => {
                    Diagnostic::error(codes::NO_FILE, format!("no file `{target}` beside this one"))
                }
            };
            let with_ending = format!("{target}.kdl");
            if !target.ends_with(".kdl") && exists(&with_ending) {
                let meant = write::quoted(&format!("{written}.kdl"));
                return found.label(span, "").maybe(format!("write `{meant}`"), span, meant);
            }
            found.help("Paths are relative to the file that names them.")
        }
        LoadError::Outside => {
            Diagnostic::error(codes::OUTSIDE, "this path leaves the folder of the first file")
                .help("A link was followed; a spec contains all its files.")
        }
        LoadError::TooLarge => {
            Diagnostic::error(codes::TOO_LARGE, format!("`{target}` is too large"))
        }
        LoadError::NotRegular => {
            Diagnostic::error(codes::UNREADABLE, format!("`{target}` is no regular file"))
                .help("A spec is read from files, not from folders, pipes or devices.")
        }
        LoadError::Other(why) => {
            Diagnostic::error(codes::UNREADABLE, format!("`{target}` cannot be read: {why}"))
        }
    };
    found.label(span, "")
}

/// Adds a file. Returns whether it is small enough.
fn add(files: &mut Files, name: &str, data: Vec<u8>, bytes: &mut usize) -> bool {
    *bytes = bytes.saturating_add(data.len());
    if data.len() > MOST_BYTES || *bytes > MOST_BYTES_TOGETHER {
        if files.asts.is_empty() {
            files.hidden.add_file();
            files.out.push(Diagnostic::error(
                codes::TOO_LARGE,
                format!("`{name}` is too large for a spec"),
            ));
        }
        return false;
    }
    let (text, bad) = match String::from_utf8(data) {
        Ok(text) => (text, None),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(at))
        }
    };
    let file = files.sources.add(name, text.as_str());
    let (ast, found) = match bad {
        // The text after an invalid byte is unreliable, so nothing else is reported about the file.
        Some(at) => (unread(file, &text), vec![not_utf8(file, at)]),
        None => {
            let (ast, found) = syntax::parse(file, &text);
            match other_files::report(file, &text, !found.is_empty()) {
                Some(found) => (unread(file, &text), vec![found]),
                None => (ast, found),
            }
        }
    };
    for span in &ast.damaged {
        files.hidden.add_text(text.get(span.range()).unwrap_or_default());
    }
    files.unpaired.extend(&ast.unpaired);
    files.out.extend(found);
    files.asts.push(ast);
    true
}

/// Returns the tree of a file that is not read: any of its words may declare a name.
fn unread(file: FileId, text: &str) -> Ast {
    Ast { damaged: vec![Span::new(file, 0, text.len())], ..Ast::default() }
}

fn not_utf8(file: FileId, at: usize) -> Diagnostic {
    let span = Span::new(file, at, at + '\u{fffd}'.len_utf8());
    Diagnostic::error(codes::BAD_CHARACTER, "this file is not UTF-8")
        .label(span, "the first invalid byte")
        .help("Save it as UTF-8; a binary file cannot be a spec.")
}

/// Returns the path from the folder of the first file; reports one that leaves it.
pub(crate) fn resolve_path(
    sources: &SourceMap,
    path: &str,
    span: Span,
    out: &mut Vec<Diagnostic>,
) -> Option<String> {
    let from = sources.get(span.file).map(|file| file.name.as_str()).unwrap_or_default();
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    let absolute = path.starts_with('/') || path.starts_with('~') || path.get(1..3) == Some(":\\");
    let mut outside = absolute;
    for part in path.split('/').filter(|_| !absolute) {
        match part {
            "" | "." => {}
            ".." => outside |= parts.pop().is_none(),
            part => parts.push(part),
        }
    }
    if outside {
        let headline = if absolute {
            "paths in a spec are relative to the file that contains them"
        } else {
            "this path leaves the folder of the first file"
        };
        out.push(
            Diagnostic::error(codes::OUTSIDE, headline).label(span, "").help(
                "A spec contains all its files, so that the folder can be moved and sent. For other files of a host, use `volume NAME host-path=\"…\"`.",
            ),
        );
        return None;
    }
    if path.contains('\\') {
        let meant = write::quoted(&path.replace('\\', "/"));
        out.push(
            Diagnostic::error(codes::PATH, "folders are separated by `/`").label(span, "").maybe(
                format!("write `{meant}`"),
                span,
                meant,
            ),
        );
        return None;
    }
    Some(parts.join("/"))
}
