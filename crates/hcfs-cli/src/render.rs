//! Text for people, from values: pure functions, given the time, the width and whether there are colors.
//!
//! Invariants: a name from outside shows no control character and cannot turn the direction of a line; nothing is cut
//! where no person sees it; no width is too small.

mod checkup;
mod list;
mod live;
mod plan;
mod quantity;
mod recovery;
mod source;
mod status;
mod table;

#[cfg(test)]
pub(crate) mod tests;

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

pub use checkup::checkup;
pub use hcfs_api::quantity::{ago, bytes, count, many, rate, span};
pub use list::{conflicts, event, folders, hold_asked, hold_question, holds, problems, remote_file};
pub use live::{live, phase};
pub use plan::plan;
pub use quantity::moment;
pub use recovery::{explanation, history, restored, trash};
pub use source::{ran, source, source_lines, sources};
pub use status::status;

/// How a text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Columns lines are cut to; `None` cuts nothing.
    pub width: Option<usize>,
    /// Whether it may have colors.
    pub color: bool,
}

/// Colors, or none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Paint(pub(crate) bool);

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    pub(crate) fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    pub(crate) fn attention(self, text: &str) -> String {
        self.with("33", text)
    }

    pub(crate) fn active(self, text: &str) -> String {
        self.with("36", text)
    }

    pub(crate) fn faint(self, text: &str) -> String {
        self.with("2", text)
    }
}

/// A text from outside without what a terminal would obey: control characters and marks that turn the direction of
/// writing are spelled out.
#[must_use]
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        if is_obeyed(char) {
            // Writing into a String cannot fail.
            let _ = write!(out, "{}", char.escape_default());
        } else {
            out.push(char);
        }
    }
    Cow::Owned(out)
}

fn is_obeyed(char: char) -> bool {
    char.is_control()
        || matches!(char, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Columns a text takes.
fn width(text: &str) -> usize {
    text.width()
}

/// A text of at most as many columns; where something is missing, its last column says so.
fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(1) else { return Cow::Borrowed("") };
    let mut taken = 0;
    let mut out: String = text
        .chars()
        .take_while(|char| {
            taken += char.width().unwrap_or(0);
            taken <= room
        })
        .collect();
    out.push('…');
    Cow::Owned(out)
}

/// A line cut to what the look allows.
fn line(look: Look, text: &str) -> Cow<'_, str> {
    match look.width {
        Some(columns) => cut(text, columns),
        None => Cow::Borrowed(text),
    }
}

/// A text in lines at blanks, each behind an indent; not broken where nothing is cut.
fn wrapped(look: Look, indent: usize, text: &str) -> String {
    let indent = look.width.map_or(indent, |columns| indent.min(columns.saturating_sub(1)));
    let room = look.width.map(|columns| columns.saturating_sub(indent));
    let mut out = String::new();
    let mut current = String::new();
    let flush = |current: &mut String, out: &mut String| {
        if !current.is_empty() {
            let shown = room.map_or(Cow::Borrowed(current.as_str()), |room| cut(current, room));
            let _ = writeln!(out, "{:indent$}{shown}", "");
            current.clear();
        }
    };
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let grown = width(&current) + 1 + width(word);
        if room.is_some_and(|room| grown > room) {
            flush(&mut current, &mut out);
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
    }
    flush(&mut current, &mut out);
    out
}
