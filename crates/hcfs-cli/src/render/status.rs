//! The status.

use std::fmt::Write as _;

use hcfs_api::{Counts, Direction, Folder, FolderState, Rates, ServerStatus, Status, Transfer, Trouble, UnixMillis};

use super::source::sources;
use super::table::{Cell, Last, table};
use super::{Look, Paint, ago, bytes, count, cut, line, many, plain, rate, span, width, wrapped};

/// Transfers that are shown of one folder.
const TRANSFERS: usize = 8;

/// Everything: the daemon, the server, every folder with what is wrong in it and what moves.
#[must_use]
pub fn status(status: &Status, now: UnixMillis, look: Look) -> String {
    let mut out = String::new();
    let daemon = &status.daemon;
    let mut head = vec![
        vec![
            Cell::from("daemon"),
            format!("{}, running for {}", plain(&daemon.version), span(daemon.uptime_seconds)).into(),
        ],
        vec![Cell::from("device"), plain(&daemon.device).into_owned().into()],
        vec![Cell::from("server"), server(&status.server).into()],
    ];
    if let Some(account) = &status.server.account {
        head.push(vec![Cell::from("account"), plain(account).into_owned().into()]);
    }
    out.push_str(&table(look, Last::Named, &head));
    if daemon.locked {
        out.push('\n');
        advise(&mut out, look, 0, "the recovery phrase is locked", "unlock it with `hcfs unlock`");
    }
    out.push('\n');
    if status.folders.is_empty() {
        advise(&mut out, look, 0, "no folder is kept in step yet", "add one with `hcfs folder add LABEL DIR`");
    }
    let rows: Vec<Vec<Cell>> = status.folders.iter().map(|folder| row(folder, now)).collect();
    let lines = table(look, Last::Spare, &rows);
    for (folder, shown) in status.folders.iter().zip(lines.lines()) {
        let _ = writeln!(out, "{shown}");
        details(&mut out, look, folder);
    }
    if !status.sources.is_empty() {
        out.push('\n');
        out.push_str(&sources(&status.sources, now, look));
    }
    out
}

fn server(server: &ServerStatus) -> String {
    let mut text = match &server.url {
        Some(url) => plain(url).into_owned(),
        None => "none yet".to_owned(),
    };
    if server.embedded {
        text.push_str(" (on this machine)");
    }
    match server.reachable {
        Some(true) => text.push_str(", reachable"),
        Some(false) => text.push_str(", not reachable"),
        None => {}
    }
    text
}

fn row(folder: &Folder, now: UnixMillis) -> Vec<Cell> {
    vec![plain(&folder.label).into_owned().into(), state(folder.state), summary(folder, now).into()]
}

/// A state, in its color.
pub(super) fn state(state: FolderState) -> Cell {
    let paint = match state {
        FolderState::Idle => Paint::good,
        FolderState::Starting | FolderState::Scanning | FolderState::Syncing => Paint::active,
        FolderState::Attention | FolderState::Paused | FolderState::Held | FolderState::Offline => Paint::attention,
        FolderState::Locked
        | FolderState::Halted
        | FolderState::Unauthorised
        | FolderState::OverQuota
        | FolderState::Error => Paint::bad,
    };
    Cell::painted(name(state), paint)
}

/// A state in words.
pub(super) fn name(state: FolderState) -> &'static str {
    match state {
        FolderState::OverQuota => "over quota",
        other => other.as_str(),
    }
}

/// What there is to say of a folder in its state, in one line.
pub(super) fn summary(folder: &Folder, now: UnixMillis) -> String {
    let counts = &folder.counts;
    let mut parts = Vec::new();
    match folder.state {
        FolderState::Scanning if counts.synced_files == 0 => {
            parts.push(format!("{} here", many(counts.local_files, "file")));
        }
        FolderState::Syncing => parts.extend(moving(counts, &folder.rates)),
        _ => parts.push(format!("{}, {}", many(counts.synced_files, "file"), bytes(counts.synced_bytes))),
    }
    if folder.state != FolderState::Syncing && counts.pending > 0 {
        parts.push(format!("{} left to do", count(counts.pending)));
    }
    parts.extend(left(counts));
    if let (FolderState::Idle | FolderState::Attention, Some(at)) = (folder.state, folder.last_cycle_at) {
        parts.push(format!("checked {}", ago(at, now)));
    }
    parts.join(", ")
}

