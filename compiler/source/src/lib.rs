//! Source locations: files, spans, origins, diagnostics with edits.
//!
//! This crate knows neither KDL nor Docker. The compiler's errors, the lines of a plan and the failures of an
//! apply name places in a user's text through the types here.

mod codes;
mod diagnostic;
mod edit;
mod excerpt;
mod files;
mod origin;
mod render;
mod span;
mod suggest;
mod visible;

pub use codes::engine as engine_codes;
pub use codes::{Code, CodeInfo, all_codes, code_info};
pub use diagnostic::{Diagnostic, Edit, Label, Severity, TextChange};
pub use edit::apply_edit;
pub use files::{LineColumn, SourceFile, SourceMap};
pub use origin::{Origin, OriginArena, OriginId, OriginKind};
pub use render::{JsonDiagnostic, RenderOptions, Theme, render_json, render_people};
pub use span::{FileId, Span};
pub use suggest::{misspelt, nearest};
pub use visible::{is_unsafe, visible};
