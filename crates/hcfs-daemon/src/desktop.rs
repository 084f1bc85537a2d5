//! Notifications on the desktop, for what needs its user and for nothing else.
//!
//! Invariants: the same thing is told once; nothing is told where there is no session bus, and nothing waits for one
//! that is silent; no file is named, since a notification may stand on a locked screen.
//!
//! A state (locked, unauthorised, over quota, a full disk) is told when it begins, and not again before the folder has
//! worked. Conflicts and holds are told by the events of their finding, so that a daemon that starts does not repeat
//! what an earlier one said. What comes within moments is told together.
//!
//! Deliberately absent: buttons. `hcfs ui` and the command line are where things are mended.

#[cfg(feature = "notifications")]
mod bus;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hcfs_api::{FolderState, quantity};
use hcfs_model::ProblemCode;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::config::Environment;
use crate::stream::Live;
use crate::supervise::Supervisor;

/// What comes within this time is told together.
const GATHER: Duration = Duration::from_secs(2);
/// The folder that stands for all of them.
const ALL: &str = "";

/// What needs the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Locked,
    Unauthorised,
    OverQuota,
    DiskFull,
    Conflict,
    Hold,
}

/// One notification. A later one of the same need and folder takes its place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Notice {
    need: Need,
    folder: String,
    summary: String,
    body: &'static str,
}

/// One folder, as far as it may need somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Glance {
    state: FolderState,
    disk_full: bool,
}

/// What was told, and what is to be told next.
#[derive(Default)]
struct Rule {
    told: BTreeSet<(String, Need)>,
    /// How many of each are new; a state counts once.
    due: BTreeMap<(String, Need), u64>,
}

impl Rule {
    /// The daemon as it is now.
    fn look(&mut self, folders: &BTreeMap<String, Glance>) {
        let is_locked = folders.values().any(|folder| folder.state == FolderState::Locked);
        let opened =
            folders.values().any(|folder| !matches!(folder.state, FolderState::Locked | FolderState::Starting));
        self.state(ALL, Need::Locked, is_locked, opened);
        for (label, folder) in folders {
            let worked = matches!(folder.state, FolderState::Idle | FolderState::Attention);
            let state = folder.state;
            self.state(label, Need::Unauthorised, state == FolderState::Unauthorised, worked);
            self.state(label, Need::OverQuota, state == FolderState::OverQuota, worked);
            self.state(label, Need::DiskFull, folder.disk_full, worked && !folder.disk_full);
        }
        self.told.retain(|(folder, _)| folder == ALL || folders.contains_key(folder));
    }

    fn state(&mut self, folder: &str, need: Need, is: bool, over: bool) {
        let key = (folder.to_owned(), need);
        if is {
            if self.told.insert(key.clone()) {
                self.due.insert(key, 1);
            }
        } else if over {
            self.told.remove(&key);
        }
    }

    /// Something was logged.
    fn happened(&mut self, folder: &str, kind: &str) {
        let need = match kind {
            "conflict" => Need::Conflict,
            "held" => Need::Hold,
            _ => return,
        };
        *self.due.entry((folder.to_owned(), need)).or_default() += 1;
    }

    /// What is to be told now, once.
    fn take(&mut self) -> Vec<Notice> {
        let due = std::mem::take(&mut self.due);
        due.into_iter().map(|((folder, need), count)| notice(folder, need, count)).collect()
    }
}

fn notice(folder: String, need: Need, count: u64) -> Notice {
    let (summary, body) = match need {
        Need::Locked => {
            ("hcfs is locked".to_owned(), "Nothing is kept in step until you type the password: hcfs unlock")
        }
        Need::Unauthorised => (
            format!("{folder}: the server refuses the token"),
            "Renew the token, or log in again. hcfs status says more.",
        ),
        Need::OverQuota => (
            format!("{folder}: the account is over its quota"),
            "Nothing is sent until there is room. Downloads go on.",
        ),
        Need::DiskFull => {
            (format!("{folder}: the disk is full"), "Free some space there; what waits then goes on by itself.")
        }
        Need::Conflict => (
            format!("{folder}: {}", quantity::many(count, "conflict")),
            "Both sides were changed, and both versions are kept. Choose with hcfs conflicts, or in hcfs ui.",
        ),
        Need::Hold => (
            format!("{folder}: a change waits for your yes"),
            "It looked more like an accident than a wish. See hcfs holds, or hcfs ui.",
        ),
    };
    Notice { need, folder, summary, body }
}

/// Tells the desktop until `stopping`. Ends at once where there is none.
pub(crate) async fn follow(supervisor: Arc<Supervisor>, stopping: CancellationToken) {
    let Some(mut desktop) = session_bus(supervisor.env()).and_then(Desktop::at) else { return };
    // Events first: one that comes while the state is looked at is then not missed.
    let mut live = supervisor.stream.read(None).live;
    let mut changes = supervisor.watch();
    let mut rule = Rule::default();
    loop {
        changes.mark_unchanged();
        rule.look(&glances(&supervisor));
        if !rule.due.is_empty() {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(GATHER) => {}
            }
            while let Ok(event) = live.try_recv() {
                hear(&mut rule, event);
            }
            for notice in rule.take() {
                tokio::select! {
                    () = stopping.cancelled() => return,
                    () = desktop.show(&notice) => {}
                }
            }
        }
        tokio::select! {
            () = stopping.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
            event = live.recv() => match event {
                Ok(event) => hear(&mut rule, event),
                // Those that were missed stay in the lists of conflicts and holds.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            },
        }
    }
}

fn hear(rule: &mut Rule, event: Live) {
    if let Live::Event(numbered) = event {
        rule.happened(&numbered.event.folder, &numbered.event.kind);
    }
}

fn glances(supervisor: &Supervisor) -> BTreeMap<String, Glance> {
    let full = |label: &str| {
        let handle = supervisor.keeper(&hcfs_model::FolderLabel::new(label).ok()?).ok()?.handle().ok()?;
        let is_full = handle.status().borrow().problems.iter().any(|problem| problem.code == ProblemCode::DiskFull);
        Some(is_full)
    };
    let glance = |folder: hcfs_api::Folder| {
        let trouble = folder.trouble.as_ref().is_some_and(|trouble| trouble.code == hcfs_api::ErrorCode::DiskFull);
        let disk_full = trouble || folder.counts.problems > 0 && full(&folder.label).unwrap_or_default();
        (folder.label, Glance { state: folder.state, disk_full })
    };
    supervisor.folders().into_iter().map(glance).collect()
}

/// Where the session's bus is: as the environment says, or where systemd puts it.
fn session_bus(env: &Environment) -> Option<String> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    if let Some(address) = set("DBUS_SESSION_BUS_ADDRESS") {
        return address.into_string().ok();
    }
    let socket = PathBuf::from(set("XDG_RUNTIME_DIR")?).join("bus");
    socket.exists().then(|| format!("unix:path={}", socket.display()))
}

#[cfg(feature = "notifications")]
use bus::Desktop;

/// A program that was built without notifications has no desktop.
#[cfg(not(feature = "notifications"))]
enum Desktop {}

#[cfg(not(feature = "notifications"))]
impl Desktop {
    fn at(_: String) -> Option<Self> {
        None
    }

    async fn show(&mut self, _: &Notice) {
        match *self {}
    }
}

#[cfg(test)]
mod tests;
