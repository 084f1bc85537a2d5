//! What a cycle would do.

use hcfs_api::{Plan, PlannedAction, PlannedConflict, PlannedHold, Reported, Resolution};

use super::table::{Cell, Last, table};
use super::{Look, bytes, count, line, many, plain};

/// A folder's plan: what would be done, in order, then what would not.
#[must_use]
pub fn plan(label: &str, plan: &Plan, look: Look) -> String {
    let label = plain(label);
    if plan.is_empty() {
        return format!("{}\n", line(look, &format!("{label}: nothing to do")));
    }
    let mut head = format!("{label}: {}", many(plan.total, "action"));
    if plan.upload_bytes > 0 {
        head.push_str(&format!(", ↑ {}", bytes(plan.upload_bytes)));
    }
    if plan.download_bytes > 0 {
        head.push_str(&format!(", ↓ {}", bytes(plan.download_bytes)));
    }
    let mut rows: Vec<Vec<Cell>> = plan.actions.iter().map(action).collect();
    rows.extend(plan.conflicts.iter().map(conflict));
    rows.extend(plan.holds.iter().flat_map(hold));
    rows.extend(plan.reported.iter().map(reported));
    let mut out = format!("{}\n{}", line(look, &head), table(look, Last::Named, &rows));
    let more = plan.total.saturating_sub(plan.actions.len() as u64);
    if more > 0 {
        out.push_str(&format!("{}\n", line(look, &format!("and {} more actions", count(more)))));
    }
    out
}

fn row(verb: &str, size: Option<u64>, object: String) -> Vec<Cell> {
    vec![verb.into(), size.map(bytes).unwrap_or_default().into(), object.into()]
}

fn action(action: &PlannedAction) -> Vec<Cell> {
    let verb = match action.kind.as_str() {
        "upload" => "send",
        "download" => "fetch",
        "rename_remote" => "rename on server",
        "rename_local" => "rename here",
        "delete_remote" => "delete on server",
        "delete_local" => "delete here",
        "set_aside" => "set aside here",
        "adopt" => "note as in step",
        "forget" => "note as gone",
        other => other,
    };
    let object = match &action.to {
        Some(to) => format!("{} → {}", plain(&action.path), plain(to)),
        None => plain(&action.path).into_owned(),
    };
    row(&plain(verb), action.bytes, object)
}

fn conflict(conflict: &PlannedConflict) -> Vec<Cell> {
    let outcome = match conflict.resolution {
        Resolution::KeepLocal => "this device's version wins".to_owned(),
        Resolution::AcceptRemote => "the server's version wins".to_owned(),
        Resolution::KeepBoth => match &conflict.copy {
            Some(copy) => format!("both stay, this device's as {}", plain(copy)),
            None => "both stay".to_owned(),
        },
        Resolution::Skip => "neither is touched".to_owned(),
    };
    row("conflict", None, format!("{}: {outcome}", plain(&conflict.path)))
}

fn hold(hold: &PlannedHold) -> Vec<Vec<Cell>> {
    let text = format!("{} of {} would be deleted: waits for a yes", count(hold.count), many(hold.of, "file"));
    let mut rows = vec![row("hold", None, text)];
    rows.extend(hold.examples.iter().map(|example| row("", None, plain(example).into_owned())));
    rows
}

fn reported(reported: &Reported) -> Vec<Cell> {
    row("leave alone", None, format!("{}: {}", plain(&reported.path), plain(&reported.reason)))
}
