//! The places of a file that can have a mutant, found by their start.

use std::collections::BTreeMap;
use std::ops::Range;

use proc_macro2::Span;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};

/// The start of a place: its line from 1, its column from 1.
pub type At = (usize, usize);
type Bytes = Range<usize>;

/// A place.
#[derive(Debug, Clone)]
pub enum Place {
    /// A body of a function: the position of its first statement.
    Body { at: usize },
    /// Two operands and the text between them.
    Binary { all: Bytes, left: Bytes, right: Bytes },
    /// An operand, and all with its operator.
    Unary { all: Bytes, operand: Bytes },
    /// An arm: where its pattern ends.
    Arm { pattern_end: usize, guard: Option<Bytes> },
    /// A field that the base after `..` has too, with its comma, and all fields.
    Field { all: Bytes, field: Bytes },
}

/// All places of a file. A guard is found by its start too.
#[derive(Default)]
pub struct Places {
    pub bodies: BTreeMap<At, Place>,
    pub operators: BTreeMap<At, Place>,
    pub arms: BTreeMap<At, Place>,
    pub guards: BTreeMap<At, Place>,
    pub fields: BTreeMap<At, Place>,
}

/// Finds the places of a file.
///
/// # Errors
/// When it cannot be parsed.
pub fn find(source: &str) -> Result<Places, String> {
    let file = syn::parse_file(source).map_err(|error| error.to_string())?;
    let mut places = Places::default();
    places.visit_file(&file);
    Ok(places)
}

fn at(span: Span) -> At {
    let start = span.start();
    (start.line, start.column + 1)
}

/// Checks whether a chain of conditions has a `let`, which is allowed only in a condition.
fn has_let(expr: &syn::Expr) -> bool {
    match expr {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

impl Places {
    fn body(&mut self, block: &syn::Block) {
        let Some(first) = block.stmts.first() else { return };
        let place = Place::Body { at: first.span().byte_range().start };
        self.bodies.insert(at(first.span()), place);
    }
}

impl<'ast> Visit<'ast> for Places {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.body(&item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.body(&item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.body(block);
        }
        visit::visit_trait_item_fn(self, item);
    }

    fn visit_expr_binary(&mut self, expr: &'ast syn::ExprBinary) {
        if !has_let(&expr.left) && !has_let(&expr.right) {
            let all = expr.span().byte_range();
            let (left, right) = (expr.left.span().byte_range(), expr.right.span().byte_range());
            self.operators.insert(at(expr.op.span()), Place::Binary { all, left, right });
        }
        visit::visit_expr_binary(self, expr);
    }

    fn visit_expr_unary(&mut self, expr: &'ast syn::ExprUnary) {
        let (all, operand) = (expr.span().byte_range(), expr.expr.span().byte_range());
        self.operators.insert(at(expr.op.span()), Place::Unary { all, operand });
        visit::visit_expr_unary(self, expr);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let pattern_end = arm.pat.span().byte_range().end;
        let guard = arm.guard.as_ref().map(|(_, guard)| guard);
        let place = Place::Arm { pattern_end, guard: guard.map(|it| it.span().byte_range()) };
        if let Some(guard) = guard {
            self.guards.insert(at(guard.span()), place.clone());
        }
        self.arms.insert(at(arm.span()), place);
        visit::visit_arm(self, arm);
    }

    fn visit_expr_struct(&mut self, expr: &'ast syn::ExprStruct) {
        if expr.rest.is_some() {
            let all = expr.span().byte_range();
            for pair in expr.fields.pairs() {
                let (field, comma) = (pair.value().span(), pair.punct().map(|it| it.span()));
                let end = comma.unwrap_or(field).byte_range().end;
                let own = field.byte_range().start..end;
                let place = Place::Field { all: all.clone(), field: own };
                self.fields.insert(at(field), place);
            }
        }
        visit::visit_expr_struct(self, expr);
    }
}
