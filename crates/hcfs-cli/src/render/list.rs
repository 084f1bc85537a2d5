//! Lists: folders, problems, conflicts, holds, the log, files on the server.

use std::fmt::Write as _;

use hcfs_api::{Conflict, ConflictSide, Folder, FolderMode, Hold, LogEvent, Problem, RemoteFile, UnixMillis};
use jiff::tz::TimeZone;

use super::status::state;
use super::table::{Cell, Last, table};
use super::{Look, Paint, ago, bytes, count, line, many, moment, plain, width, wrapped};

/// The folders.
#[must_use]
pub fn folders(folders: &[Folder], look: Look) -> String {
    if folders.is_empty() {
        return "no folder is kept in step yet\nhint: add one with `hcfs folder add LABEL DIR`\n".to_owned();
    }
    let rows: Vec<Vec<Cell>> = folders
        .iter()
        .map(|folder| {
            let mode = match folder.mode {
                FolderMode::Sync => "sync",
                FolderMode::SendOnly => "send-only",
                FolderMode::ReceiveOnly => "receive-only",
            };
            let label = plain(&folder.label).into_owned();
            vec![label.into(), state(folder.state), mode.into(), plain(&folder.path).into_owned().into()]
        })
        .collect();
    table(look, Last::Named, &rows)
}

/// Problems, each with its folder.
#[must_use]
pub fn problems(problems: &[(String, Problem)], look: Look) -> String {
    let paint = Paint(look.color);
    let mut out = String::new();
    for (folder, problem) in problems {
        let name = name(folder, problem.path.as_deref());
        let _ = writeln!(out, "{}", paint.attention(&line(look, &name)));
        out.push_str(&wrapped(look, 2, &plain(&problem.message)));
        if !problem.hint.is_empty() {
            out.push_str(&paint.faint_lines(&wrapped(look, 2, &format!("hint: {}", plain(&problem.hint)))));
        }
    }
    if out.is_empty() { "no problems\n".to_owned() } else { out }
}

/// Conflicts, each with its folder.
#[must_use]
pub fn conflicts(conflicts: &[(String, Conflict)], now: UnixMillis, look: Look) -> String {
    let paint = Paint(look.color);
    let mut out = String::new();
    for (folder, conflict) in conflicts {
        let _ = writeln!(out, "{}", paint.attention(&line(look, &name(folder, Some(&conflict.path)))));
        let kind = match conflict.kind.as_str() {
            "both_modified" => "changed on both sides",
            "both_created" => "made on both sides",
            "modified_here_deleted_there" => "changed here, deleted on the server",
            "deleted_here_modified_there" => "deleted here, changed on the server",
            other => &plain(other),
        };
        let skipped = if conflict.skipped { "; left as it is, as you said" } else { "" };
        out.push_str(&wrapped(look, 2, &format!("{kind}, {}{skipped}", ago(conflict.at, now))));
        out.push_str(&wrapped(look, 2, &side("here", conflict.local.as_ref(), now)));
        out.push_str(&wrapped(look, 2, &side("on the server", conflict.remote.as_ref(), now)));
        if let Some(copy) = &conflict.copy {
            out.push_str(&wrapped(look, 2, &format!("this device's version: {}", plain(copy))));
        }
    }
    if out.is_empty() {
        return "no conflicts\n".to_owned();
    }
    let hint = "resolve one with `hcfs conflicts resolve PATH keep-local|accept-remote|keep-both|skip`";
    out + "\n" + &paint.faint_lines(&wrapped(look, 0, hint))
}

/// One side of a conflict: how much, when, by whom.
fn side(place: &str, side: Option<&ConflictSide>, now: UnixMillis) -> String {
    let Some(side) = side else { return format!("{place}: deleted") };
    let mut text = format!("{place}: {}", bytes(side.size));
    if let Some(at) = side.at {
        let _ = write!(text, ", {}", ago(at, now));
    }
    if let Some(device) = &side.device {
        let _ = write!(text, ", by {}", plain(device));
    }
    text
}

