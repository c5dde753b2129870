//! Nodes: a word, values and properties, a block.

use tally_source::{Diagnostic, Edit, TextChange};

use super::ast::{Ast, Block, Entry, Node, Quotes, Text, Value, ValueKind};
use super::cursor::{Mode, Parser};
use super::open::{Head, Opener};
use crate::codes;

/// Fields whose block holds keys that the user chooses.
const MAPS: [&str; 4] = ["env", "label", "option", "sysctl"];

impl Parser<'_> {
    /// Reads the whole text.
    pub fn document(&mut self) -> Ast {
        if self.text.starts_with('\u{feff}') {
            self.at = '\u{feff}'.len_utf8();
            self.line_start = self.at;
        }
        let nodes = self.nodes(None);
        Ast { nodes, damaged: Vec::new(), unpaired: Vec::new() }
    }

    /// Reads nodes up to the end of the text, or up to the `}` of the block that `opener` began.
    pub fn nodes(&mut self, opener: Option<&Opener>) -> Vec<Node> {
        let mut nodes: Vec<Node> = Vec::new();
        loop {
            self.line_space();
            if self.ended() || opener.is_some_and(|opener| self.block_should_have_ended(opener)) {
                break;
            }
            self.line_closes_too_much();
            match self.byte(self.at) {
                b'}' => match opener {
                    Some(opener) if !self.is_stray_brace(opener) => break,
                    _ => self.stray_brace(),
                },
                b';' => self.empty_node(),
                b'{' => self.brace_on_its_own_line(&mut nodes),
                b'#' if !self.is_raw_string(self.at) => self.hash_comment(),
                b'-' if self.is_dash_comment() => self.dash_comment(),
                b'/' if self.byte(self.at + 1) == b'-' => {
                    self.at += 2;
                    self.mute += 1;
                    self.line_space();
                    let twice = self.slice(self.at, self.at + 2) == "/-";
                    let empty = twice || self.ended() || matches!(self.byte(self.at), b'}' | b';');
                    if !empty {
                        self.node(opener);
                        self.unpacked.clear();
                    }
                    self.mute = self.mute.saturating_sub(1);
                    if empty {
                        self.nothing_to_pass_over();
                    }
                }
                _ => {
                    let node = self.node(opener);
                    nodes.extend(node);
                    nodes.append(&mut self.unpacked);
                }
            }
        }
        nodes.shrink_to_fit();
        nodes
    }

    /// Reads one node; `None` when no node can begin here.
    fn node(&mut self, opener: Option<&Opener>) -> Option<Node> {
        self.annotation();
        self.in_map = opener.is_some_and(|opener| MAPS.contains(&opener.word.as_str()));
        let Some(mut name) = self.node_name() else {
            self.junk("a node begins with a word");
            return None;
        };
        let mut head = Head { commas: Vec::new(), entries: Vec::new(), equals: None };
        let spaced = self.colon_behind_name(&mut name);
        let name_end = name.span.end as usize;
        self.equals_behind_name(name_end, &mut head);
        let block = self.entries(&name, &mut head, spaced);
        self.report_commas(&head);
        // Most nodes have one value or two; room for four in each would be most of the tree.
        head.entries.shrink_to_fit();
        let end = head.entries.last().map_or(name.span, |entry| entry.span);
        let mut node = Node {
            head: name.span.to(end),
            span: name.span.to(end),
            name,
            entries: head.entries,
            block,
        };
        if node.block.is_none() && head.equals.is_none() && matches!(self.mode, Mode::Stray { .. })
        {
            let name = node.name.clone();
            let empty = Head { entries: Vec::new(), commas: Vec::new(), equals: None };
            node.block = self.block_without_brace(&name, &empty, &node);
            self.gave_up = false;
        }
        if let Some(block) = &node.block {
            node.span = node.span.to(block.span);
        }
        if let Some(equals) = head.equals {
            self.report_equals(&mut node, equals, opener);
        }
        Some(node)
    }

    /// Reads values, properties and the block, up to the end of the node.
    fn entries(&mut self, name: &Text, head: &mut Head, spaced: bool) -> Option<Block> {
        let mut block = None;
        let mut spaced = spaced || head.equals.is_some();
        loop {
            spaced |= self.node_space();
            match self.byte(self.at) {
                _ if self.ended() => break,
                b'}' if self.passed_brace == Some(self.at) => {
                    self.at += 1;
                    continue;
                }
                b'}' => break,
                b';' => {
                    self.at += 1;
                    break;
                }
                b'{' if block.is_none() => {
                    block = Some(self.block(name, head));
                    if std::mem::take(&mut self.gave_up) {
                        break;
                    }
                    spaced = true;
                    continue;
                }
                b'/' if self.byte(self.at + 1) == b'-' => {
                    self.passed_over(name, head);
                    spaced = true;
                    continue;
                }
                b'/' if self.line_comment() => continue,
                b',' => {
                    head.commas.push(self.at);
                    self.at += 1;
                    spaced = true;
                    continue;
                }
                b'#' if self.is_hash_comment() => {
                    self.hash_comment();
                    continue;
                }
                _ if self.line_end() => break,
                _ => {}
            }
            if block.is_some() {
                self.two_nodes_on_a_line(name);
                break;
            }
            if !spaced && self.no_space_between(head) {
                continue;
            }
            self.entry(name, head);
            spaced = false;
        }
        block
    }

    /// Skips the part of a node after `/-`.
    fn passed_over(&mut self, name: &Text, head: &mut Head) {
        self.at += 2;
        self.mute += 1;
        self.line_space();
        let mut nothing = false;
        let mut forgotten = Head { commas: Vec::new(), entries: Vec::new(), equals: None };
        match self.byte(self.at) {
            b'{' => {
                self.block(name, &forgotten);
                self.gave_up = false;
            }
            b'}' | b';' | b'=' => nothing = true,
            b'/' if self.byte(self.at + 1) == b'-' => nothing = true,
            _ if self.ended() => nothing = true,
            _ => self.entry(name, &mut forgotten),
        }
        self.mute = self.mute.saturating_sub(1);
        if nothing {
            self.nothing_to_pass_over();
        }
        head.commas.append(&mut forgotten.commas);
    }

    fn nothing_to_pass_over(&mut self) {
        let at = self.at;
        self.report(
            Diagnostic::error(
                codes::SYNTAX,
                "`/-` ignores the node, value or block that follows it, and nothing follows here",
            )
            .label(self.span(at, at), ""),
        );
    }

    /// Reads a value or a property.
    fn entry(&mut self, name: &Text, head: &mut Head) {
        let start = self.at;
        let beyond = self.annotation();
        if self.byte(self.at) == b'[' {
            self.bracket_list(start, head, None);
            return;
        }
        self.owner = self.slice_of(name.span);
        let Some(mut value) = self.value() else {
            self.junk("a value cannot begin like this");
            return;
        };
        if beyond {
            value.kind = ValueKind::Poison;
        }
        if let ValueKind::Text(text, quotes) = &value.kind {
            let key = Text { text: text.clone(), span: value.span, quotes: *quotes };
            if let Some(key) = self.key_before_colon(&key, name) {
                return self.property(key, head);
            }
        }
        let after = self.at;
        let line_start = self.line_start;
        self.node_space();
        if self.byte(self.at) == b'=' {
            self.at += 1;
            let key = self.as_key(value);
            return self.property(key, head);
        }
        self.at = after;
        self.line_start = line_start;
        head.entries.push(Entry { span: value.span, key: None, value });
    }

    /// Reads the value of a property after its key and `=`.
    fn property(&mut self, key: Text, head: &mut Head) {
        let equals_end = self.at;
        let line_start = self.line_start;
        self.owner = self.slice_of(key.span);
        self.node_space();
        let beyond = self.annotation();
        if self.byte(self.at) == b'[' {
            return self.bracket_list(key.span.start as usize, head, Some(key));
        }
        let value = match self.byte(self.at) {
            b';' | b'{' | b'}' => None,
            _ => self.property_value(),
        };
        let Some(mut value) = value else {
            self.at = equals_end;
            self.line_start = line_start;
            let at = self.span(equals_end, equals_end);
            let found = Diagnostic::error(codes::NO_VALUE, format!("`{}` has no value", key.text))
                .label(key.span.to(at), "a value belongs after the `=`")
                .maybe(format!("write `{}=\"\"` if empty is meant", key.text), at, "\"\"");
            self.report(found);
            let value = Value { kind: ValueKind::Poison, span: at };
            head.entries.push(Entry { span: key.span.to(at), key: Some(key), value });
            return;
        };
        if beyond {
            value.kind = ValueKind::Poison;
        }
        head.entries.push(Entry { span: key.span.to(value.span), key: Some(key), value });
    }

    /// Converts a value into a key. Numbers and keywords are reported, and taken as they are written.
    fn as_key(&mut self, value: Value) -> Text {
        let span = value.span;
        match value.kind {
            ValueKind::Text(text, quotes) => Text { text, span, quotes },
            ValueKind::Poison => {
                Text { text: self.slice_of(span).into(), span, quotes: Quotes::Quoted }
            }
            _ => {
                let raw = self.slice_of(span);
                let found =
                    Diagnostic::error(codes::NEEDS_QUOTES, format!("the key `{raw}` needs quotes"))
                        .label(span, "")
                        .maybe(format!("write `\"{raw}\"`"), span, format!("\"{raw}\""));
                self.report(found);
                Text { text: raw.into(), span, quotes: Quotes::Quoted }
            }
        }
    }

    /// Reports `A=1` or `image = "x"` at the start of a node.
    fn report_equals(&mut self, node: &mut Node, equals: usize, opener: Option<&Opener>) {
        let sign = self.span(equals, equals + 1);
        let in_map = opener.is_some_and(|opener| MAPS.contains(&opener.word.as_str()));
        let value_start =
            node.entries.first().map_or(equals + 1, |entry| entry.span.start as usize);
        let between = self.span(node.name.span.end as usize, value_start.max(equals + 1));
        let mut changes = vec![TextChange { span: between, text: " ".into() }];
        // `{ A=1 B=2 }` is one mistake, and two keys.
        if in_map && node.entries.iter().skip(1).all(|entry| entry.key.is_some()) {
            for entry in node.entries.drain(1.min(node.entries.len())..) {
                let Some(key) = entry.key else { continue };
                let gap = self.span(key.span.start as usize, entry.value.span.start as usize);
                let raw = self.slice_of(key.span);
                changes.push(TextChange { span: gap, text: format!("; {raw} ") });
                let value = Entry { key: None, span: entry.value.span, value: entry.value };
                self.unpacked.push(Node {
                    head: entry.span,
                    span: entry.span,
                    name: key,
                    entries: vec![value],
                    block: None,
                });
            }
        }
        let raw_name = self.slice_of(node.name.span);
        let raw_value =
            node.entries.first().map(|entry| self.slice_of(entry.span)).unwrap_or_default();
        let (headline, title) = match (in_map, changes.len()) {
            (true, 1) => (
                "inside braces a key and its value stand side by side, without `=`",
                format!("write `{raw_name} {raw_value}`"),
            ),
            (true, _) => (
                "inside braces a key and its value stand side by side, without `=`",
                "write each pair as `KEY VALUE`, with `;` between them".to_owned(),
            ),
            (false, _) => {
                ("a field on its own line has no `=`", format!("write `{raw_name} {raw_value}`"))
            }
        };
        let found = Diagnostic::error(codes::EQUALS, headline)
            .label(sign, "leave this out")
            .edit(Edit { title, certain: !in_map, changes });
        self.report(found);
    }

    fn report_commas(&mut self, head: &Head) {
        let Some(first) = head.commas.first() else { return };
        let changes = head.commas.iter().map(|at| TextChange {
            span: self.span(*at, *at + 1),
            text: match self.bytes.get(*at + 1) {
                Some(b' ' | b'\n' | b'\r') | None => String::new(),
                _ => " ".into(),
            },
        });
        let edit = Edit {
            title: "leave the commas out".into(),
            certain: false,
            changes: changes.collect(),
        };
        let found =
            Diagnostic::error(codes::BRACKETS, "values are separated by spaces, not by commas")
                .label(self.span(*first, *first + 1), "")
                .edit(edit);
        self.report(found);
    }
}