/// What moves, how fast, and until when.
pub(super) fn moving(counts: &Counts, rates: &Rates) -> Vec<String> {
    let mut parts = vec![format!("{} left", count(counts.pending))];
    for (arrow, pending, speed) in [("↑", counts.pending_up, rates.up), ("↓", counts.pending_down, rates.down)] {
        if speed > 0 {
            parts.push(format!("{arrow} {} at {}", bytes(pending), rate(speed)));
        } else if pending > 0 {
            parts.push(format!("{arrow} {}", bytes(pending)));
        }
    }
    parts.extend(rates.seconds_left.map(|seconds| format!("{} to go", span(seconds))));
    parts
}

/// What keeps a folder from being idle and is the user's.
pub(super) fn left(counts: &Counts) -> Vec<String> {
    [(counts.problems, "problem"), (counts.conflicts, "conflict"), (counts.holds, "hold")]
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| many(number, what))
        .collect()
}

fn details(out: &mut String, look: Look, folder: &Folder) {
    if let Some(Trouble { message, hint, .. }) = &folder.trouble {
        advise(out, look, 2, message, hint);
    }
    let counts = &folder.counts;
    let commands: Vec<&str> =
        [(counts.problems, "`hcfs problems`"), (counts.conflicts, "`hcfs conflicts`"), (counts.holds, "`hcfs holds`")]
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(_, command)| command)
            .collect();
    if !commands.is_empty() {
        let paint = Paint(look.color);
        out.push_str(&paint.faint_lines(&wrapped(look, 2, &format!("see {}", commands.join(", ")))));
    }
    for shown in transfers(&folder.transfers, look, 2) {
        let _ = writeln!(out, "{shown}");
    }
}

/// The files in flight, a line each, and how many more there are.
pub(super) fn transfers(transfers: &[Transfer], look: Look, indent: usize) -> Vec<String> {
    let mut lines: Vec<String> = transfers.iter().take(TRANSFERS).map(|one| transfer(one, look, indent)).collect();
    if let more @ 1.. = transfers.len().saturating_sub(TRANSFERS) {
        lines.push(line(look, &format!("{:indent$}and {} more", "", count(more as u64))).into_owned());
    }
    lines
}

/// Columns of a bar.
const BAR: usize = 20;

/// A file in flight: which way, how far, a bar where there is room, its name.
fn transfer(transfer: &Transfer, look: Look, indent: usize) -> String {
    let arrow = match transfer.direction {
        Direction::Up => "↑",
        Direction::Down => "↓",
    };
    let done = u128::from(transfer.done.min(transfer.size));
    let size = u128::from(transfer.size);
    let part =
        |of: u64| u64::try_from((done * u128::from(of)).checked_div(size).unwrap_or(u128::from(of))).unwrap_or(of);
    let percent = part(100);
    let name = plain(&transfer.path);
    let mut text = format!("{:indent$}{arrow} {percent:>3} % ", "");
    if look.width.is_some_and(|columns| columns >= 60) {
        let full = usize::try_from(part(BAR as u64)).unwrap_or(0).min(BAR);
        let size = format!(" {:>10} ", bytes(transfer.size));
        let taken = width(&text) + BAR + width(&size);
        let room = look.width.map_or(usize::MAX, |columns| columns.saturating_sub(taken));
        let paint = Paint(look.color);
        text.push_str(&paint.active(&"━".repeat(full)));
        text.push_str(&paint.faint(&"─".repeat(BAR - full)));
        return text + &size + &cut(&name, room);
    }
    if look.width.is_none_or(|columns| columns >= 40) {
        text.push_str(&format!("of {} ", bytes(transfer.size)));
    }
    let room = look.width.map_or(usize::MAX, |columns| columns.saturating_sub(width(&text)));
    let text = format!("{text}{}", cut(&name, room));
    line(look, &text).into_owned()
}

/// What is wrong, and what to do.
fn advise(out: &mut String, look: Look, indent: usize, message: &str, hint: &str) {
    let paint = Paint(look.color);
    out.push_str(&paint.attention_lines(&wrapped(look, indent, &plain(message))));
    if !hint.is_empty() {
        out.push_str(&paint.faint_lines(&wrapped(look, indent, &format!("hint: {}", plain(hint)))));
    }
}

impl Paint {
    /// Colors each line for itself: a color must not run over the end of a line.
    fn lines(text: &str, paint: impl Fn(&str) -> String) -> String {
        text.lines().map(|line| paint(line) + "\n").collect()
    }

    pub(super) fn faint_lines(self, text: &str) -> String {
        Self::lines(text, |line| self.faint(line))
    }

    pub(super) fn attention_lines(self, text: &str) -> String {
        Self::lines(text, |line| self.attention(line))
    }
}