/// Holds, each with its folder.
#[must_use]
pub fn holds(holds: &[(String, Hold)], now: UnixMillis, look: Look) -> String {
    let paint = Paint(look.color);
    let mut out = String::new();
    for (folder, hold) in holds {
        let head = format!("{}: hold {}", plain(folder), hold.id);
        let _ = writeln!(out, "{}", paint.attention(&line(look, &head)));
        out.push_str(&wrapped(look, 2, &format!("{}, {}", held(hold), ago(hold.at, now))));
        examples(&mut out, hold, look);
    }
    if out.is_empty() {
        return "no holds\n".to_owned();
    }
    let hint = "let it happen with `hcfs holds accept ID`, or bring the files back with `hcfs holds restore ID`";
    out + "\n" + &paint.faint_lines(&wrapped(look, 0, hint))
}

/// What would happen if a hold were accepted.
#[must_use]
pub fn hold_question(hold: &Hold, look: Look) -> String {
    let mut out = wrapped(look, 0, &format!("{}:", held(hold)));
    examples(&mut out, hold, look);
    out
}

/// What an acceptance would let happen, as a phrase and as a question.
#[must_use]
pub fn hold_asked(hold: &Hold) -> (String, String) {
    let what = match hold.kind.as_str() {
        "rollback" | "equivocation" => format!("take {} as the server lists them", many(hold.count, "file")),
        "root_replaced" => "take the directory as it is".to_owned(),
        _ => format!("let {} happen", many(hold.count, "deletion")),
    };
    let mut question = what.clone();
    question.get_mut(..1).map(str::make_ascii_uppercase);
    (format!("to {what}"), format!("{question}?"))
}

fn held(hold: &Hold) -> String {
    let files = format!("{} of {}", count(hold.count), many(hold.of, "file"));
    let all = many(hold.count, "file");
    let scope = hold.scope.as_ref().map(|scope| format!(" in \"{}\"", plain(scope))).unwrap_or_default();
    match hold.kind.as_str() {
        "mass_deletion_here" => format!("{files}{scope} deleted here, not yet on the server"),
        "mass_deletion_there" => format!("{files}{scope} deleted on the server, not yet here"),
        "unknown_folder" => format!("the server does not know the folder any more; {all} would be deleted here"),
        "rollback" => format!("{files} listed in an older version than before"),
        "equivocation" => format!("{files} listed in another version of the same number than before"),
        "root_missing" => format!("the directory is missing; {all} would be deleted on the server"),
        "root_empty" => format!("the directory is empty; {all} would be deleted on the server"),
        "root_replaced" => {
            format!("another directory stands there; what it lacks of {all} would be deleted on the server")
        }
        other => format!("{files}{scope} to be deleted ({})", plain(other)),
    }
}

fn examples(out: &mut String, hold: &Hold, look: Look) {
    for example in &hold.examples {
        let _ = writeln!(out, "{}", line(look, &format!("  {}", plain(example))));
    }
    let more = hold.count.saturating_sub(hold.examples.len() as u64);
    if more > 0 && !hold.examples.is_empty() {
        let _ = writeln!(out, "{}", line(look, &format!("  and {} more", count(more))));
    }
}

/// One event of the log, in one line.
#[must_use]
pub fn event(event: &LogEvent, zone: &TimeZone, look: Look) -> String {
    let subject = name(&event.folder, event.path.as_deref());
    let text = format!("{}  {subject}: {}", moment(event.at, zone), plain(&event.text));
    format!("{}\n", line(look, &text))
}

/// One file on the server, in one line.
#[must_use]
pub fn remote_file(file: &RemoteFile, look: Look) -> String {
    let text = format!("{:>10}  {}", bytes(file.size), plain(&file.path));
    match look.width {
        // The name says which; its size can be had elsewhere.
        Some(columns) if width(&text) > columns && columns < 40 => format!("{}\n", line(look, &plain(&file.path))),
        _ => format!("{}\n", line(look, &text)),
    }
}

fn name(folder: &str, path: Option<&str>) -> String {
    match path {
        Some(path) => format!("{}: {}", plain(folder), plain(path)),
        None => plain(folder).into_owned(),
    }
}
