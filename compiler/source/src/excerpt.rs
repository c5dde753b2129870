//! The lines of a file that a report shows: long lines are cut to windows around its labels, and characters that
//! control a terminal are shown as escapes.

use std::collections::BTreeSet;
use std::ops::Range;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use crate::files::SourceFile;
use crate::visible::{push_visible, visible};

/// A line of more bytes is cut.
const LONG_LINE: usize = 320;

/// The bytes that are shown before and after a label of a long line.
const AROUND: usize = 60;

/// The maximum number of bytes of a label on a long line.
const LONG_LABEL: usize = 120;

/// The maximum number of lines of a label. Of a longer one the first line is shown.
const MOST_LINES: usize = 12;

/// One line of an excerpt.
struct ShownLine {
    /// Its number in the file, from 0.
    number: usize,
    /// Where it begins in the text of the excerpt.
    start: usize,
}

/// The lines around some labels of a file, with the places of the labels in them.
pub(crate) struct Excerpt {
    name: String,
    text: String,
    lines: Vec<ShownLine>,
    /// Pairs of an offset in the excerpt and the column there in the file, in characters from 0.
    columns: Vec<(usize, usize)>,
}

impl Excerpt {
    /// Returns the lines of `file` around `labels`, and the places of these in the excerpt.
    pub fn new(file: &SourceFile, labels: &[Range<usize>]) -> (Self, Vec<Range<usize>>) {
        let labels: Vec<Range<usize>> = labels.iter().map(|label| shortened(file, label)).collect();
        let mut numbers = BTreeSet::new();
        for label in &labels {
            let (first, last) = lines_of(file, label);
            numbers.extend(first.saturating_sub(1)..=last + 1);
        }
        let mut excerpt = Self {
            name: visible(&file.name).into_owned(),
            text: String::new(),
            lines: Vec::new(),
            columns: Vec::new(),
        };
        // The places of the starts and ends of labels, in the file and in the excerpt.
        let mut points: Vec<(usize, Option<usize>)> =
            labels.iter().flat_map(|label| [label.start, label.end]).map(|at| (at, None)).collect();
        points.sort_unstable();
        points.dedup();
        let count = file.line_starts().len();
        for number in numbers.into_iter().filter(|number| *number < count) {
            excerpt.lines.push(ShownLine { number, start: excerpt.text.len() });
            excerpt.push_line(file, number, &labels, &mut points);
        }
        let place = |at: usize| {
            let found = points.binary_search_by_key(&at, |(at, _)| *at).ok();
            found.and_then(|i| points.get(i)?.1).unwrap_or(excerpt.text.len())
        };
        let places: Vec<Range<usize>> = labels
            .iter()
            .map(|label| {
                let start = place(label.start);
                start..place(label.end).max(start)
            })
            .collect();
        excerpt.columns = labels
            .iter()
            .zip(&places)
            .map(|(label, place)| (place.start, file.position(label.start).column as usize - 1))
            .collect();
        (excerpt, places)
    }

    /// Adds one line, and records the places of the points in it.
    fn push_line(
        &mut self,
        file: &SourceFile,
        number: usize,
        labels: &[Range<usize>],
        points: &mut [(usize, Option<usize>)],
    ) {
        let line = line_range(file, number);
        let mut next = points.partition_point(|(at, _)| *at < line.start);
        let windows = windows(file, &line, labels);
        let mut done = line.start;
        for window in &windows {
            if window.start > done {
                self.text.push('…');
            }
            let shown = file.text.get(window.clone()).unwrap_or_default();
            for (at, c) in shown.char_indices() {
                self.record(points, &mut next, window.start + at);
                // A byte-order mark is no character of its line.
                if window.start + at > 0 || c != '\u{feff}' {
                    push_visible(&mut self.text, c);
                }
            }
            self.record(points, &mut next, window.end);
            done = window.end;
        }
        if done < line.end {
            self.text.push('…');
        }
        let after = file.line_starts().get(number + 1).map(|start| *start as usize);
        self.record(points, &mut next, after.map_or(usize::MAX, |start| start - 1));
        if after.is_some() {
            self.text.push('\n');
        }
    }

    /// Places all points up to an offset of the file at the end of the text.
    fn record(&self, points: &mut [(usize, Option<usize>)], next: &mut usize, upto: usize) {
        while let Some(point) = points.get_mut(*next).filter(|point| point.0 <= upto) {
            point.1 = Some(self.text.len());
            *next += 1;
        }
    }

