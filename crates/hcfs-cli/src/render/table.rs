//! Tables without borders.

use std::fmt::Write as _;

use super::{Look, Paint, cut, width};

/// A cell: its text, and a color that is put on after it was cut.
#[derive(Debug, Clone, Default)]
pub(super) struct Cell {
    text: String,
    paint: Option<fn(Paint, &str) -> String>,
}

impl Cell {
    pub(super) fn painted(text: impl Into<String>, paint: fn(Paint, &str) -> String) -> Self {
        Self { text: text.into(), paint: Some(paint) }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), paint: None }
    }
}

/// What the last column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// It names the object: the others give way to it.
    Named,
    /// It says more of what the others name: where there is no room for it, it is left out.
    Spare,
}

/// Blanks between two columns.
const GAP: usize = 2;
/// The narrowest a column becomes.
const NARROW: usize = 4;
/// The narrowest the last column becomes.
const LAST_NARROW: usize = 10;

/// The rows under each other, columns two blanks apart. A width cuts the last column first, then the widest one; where
/// even narrow ones do not fit, the line itself.
pub(super) fn table(look: Look, last: Last, rows: &[Vec<Cell>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths = vec![0; columns];
    for row in rows {
        for (at, cell) in row.iter().enumerate() {
            widths[at] = widths[at].max(width(&cell.text));
        }
    }
    if let Some(room) = look.width {
        shrink(&mut widths, room, last);
    }
    let paint = Paint(look.color);
    let mut out = String::new();
    for row in rows {
        let mut left = look.width.unwrap_or(usize::MAX);
        for (at, cell) in row.iter().enumerate() {
            let shown = cut(&cell.text, widths[at].min(left));
            left -= width(&shown).min(left);
            // Writing into a String cannot fail.
            let _ = match cell.paint {
                Some(color) => write!(out, "{}", color(paint, &shown)),
                None => write!(out, "{shown}"),
            };
            if row.iter().zip(&widths).skip(at + 1).all(|(cell, &width)| cell.text.is_empty() || width == 0) {
                break;
            }
            let gap = (widths[at] - width(&shown).min(widths[at]) + GAP).min(left);
            left -= gap;
            let _ = write!(out, "{:gap$}", "");
        }
        let end = out.trim_end_matches(' ').len();
        out.truncate(end);
        out.push('\n');
    }
    out
}

fn shrink(widths: &mut [usize], room: usize, kind: Last) {
    let taken = |widths: &[usize]| widths.iter().map(|width| width + GAP).sum::<usize>().saturating_sub(GAP);
    let Some((last, others)) = widths.split_last_mut() else { return };
    let before = if others.is_empty() { 0 } else { taken(others) + GAP };
    *last = (*last).min(room.saturating_sub(before).max(LAST_NARROW));
    if taken(widths) <= room {
        return;
    }
    let count = widths.len() - 1;
    if kind == Last::Spare && count > 0 {
        widths[count] = 0;
    }
    let named = if kind == Last::Spare { count } else { widths.len() };
    while taken(&widths[..named]) > room {
        let widest = (0..named).max_by_key(|&at| widths[at]).unwrap_or(0);
        if widths[widest] <= NARROW {
            return;
        }
        widths[widest] -= 1;
    }
}
