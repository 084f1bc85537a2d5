//! What the service manager is told: ready, what goes on, still alive, stopping.
//!
//! Nothing is sent, and nobody is woken, where no service manager listens.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hcfs_api::quantity::many;
use hcfs_api::{FolderState, Status};
use sd_notify::NotifyState;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::supervise::Supervisor;

/// How often the text changes at most.
const STEP: Duration = Duration::from_secs(2);

/// Sends to the service manager; silently does nothing where there is none.
fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager cannot be told: {error}");
    }
}

/// The daemon answers, and its folders have opened.
pub(crate) fn ready(status: &Status) {
    send(&[NotifyState::Ready, NotifyState::Status(&phase(status))]);
}

/// The daemon is ending.
pub(crate) fn stopping() {
    send(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Keeps the text current, and the watchdog fed as long as every folder makes progress or answers.
pub(crate) async fn follow(supervisor: Arc<Supervisor>, stopping: CancellationToken) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let feeding = sd_notify::watchdog_enabled().map(|limit| limit / 3);
    let mut changes = supervisor.watch();
    let mut told = String::new();
    let mut next_text = Instant::now();
    let mut next_food = Instant::now();
    let mut changed = true;
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            result = changes.changed(), if !changed => {
                if result.is_err() {
                    return;
                }
                changed = true;
            }
            () = sleep_until(next_text), if changed => {
                changed = false;
                next_text = Instant::now() + STEP;
                let text = phase(&supervisor.status());
                if text != told {
                    send(&[NotifyState::Status(&text)]);
                    told = text;
                }
            }
            () = sleep_until(next_food), if feeding.is_some() => {
                let pause = feeding.unwrap_or(STEP);
                next_food = Instant::now() + pause;
                if supervisor.is_alive(pause).await {
                    send(&[NotifyState::Watchdog]);
                } else {
                    tracing::error!("a folder neither makes progress nor answers");
                }
            }
        }
    }
}

/// One line for `systemctl status`. No labels and no paths: every user of the machine may read it.
fn phase(status: &Status) -> String {
    if status.folders.is_empty() {
        return "no folder is configured".to_owned();
    }
    if status.daemon.locked {
        return "locked: the password is needed".to_owned();
    }
    if status.idle {
        return format!("idle, {} in step", many(status.totals.counts.synced_files, "file"));
    }
    let mut states: BTreeMap<FolderState, usize> = BTreeMap::new();
    for folder in &status.folders {
        *states.entry(folder.state).or_default() += 1;
    }
    let mut parts: Vec<String> = states.into_iter().map(|(state, count)| format!("{count} {state}")).collect();
    let counts = &status.totals.counts;
    if counts.pending > 0 {
        parts.push(format!("{} left to do", counts.pending));
    }
    for (count, what) in [(counts.problems, "problem"), (counts.conflicts, "conflict"), (counts.holds, "hold")] {
        if count > 0 {
            parts.push(many(count, what));
        }
    }
    parts.join(", ")
}