    fn line_at(&self, offset: usize) -> usize {
        self.lines.partition_point(|line| line.start <= offset).saturating_sub(1)
    }

    /// Returns the index of the line `steps` lines from `from`, as far as the lines follow each other in the file.
    fn reach(&self, from: usize, steps: usize, forward: bool) -> usize {
        let number = |at: usize| self.lines.get(at).map(|line| line.number);
        let mut at = from;
        for _ in 0..steps {
            let next = if forward { at + 1 } else { at.wrapping_sub(1) };
            let follows = match (number(at), number(next)) {
                (Some(a), Some(b)) => a.abs_diff(b) == 1,
                _ => false,
            };
            if !follows {
                break;
            }
            at = next;
        }
        at
    }
}

/// Returns a label that covers no more lines than are shown.
fn shortened(file: &SourceFile, label: &Range<usize>) -> Range<usize> {
    let (first, last) = lines_of(file, label);
    if last - first < MOST_LINES {
        return label.clone();
    }
    label.start..line_range(file, first).end.max(label.start)
}

/// Returns the numbers of the first and the last line of a label.
fn lines_of(file: &SourceFile, label: &Range<usize>) -> (usize, usize) {
    let starts = file.line_starts();
    let line_of =
        |at: usize| starts.partition_point(|start| *start as usize <= at).saturating_sub(1);
    // A label that ends with the break of its line belongs to that line, not to the next one.
    let end = if label.is_empty() { label.end } else { label.end - 1 };
    (line_of(label.start), line_of(end))
}

/// Returns the bytes of a line, without its break.
fn line_range(file: &SourceFile, number: usize) -> Range<usize> {
    let starts = file.line_starts();
    let start = starts.get(number).map_or(file.text.len(), |start| *start as usize);
    let end = starts.get(number + 1).map_or(file.text.len(), |next| *next as usize);
    let line = file.text.get(start..end).unwrap_or_default();
    start..start + line.trim_end_matches(['\n', '\r']).len()
}

/// Returns the parts of a line that are shown, in order.
fn windows(file: &SourceFile, line: &Range<usize>, labels: &[Range<usize>]) -> Vec<Range<usize>> {
    if line.len() <= LONG_LINE {
        return vec![line.clone()];
    }
    let text = &file.text;
    let mut windows: Vec<Range<usize>> = labels
        .iter()
        .filter(|label| label.start <= line.end && label.end >= line.start)
        .map(|label| {
            let start = label.start.max(line.start);
            let end = label.end.min(start + LONG_LABEL).max(start) + AROUND;
            let start = start.saturating_sub(AROUND).max(line.start);
            text.floor_char_boundary(start)..text.ceil_char_boundary(end.min(line.end))
        })
        .collect();
    if windows.is_empty() {
        let end = text.ceil_char_boundary(line.start + 2 * AROUND);
        windows.push(line.start..end.min(line.end));
    }
    windows.sort_unstable_by_key(|window| (window.start, window.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for window in windows {
        match merged.last_mut().filter(|last| last.end >= window.start) {
            Some(last) => last.end = last.end.max(window.end),
            None => merged.push(window),
        }
    }
    merged
}

impl SourceCode for Excerpt {
    fn read_span<'b>(
        &'b self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'b> + 'b>, MietteError> {
        let end = span.offset() + span.len();
        if end > self.text.len() {
            return Err(MietteError::OutOfBounds);
        }
        let first = self.reach(self.line_at(span.offset()), lines_before, false);
        let last = self.line_at(if span.is_empty() { end } else { end - 1 });
        let last = self.reach(last, lines_after, true);
        let start = self.lines.get(first).map_or(0, |line| line.start);
        let stop = self.lines.get(last + 1).map_or(self.text.len(), |next| next.start);
        let data = self.text.as_bytes().get(start..stop).ok_or(MietteError::OutOfBounds)?;
        let column = self.columns.iter().find(|(at, _)| *at == span.offset());
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.clone(),
            data,
            SourceSpan::from((start, stop - start)),
            self.lines.get(first).map_or(0, |line| line.number),
            if lines_before == 0 { column.map_or(0, |(_, column)| *column) } else { 0 },
            last - first + 1,
        )))
    }
}
