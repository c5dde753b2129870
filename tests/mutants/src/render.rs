//! A file with its mutants, each behind its switch.

use std::ops::Range;

use crate::mutant::{Mutant, Outcome};
use crate::places::{Place, Places, find};

/// A place with its mutants: their numbers and their texts.
struct Edit {
    all: Range<usize>,
    place: Place,
    mutants: Vec<Choice>,
}

struct Choice {
    number: u32,
    /// A removed text.
    without: Range<usize>,
    genre: String,
    replacement: String,
}

/// Returns the text of a file with all of its mutants. Mutants without a place are returned separately.
///
/// # Errors
/// When the file cannot be parsed.
pub fn file(source: &str, mutants: &mut [&mut Mutant]) -> Result<String, String> {
    let places = find(source)?;
    let mut edits: Vec<Edit> = Vec::new();
    for mutant in mutants.iter_mut().filter(|mutant| mutant.outcome == Outcome::Planted) {
        let Some(place) = place_of(&places, mutant) else {
            mutant.outcome = Outcome::NoSwitch;
            continue;
        };
        let all = extent(&place);
        let choice = Choice {
            number: mutant.number,
            without: match &place {
                Place::Field { field, .. } => field.clone(),
                _ => 0..0,
            },
            genre: mutant.genre.clone(),
            replacement: mutant.replacement.clone(),
        };
        // A guard may be one comparison: both places exist, and both are changed.
        let kind = std::mem::discriminant(&place);
        let is_there = |edit: &Edit| edit.all == all && std::mem::discriminant(&edit.place) == kind;
        match edits.iter_mut().find(|edit| is_there(edit)) {
            Some(edit) => edit.mutants.push(choice),
            None => edits.push(Edit { all, place, mutants: vec![choice] }),
        }
    }
    // Insertions come before edits that start at the same position, and outer edits before inner ones.
    edits.sort_by_key(|edit| {
        let is_within = !matches!(edit.place, Place::Arm { .. });
        (edit.all.start, !edit.all.is_empty(), std::cmp::Reverse(edit.all.end), is_within)
    });
    Ok(text(source, &edits, 0..source.len(), None))
}

fn place_of(places: &Places, mutant: &Mutant) -> Option<Place> {
    let at = (mutant.line, mutant.column);
    let found = match mutant.genre.as_str() {
        "FnValue" => places.bodies.get(&at),
        "BinaryOperator" | "UnaryOperator" => places.operators.get(&at),
        "MatchArm" => places.arms.get(&at),
        "MatchArmGuard" => places.guards.get(&at),
        "StructField" => places.fields.get(&at),
        _ => None,
    };
    found.cloned()
}

/// Returns the range that an edit replaces; empty for an insertion.
fn extent(place: &Place) -> Range<usize> {
    match place {
        Place::Body { at } => *at..*at,
        Place::Binary { all, .. } | Place::Unary { all, .. } | Place::Field { all, .. } => {
            all.clone()
        }
        Place::Arm { pattern_end, guard } => guard.clone().unwrap_or(*pattern_end..*pattern_end),
    }
}

/// Returns the text of a range with its edits, except the edit that is being written.
fn text(source: &str, edits: &[Edit], range: Range<usize>, but: Option<usize>) -> String {
    let mut out = String::new();
    let mut from = range.start;
    for (number, edit) in edits.iter().enumerate() {
        if edit.all.start < from || edit.all.end > range.end || but == Some(number) {
            continue;
        }
        // A body starts with a statement, and so with its first expression: it is written before that.
        if but.is_some() && edit.all.is_empty() && edit.all.start == range.start {
            continue;
        }
        out.push_str(source.get(from..edit.all.start).unwrap_or_default());
        out.push_str(&written(source, edits, number, edit));
        from = edit.all.end;
    }
    out.push_str(source.get(from..range.end).unwrap_or_default());
    out
}

/// Returns a piece of a mutant, between marks by which a compiler's error finds it.
fn marked(number: u32, text: &str) -> String {
    format!("/*<{number}*/{text}/*{number}>*/")
}

fn switch(number: u32) -> String {
    format!("tally_graph::planted({number})")
}

fn written(source: &str, edits: &[Edit], number: usize, edit: &Edit) -> String {
    let inner = |range: &Range<usize>| text(source, edits, range.clone(), Some(number));
    match &edit.place {
        Place::Body { .. } => {
            let each = edit.mutants.iter().map(|it| {
                let body = format!(" if {} {{ return {}; }}", switch(it.number), it.replacement);
                marked(it.number, &body)
            });
            each.collect()
        }
        Place::Binary { left, right, .. } => {
            let (l, r) = (inner(left), inner(right));
            let operator = source.get(left.end..right.start).unwrap_or_default();
            let sound = format!("{l}{operator}{r}");
            let with = |it: &Choice| format!("{l} {} {r}", it.replacement);
            chosen(edit, &sound, with)
        }
        Place::Unary { all, operand } => {
            let of = inner(operand);
            let operator = source.get(all.start..operand.start).unwrap_or_default();
            chosen(edit, &format!("{operator}{of}"), |_| of.clone())
        }
        Place::Arm { guard, .. } => {
            let deleted = edit.mutants.iter().filter(|it| it.genre == "MatchArm");
            let deleted: String = deleted
                .map(|it| format!("!{} && ", marked(it.number, &switch(it.number))))
                .collect();
            let Some(guard) = guard else { return format!(" if {deleted}true") };
            let own = inner(guard);
            let of = edit.mutants.iter().filter(|it| it.genre == "MatchArmGuard");
            let guarded = of.fold(format!("({own})"), |sound, it| {
                let switch = marked(it.number, &switch(it.number));
                match it.replacement.as_str() {
                    "true" => format!("({switch} || {sound})"),
                    _ => format!("(!{switch} && {sound})"),
                }
            });
            format!("{deleted}{guarded}")
        }
        Place::Field { all, .. } => chosen(edit, &inner(all), |it| {
            inner(&(all.start..it.without.start)) + &inner(&(it.without.end..all.end))
        }),
    }
}

/// Returns one of several texts, selected by the switches.
fn chosen(edit: &Edit, sound: &str, with: impl Fn(&Choice) -> String) -> String {
    let each: String = edit
        .mutants
        .iter()
        .map(|it| format!("if {} {{ {} }} else ", switch(it.number), marked(it.number, &with(it))))
        .collect();
    format!("({each}{{ {sound} }})")
}
