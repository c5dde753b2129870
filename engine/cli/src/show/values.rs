//! Values of fields in the units of the language.

use serde_json::Value;
use tally_graph::{Bytes, Cpu, FieldPath, Millis};

/// Returns a value as in a spec.
#[must_use]
pub fn value(path: &FieldPath, value: &Value) -> String {
    let last = path.segments().last().unwrap_or_default();
    let first = path.first();
    match (first, last, value) {
        ("resources", "memory" | "max-memory", Value::Number(number)) => {
            number.as_u64().map_or_else(String::new, |bytes| Bytes(bytes).to_string())
        }
        ("resources", "cpu" | "max-cpu", Value::Number(number)) => number
            .as_u64()
            .and_then(|milli| u32::try_from(milli).ok())
            .map_or_else(String::new, |milli| Cpu(milli).to_string()),
        (_, "every" | "timeout" | "delay" | "grace", Value::Number(number)) => {
            number.as_u64().map_or_else(String::new, |millis| Millis(millis).to_string())
        }
        (_, _, Value::String(text)) => text.clone(),
        (_, _, Value::Array(items)) => {
            let words: Vec<String> = items.iter().map(word).collect();
            words.join(" ")
        }
        (_, _, other) => other.to_string(),
    }
}

/// Returns one word of a list, quoted if necessary.
fn word(item: &Value) -> String {
    match item {
        Value::String(text) if !text.is_empty() && !text.contains([' ', '"']) => text.clone(),
        other => other.to_string(),
    }
}

/// Returns a number with its noun: `1 pod`, `3 pods`.
#[must_use]
pub fn count(number: usize, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}
