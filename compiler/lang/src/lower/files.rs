//! Files of a container: their content goes into the graph, by its hash.

use std::collections::BTreeMap;

use tally_graph::{FileContent, FileSpec, FileText, Template, schema};
use tally_source::{Diagnostic, Span};

use super::lowering::Lowering;
use super::paths::{once, trimmed};
use super::secrets;
use crate::codes;
use crate::decode::{Object, Typed};
use crate::loader::LoadError;
use crate::resolve::{Names, resolve_path};

/// The maximum size of one file: it is sent whole, and kept in the graph.
const MOST_BYTES: usize = 1 << 20;
/// The maximum size of all files of a spec together, in bytes.
const MOST_BYTES_TOGETHER: usize = 64 << 20;

/// Returns the files of a container, by path.
pub(super) fn files(
    low: &mut Lowering<'_, '_>,
    names: &Names<'_>,
    object: &Object<'_>,
    paths: &mut BTreeMap<String, Span>,
) -> BTreeMap<String, FileSpec> {
    let mut files = BTreeMap::new();
    for file in object.objects("file") {
        // Where the content is wrong the graph is never used.
        let content = content(low, names, file).unwrap_or_else(|| FileText::Stored(String::new()));
        let Some(path) = file.text("path") else { continue };
        let path = trimmed(path);
        let span = file.get("path").map_or(file.title_span, |field| field.value_span);
        if !once(&mut low.cx, paths, &path, span) {
            continue;
        }
        let mode = match file.value("mode") {
            Some(Typed::Mode(mode)) => *mode,
            _ => u32::from_str_radix(schema::default_of("file", "mode").unwrap_or_default(), 8)
                .unwrap_or(0o644),
        };
        let owner = file
            .text("owner")
            .or(schema::default_of("file", "owner"))
            .unwrap_or_default()
            .to_owned();
        let on_change = file.text("on-change").map(str::to_owned);
        files.insert(path, FileSpec { content, mode, owner, on_change });
    }
    files
}

fn with_secrets(template: Template) -> FileText {
    FileText::Template { template, keyed: None }
}

/// Finds a file's content, and stores it if it is known.
fn content(low: &mut Lowering<'_, '_>, names: &Names<'_>, file: &Object<'_>) -> Option<FileText> {
    match file.written(&["from", "text", "secret"]).as_slice() {
        [] => {
            if !file.bad {
                low.cx.report(
                    Diagnostic::error(codes::MISSING_FIELD, "this file has no content")
                        .label(file.node.head, "`from`, `text` or `secret` is missing")
                        .help("For example: `file \"/etc/app.conf\" from=\"app.conf\"`; an empty file has `text=\"\"`."),
                );
            }
            None
        }
        [field] => match (field.row.word, file.value(field.row.word)?) {
            ("from", Typed::Text(path)) => from(low, path, field.value_span).map(FileText::Stored),
            ("secret", Typed::Text(name)) => {
                Some(with_secrets(secrets::whole(low, names, name, field.value_span)))
            }
            (_, Typed::Template(template)) => {
                Some(with_secrets(secrets::template(low, names, template)))
            }
            (_, Typed::Text(text)) => {
                keep(low, text.as_bytes().to_vec(), field.value_span).map(FileText::Stored)
            }
            _ => None,
        },
        [first, .., second] => {
            low.cx.report(
                Diagnostic::error(
                    codes::CONTRADICTION,
                    "a file's content is `from` a file, `text` or a `secret`, and one of them",
                )
                .label(second.span, "this is another")
                .label(first.span, "this is one"),
            );
            None
        }
    }
}

/// Returns the content of a file of the spec's folder.
fn from(low: &mut Lowering<'_, '_>, text: &str, span: Span) -> Option<String> {
    let path = resolve_path(low.cx.sources, text, span, &mut low.cx.out)?;
    if let Some(known) = low.read.get(&path).filter(|known| known.is_some()) {
        return known.clone();
    }
    let hash = match low.loader.read(&path) {
        Ok(bytes) => keep(low, bytes, span),
        Err(error) => {
            unreadable(low, &error, &path, text, span);
            None
        }
    };
    low.read.insert(path, hash.clone());
    hash
}

fn unreadable(
    low: &mut Lowering<'_, '_>,
    error: &LoadError,
    path: &str,
    written: &str,
    span: Span,
) {
    // People write the path in the container, or one relative to the first file.
    let found = crate::resolve::unreadable_file(error, path, span, written);
    low.cx.report(found);
}

fn keep(low: &mut Lowering<'_, '_>, bytes: Vec<u8>, span: Span) -> Option<String> {
    let size = bytes.len();
    if size > MOST_BYTES {
        low.cx.report(
            Diagnostic::error(codes::CONTENTS, "a file of a container is at most 1MiB")
                .label(span, format!("this one has {} bytes", size))
                .help("Put larger content into the image, or into a volume."),
        );
        return None;
    }
    let content = FileContent(bytes);
    let hash = content.hash();
    if !low.contents.contains_key(&hash) {
        low.content_bytes += size;
        if low.content_bytes > MOST_BYTES_TOGETHER {
            // Reported once: it is the same for every further file.
            if low.content_bytes - size <= MOST_BYTES_TOGETHER {
                low.cx.report(
                    Diagnostic::error(
                        codes::CONTENTS,
                        "the files of a spec are at most 64MiB together",
                    )
                    .label(span, "this one exceeds the limit"),
                );
            }
            return None;
        }
        low.contents.insert(hash.clone(), content);
    }
    Some(hash)
}
