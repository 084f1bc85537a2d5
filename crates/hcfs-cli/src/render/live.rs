//! What is drawn over and over while the daemon works, and what is printed instead where nobody watches.

use hcfs_api::{Folder, FolderState, Status, UnixMillis};

use super::status::{left, moving, name, state, summary, transfers};
use super::table::{Cell, Last, table};
use super::{Look, Paint, plain, wrapped};

/// Lines that are drawn in place: each folder, and below it what moves.
#[must_use]
pub fn live(status: &Status, now: UnixMillis, look: Look) -> Vec<String> {
    let rows: Vec<Vec<Cell>> = status
        .folders
        .iter()
        .map(|folder| vec![plain(&folder.label).into_owned().into(), state(folder.state), told(folder, now).into()])
        .collect();
    let lines = table(look, Last::Spare, &rows);
    let mut out = Vec::new();
    for (folder, line) in status.folders.iter().zip(lines.lines()) {
        out.push(line.to_owned());
        if let Some(hint) = folder.trouble.as_ref().map(|trouble| &trouble.hint).filter(|hint| !hint.is_empty()) {
            let hint = Paint(look.color).faint_lines(&wrapped(look, 2, &format!("hint: {}", plain(hint))));
            out.extend(hint.lines().map(str::to_owned));
        }
        out.extend(transfers(&folder.transfers, look, 2));
    }
    out
}

/// A folder in one line of a log.
#[must_use]
pub fn phase(folder: &Folder, now: UnixMillis) -> String {
    format!("{}: {}, {}", plain(&folder.label), name(folder.state), told(folder, now))
}

fn told(folder: &Folder, now: UnixMillis) -> String {
    match (&folder.trouble, folder.state) {
        // The hint has lines of its own, or stands in the status.
        (Some(trouble), _) => plain(&trouble.message).into_owned(),
        (None, FolderState::Syncing) => {
            let mut parts = moving(&folder.counts, &folder.rates);
            parts.extend(left(&folder.counts));
            parts.join(", ")
        }
        (None, _) => summary(folder, now),
    }
}
