//! The answer of `GET /v1/status`.

use serde::{Deserialize, Serialize};

use crate::{Counts, ExitCode, Folder, FolderState, Rates, Source, UnixMillis};

/// The daemon, the server and every folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// The daemon.
    pub daemon: DaemonStatus,
    /// The server.
    pub server: ServerStatus,
    /// Whether every folder is idle.
    pub idle: bool,
    /// Every configured folder, in label order.
    pub folders: Vec<Folder>,
    /// Every configured source, in the order of names.
    #[serde(default)]
    pub sources: Vec<Source>,
    /// All folders together.
    pub totals: Totals,
    /// All folders together.
    pub rates: Rates,
}

impl Status {
    /// How a command that waited for every folder ends.
    #[must_use]
    pub fn exit(&self) -> ExitCode {
        ExitCode::of_states(self.folders.iter().map(|folder| folder.state))
    }

    /// Whether a folder is still on its way by itself.
    #[must_use]
    pub fn is_working(&self) -> bool {
        self.folders.iter().any(|folder| folder.state.is_working())
    }

    /// Whether every one of these states is idle.
    #[must_use]
    pub fn all_idle(folders: &[Folder]) -> bool {
        folders.iter().all(|folder| folder.state == FolderState::Idle)
    }
}

/// The daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonStatus {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// When it was started.
    pub started_at: UnixMillis,
    /// For how many seconds it has run.
    pub uptime_seconds: u64,
    /// This device's name.
    pub device: String,
    /// Whether the keys are closed.
    pub locked: bool,
}

/// The server the folders are kept on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Where it is; absent until the embedded server runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether it runs inside the daemon.
    pub embedded: bool,
    /// Whether the last attempt reached it; absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reachable: Option<bool>,
    /// The account the folders belong to; absent while it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Its version, as it says itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it can do beyond the protocol, as it says itself.
    pub capabilities: Vec<String>,
}

/// All folders together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// How many folders.
    pub folders: u64,
    /// Sums of the folders' counts.
    #[serde(flatten)]
    pub counts: Counts,
}

impl Totals {
    /// The sums over folders.
    #[must_use]
    pub fn of(folders: &[Folder]) -> Self {
        let mut totals = Self { folders: folders.len() as u64, counts: Counts::default() };
        for counts in folders.iter().map(|folder| &folder.counts) {
            let sum = &mut totals.counts;
            sum.synced_files += counts.synced_files;
            sum.synced_bytes += counts.synced_bytes;
            sum.local_files += counts.local_files;
            sum.remote_files += counts.remote_files;
            sum.pending += counts.pending;
            sum.pending_up += counts.pending_up;
            sum.pending_down += counts.pending_down;
            sum.sent += counts.sent;
            sum.received += counts.received;
            sum.problems += counts.problems;
            sum.conflicts += counts.conflicts;
            sum.holds += counts.holds;
        }
        totals
    }
}
