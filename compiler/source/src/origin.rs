//! Origins of values: chains in one arena, four bytes for each value.
//!
//! Today a chain is short (the schema's default, or a place in a file). Components, patches and
//! environments will make it longer, so every value already carries an [`OriginId`].

use serde::{Deserialize, Serialize};

use crate::span::Span;

/// The number of an origin in its [`OriginArena`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OriginId(pub u32);

/// The cause of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OriginKind {
    /// Written at the span.
    Written,
    /// The default of a schema row, named `kind.field`.
    Default(String),
}

/// One link of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// The cause of the value.
    pub kind: OriginKind,
    /// The place it is written at, or for a default the node that lacks it.
    pub span: Span,
    /// The origin that it replaced, if any.
    pub parent: Option<OriginId>,
}

/// All origins of one compilation; equal ones that follow each other share a number.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OriginArena {
    origins: Vec<Origin>,
}

impl OriginArena {
    /// Stores an origin and returns its number.
    pub fn add(&mut self, origin: Origin) -> OriginId {
        if self.origins.last() == Some(&origin) {
            return OriginId(Self::number(self.origins.len() - 1));
        }
        self.origins.push(origin);
        OriginId(Self::number(self.origins.len() - 1))
    }

    /// Stores "written at `span`".
    pub fn written(&mut self, span: Span) -> OriginId {
        self.add(Origin { kind: OriginKind::Written, span, parent: None })
    }

    /// Returns the origin with that number.
    #[must_use]
    pub fn get(&self, id: OriginId) -> Option<&Origin> {
        self.origins.get(id.0 as usize)
    }

    /// Returns the chain from the value's last origin to its first.
    pub fn chain(&self, id: OriginId) -> impl Iterator<Item = &Origin> {
        let mut next = Some(id);
        // A chain can hold no more links than the arena, so a damaged saved graph cannot loop.
        std::iter::from_fn(move || {
            let origin = self.get(next?)?;
            next = origin.parent.filter(|parent| Some(*parent) != next);
            Some(origin)
        })
        .take(self.origins.len())
    }

    fn number(index: usize) -> u32 {
        u32::try_from(index).unwrap_or(u32::MAX)
    }
}
