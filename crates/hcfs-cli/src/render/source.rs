//! Sources.

use std::fmt::Write as _;

use hcfs_api::{RunReply, Source, SourceFile, SourceProblem, SourceState, SourceTransfer, UnixMillis};

use super::table::{Cell, Last, table};
use super::{Look, Paint, ago, bytes, line, many, plain, span, wrapped};

/// Transfers that are shown of one source.
const TRANSFERS: usize = 8;

/// The sources, each with what is wrong with it.
#[must_use]
pub fn sources(sources: &[Source], now: UnixMillis, look: Look) -> String {
    if sources.is_empty() {
        return "no source brings files yet\nhint: add one with `hcfs source add NAME KIND …`\n".to_owned();
    }
    let rows: Vec<Vec<Cell>> = sources.iter().map(|source| row(source, now)).collect();
    let lines = table(look, Last::Spare, &rows);
    let mut out = String::new();
    for (source, shown) in sources.iter().zip(lines.lines()) {
        let _ = writeln!(out, "{shown}");
        trouble(&mut out, look, source);
        if source.problems > 0 {
            let see = format!("see `hcfs source show {}`", plain(&source.name));
            out.push_str(&Paint(look.color).faint_lines(&wrapped(look, 2, &see)));
        }
        for shown in source_lines(source, look) {
            let _ = writeln!(out, "{shown}");
        }
    }
    out
}

/// One source with all that it brought and could not bring.
#[must_use]
pub fn source(
    source: &Source,
    problems: &[SourceProblem],
    files: &[SourceFile],
    now: UnixMillis,
    look: Look,
) -> String {
    let mut out = sources(std::slice::from_ref(source), now, look);
    out.push_str(&listed_problems(problems, look));
    if files.is_empty() {
        return out;
    }
    out.push('\n');
    let rows: Vec<Vec<Cell>> = files
        .iter()
        .map(|file| {
            let verified = if file.verified { "verified" } else { "" };
            vec![
                format!("{:>10}", bytes(file.size)).into(),
                ago(file.at, now).into(),
                verified.into(),
                plain(&file.path).into_owned().into(),
            ]
        })
        .collect();
    out + &table(look, Last::Named, &rows)
}

/// How a run ended.
#[must_use]
pub fn ran(reply: &RunReply, problems: &[SourceProblem], look: Look) -> String {
    let source = &reply.source;
    let name = plain(&source.name);
    if !reply.ended {
        return format!("{name}: still at it\n");
    }
    let (brought, unchanged) = source.last_run.map_or((0, 0), |run| (run.brought, run.unchanged));
    let mut parts = vec![format!("{} brought", many(brought, "file"))];
    if unchanged > 0 {
        parts.push(format!("{unchanged} unchanged"));
    }
    if source.problems > 0 {
        parts.push(many(source.problems, "problem"));
    }
    let mut out = format!("{name}: {}\n", parts.join(", "));
    trouble(&mut out, look, source);
    out + &listed_problems(problems, look)
}

/// The files under way, a line each.
#[must_use]
pub fn source_lines(source: &Source, look: Look) -> Vec<String> {
    let mut lines: Vec<String> =
        source.transfers.iter().take(TRANSFERS).map(|one| line(look, &transfer(one)).into_owned()).collect();
    if let more @ 1.. = source.transfers.len().saturating_sub(TRANSFERS) {
        lines.push(format!("  and {more} more"));
    }
    lines
}

fn transfer(transfer: &SourceTransfer) -> String {
    let item = plain(&transfer.item);
    match (transfer.stage.as_str(), transfer.percent, transfer.size) {
        ("preparing", Some(percent), _) => format!("  ↓ the service prepares it, {percent} % {item}"),
        ("preparing", None, _) => format!("  ↓ the service prepares it {item}"),
        ("verifying", ..) => format!("  ↓ verified {item}"),
        (_, _, Some(size)) => {
            let percent = (u128::from(transfer.done.min(size)) * 100).checked_div(u128::from(size)).unwrap_or(100);
            format!("  ↓ {percent:>3} % of {} {item}", bytes(size))
        }
        _ => format!("  ↓ {} {item}", bytes(transfer.done)),
    }
}

fn row(source: &Source, now: UnixMillis) -> Vec<Cell> {
    let mut parts = vec![many(source.files, "file")];
    if source.problems > 0 {
        parts.push(many(source.problems, "problem"));
    }
    if let Some(ended) = source.last_run.and_then(|run| run.ended_at) {
        parts.push(format!("ran {}", ago(ended, now)));
    }
    if let Some(next) = source.next_run_at {
        let left = u64::try_from(next.saturating_sub(now)).unwrap_or(0) / 1000;
        parts.push(format!("again in {}", span(left)));
    }
    vec![
        plain(&source.name).into_owned().into(),
        state(source.state),
        format!("→ {}", plain(&source.into)).into(),
        parts.join(", ").into(),
    ]
}

fn state(state: SourceState) -> Cell {
    let paint = match state {
        SourceState::Idle => Paint::good,
        SourceState::Running => Paint::active,
        SourceState::Attention | SourceState::Waiting => Paint::attention,
        SourceState::Failed => Paint::bad,
    };
    Cell::painted(state.as_str(), paint)
}

fn trouble(out: &mut String, look: Look, source: &Source) {
    let Some(trouble) = &source.trouble else { return };
    advise(out, look, &trouble.message, &trouble.hint);
}

fn listed_problems(problems: &[SourceProblem], look: Look) -> String {
    let paint = Paint(look.color);
    let mut out = String::new();
    for problem in problems {
        let _ = writeln!(out, "{}", paint.attention(&line(look, &plain(&problem.item))));
        advise(&mut out, look, &problem.message, &problem.hint);
    }
    out
}

fn advise(out: &mut String, look: Look, message: &str, hint: &str) {
    let paint = Paint(look.color);
    out.push_str(&wrapped(look, 2, &plain(message)));
    if !hint.is_empty() {
        out.push_str(&paint.faint_lines(&wrapped(look, 2, &format!("hint: {}", plain(hint)))));
    }
}
