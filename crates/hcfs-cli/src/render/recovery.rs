//! What can be had back, and why a path stands as it does.

use std::fmt::Write as _;

use hcfs_api::{Explanation, History, LocalVersion, RemoteVersion, Restored, TrashedFile, UnixMillis, Version};

use super::table::{Cell, Last, table};
use super::{Look, Paint, ago, bytes, line, many, plain, wrapped};

/// The trash, each entry with its folder.
#[must_use]
pub fn trash(entries: &[(String, TrashedFile)], now: UnixMillis, look: Look) -> String {
    if entries.is_empty() {
        return "nothing is in the trash\n".to_owned();
    }
    let rows: Vec<Vec<Cell>> = entries
        .iter()
        .map(|(folder, entry)| {
            let name = format!("{}: {}", plain(folder), plain(&entry.path));
            vec![ago(entry.at, now).into(), bytes(entry.size).into(), name.into(), plain(&entry.id).into_owned().into()]
        })
        .collect();
    let hint = "bring one back with `hcfs trash restore PATH|ID`";
    table(look, Last::Spare, &rows) + "\n" + &Paint(look.color).faint_lines(&wrapped(look, 0, hint))
}

/// What came back, and where.
#[must_use]
pub fn restored(restored: &[Restored], look: Look) -> String {
    let mut out = String::new();
    for one in restored {
        let text = match one.beside {
            true => format!("{}: back under this name, since its own is taken", plain(&one.path)),
            false => format!("{}: back", plain(&one.path)),
        };
        let _ = writeln!(out, "{}", line(look, &text));
    }
    out
}

/// The versions of a path.
#[must_use]
pub fn history(history: &History, now: UnixMillis, look: Look) -> String {
    if history.versions.is_empty() {
        return format!("{}\n", line(look, &format!("{}: no version is known here", plain(&history.path))));
    }
    let rows: Vec<Vec<Cell>> = history.versions.iter().map(|version| version_row(version, now)).collect();
    table(look, Last::Spare, &rows)
}

fn version_row(version: &Version, now: UnixMillis) -> Vec<Cell> {
    let place = match version.place.as_str() {
        "here" => "here".to_owned(),
        "server" => "on the server".to_owned(),
        "synced" => "last agreed on".to_owned(),
        "conflict_copy" => "conflict copy".to_owned(),
        "trash" => "in the trash".to_owned(),
        other => plain(other).into_owned(),
    };
    let more = match (&version.trash_id, version.place.as_str()) {
        (Some(id), _) => plain(id).into_owned(),
        (None, "conflict_copy") => plain(&version.path).into_owned(),
        (None, _) => version.revision.map(|revision| format!("version {revision}")).unwrap_or_default(),
    };
    let at = version.at.map(|at| ago(at, now)).unwrap_or_default();
    vec![place.into(), bytes(version.size).into(), at.into(), more.into()]
}

/// How a path stands, why, and what each tree says.
#[must_use]
pub fn explanation(folder: &str, explained: &Explanation, now: UnixMillis, look: Look) -> String {
    let paint = Paint(look.color);
    let state = match explained.state.as_str() {
        "left_alone" => "left alone",
        other => other,
    };
    let head = format!("{}: {}: {}", plain(folder), plain(&explained.path), plain(state));
    let head = line(look, &head).into_owned();
    let mut out = match explained.state.as_str() {
        "synced" => format!("{}\n", paint.good(&head)),
        "waiting" | "moving" | "directory" | "absent" | "ignored" => format!("{}\n", paint.active(&head)),
        _ => format!("{}\n", paint.attention(&head)),
    };
    out.push_str(&wrapped(look, 2, &plain(&explained.reason)));
    if !explained.hint.is_empty() {
        out.push_str(&paint.faint_lines(&wrapped(look, 2, &format!("hint: {}", plain(&explained.hint)))));
    }
    if let Some(hold) = &explained.hold {
        let text = format!("hold {}: {} of {}", hold.id, hold.count, many(hold.of, "file"));
        out.push_str(&wrapped(look, 2, &text));
    }
    let here = |local: &LocalVersion| {
        format!("{}, changed {}, {}", bytes(local.size), ago(local.modified_at, now), short(&local.hash))
    };
    let there = |remote: &RemoteVersion| {
        format!("{}, version {}, {}", bytes(remote.size), remote.revision, short(&remote.hash))
    };
    let none = || "nothing".to_owned();
    let rows: Vec<Vec<Cell>> = [
        ("  here", explained.local.as_ref().map_or_else(none, here)),
        ("  on the server", explained.remote.as_ref().map_or_else(none, there)),
        ("  last agreed on", explained.synced.as_ref().map_or_else(none, there)),
    ]
    .into_iter()
    .map(|(tree, what)| vec![tree.into(), what.into()])
    .collect();
    out + &table(look, Last::Named, &rows)
}

/// Enough of a hash to tell two contents apart by eye.
fn short(hash: &str) -> String {
    let start: String = hash.chars().take(12).collect();
    format!("content {}", plain(&start))
}
