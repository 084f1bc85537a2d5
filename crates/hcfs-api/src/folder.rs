//! What the daemon says of one folder.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ErrorCode, UnixMillis};

/// The state of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FolderState {
    /// Opening the database and the directory.
    Starting,
    /// The keys are not open.
    Locked,
    /// Looking at the disk or the server.
    Scanning,
    /// Moving changes.
    Syncing,
    /// The three trees agree, and no problem, conflict or hold is left.
    Idle,
    /// In step but for problems, conflicts or holds.
    Attention,
    /// Stopped by the user.
    Paused,
    /// Deletions wait for the user, and nothing else is left to do.
    Held,
    /// The directory is missing, replaced or not writable; nothing is touched.
    Halted,
    /// The server cannot be reached.
    Offline,
    /// The server refuses the token.
    Unauthorised,
    /// The account is over its quota; downloads and deletions go on.
    OverQuota,
    /// Something else keeps the folder from working.
    Error,
}

impl FolderState {
    /// All of them, in their order.
    pub const ALL: [Self; 13] = [
        Self::Starting,
        Self::Locked,
        Self::Scanning,
        Self::Syncing,
        Self::Idle,
        Self::Attention,
        Self::Paused,
        Self::Held,
        Self::Halted,
        Self::Offline,
        Self::Unauthorised,
        Self::OverQuota,
        Self::Error,
    ];

    /// The stable text, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Locked => "locked",
            Self::Scanning => "scanning",
            Self::Syncing => "syncing",
            Self::Idle => "idle",
            Self::Attention => "attention",
            Self::Paused => "paused",
            Self::Held => "held",
            Self::Halted => "halted",
            Self::Offline => "offline",
            Self::Unauthorised => "unauthorised",
            Self::OverQuota => "over_quota",
            Self::Error => "error",
        }
    }

    /// Whether the folder is on its way to another state by itself, so that waiting for it makes sense.
    #[must_use]
    pub fn is_working(self) -> bool {
        matches!(self, Self::Starting | Self::Scanning | Self::Syncing)
    }
}

impl fmt::Display for FolderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Which directions changes take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FolderMode {
    /// Both.
    #[default]
    Sync,
    /// To the server only.
    SendOnly,
    /// From the server only.
    ReceiveOnly,
}

/// What keeps a whole folder from working.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// The kind.
    pub code: ErrorCode,
    /// What is wrong.
    pub message: String,
    /// What to do now.
    pub hint: String,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Files that are in step.
    pub synced_files: u64,
    /// Bytes of the files that are in step.
    pub synced_bytes: u64,
    /// Files here.
    pub local_files: u64,
    /// Files on the server.
    pub remote_files: u64,
    /// Actions of the current cycle that are left.
    pub pending: u64,
    /// Plaintext bytes the current cycle still has to move up.
    pub pending_up: u64,
    /// Plaintext bytes the current cycle still has to move down.
    pub pending_down: u64,
    /// Plaintext bytes moved up since the daemon was started.
    pub sent: u64,
    /// Plaintext bytes moved down since the daemon was started.
    pub received: u64,
    /// Unresolved problems.
    pub problems: u64,
    /// Unresolved conflicts.
    pub conflicts: u64,
    /// Unanswered holds.
    pub holds: u64,
}

/// How fast bytes move, measured over the last seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rates {
    /// Plaintext bytes a second to the server.
    pub up: u64,
    /// Plaintext bytes a second from the server.
    pub down: u64,
    /// Seconds until what is pending has moved at this rate; absent when nothing is pending or nothing moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the server.
    Up,
    /// From the server.
    Down,
}

/// One file in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// The file, relative to the folder.
    pub path: String,
    /// Which way.
    pub direction: Direction,
    /// Plaintext bytes moved so far.
    pub done: u64,
    /// Plaintext bytes in all.
    pub size: u64,
}

/// A folder: an element of [`crate::Status::folders`], and the payload of a status event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Its label.
    pub label: String,
    /// The directory that is kept in step.
    pub path: String,
    /// Which directions changes take.
    pub mode: FolderMode,
    /// Its state.
    pub state: FolderState,
    /// What keeps it from working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// How much there is.
    pub counts: Counts,
    /// How fast bytes move.
    pub rates: Rates,
    /// Files in flight, in path order.
    pub transfers: Vec<Transfer>,
    /// When the last cycle ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_cycle_at: Option<UnixMillis>,
    /// Cycles that ended since the daemon was started.
    pub cycles: u64,
}

/// The answer of `GET /v1/folders/{label}`: the folder, and the first [`FolderDetail::LISTED`] of what is wrong in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderDetail {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// The folder.
    pub folder: Folder,
    /// Unresolved problems, in path order.
    pub problems: Vec<Problem>,
    /// Unresolved conflicts, the oldest first.
    pub conflicts: Vec<Conflict>,
    /// Unanswered holds, the oldest first.
    pub holds: Vec<Hold>,
}

impl FolderDetail {
    /// How many problems, conflicts and holds it lists at most; the paged routes give the rest.
    pub const LISTED: usize = 100;
}

/// One thing that is not in step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file, relative to the folder; absent for the whole folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The kind, in snake case.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do now.
    pub hint: String,
}

/// One conflict that nobody has resolved yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Its number within the folder.
    pub id: u64,
    /// The file.
    pub path: String,
    /// The kind, in snake case: `both_modified`, `both_created`, `modified_here_deleted_there`,
    /// `deleted_here_modified_there`, `file_and_directory`.
    pub kind: String,
    /// The copy that holds this device's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<String>,
    /// When it was found.
    pub at: UnixMillis,
    /// Bytes of this device's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_size: Option<u64>,
    /// Bytes of the server's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_size: Option<u64>,
    /// This device's version; absent where it was deleted here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<ConflictSide>,
    /// The server's version; absent where it was deleted there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<ConflictSide>,
    /// Whether it was answered with `skip`: it stays open, and nobody need be asked again.
    #[serde(default)]
    pub skipped: bool,
}

/// One side of a conflict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictSide {
    /// Bytes.
    pub size: u64,
    /// When it was last changed here, or stored on the server; absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixMillis>,
    /// The device it comes from; absent where the server does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// Something that waits for the user's word: deletions, versions that cannot be trusted, a folder that is not where, or
/// what, it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its number within the folder.
    pub id: u64,
    /// The kind, in snake case: `mass_deletion_here`, `mass_deletion_there`, `unknown_folder`, `rollback`, `equivocation`,
    /// `root_missing`, `root_empty`, `root_replaced`.
    pub kind: String,
    /// The top-level directory it concerns; absent for the whole folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// How many files it concerns.
    pub count: u64,
    /// Of how many files.
    pub of: u64,
    /// Some of them.
    pub examples: Vec<String>,
    /// When it was found.
    pub at: UnixMillis,
}

/// A part of a list. The next part starts after [`Page::next`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// The elements, in a stable order.
    pub items: Vec<T>,
    /// What to give as `after` for the next part; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

impl<T> Page<T> {
    /// Elements in a part when the request names no `limit`.
    pub const DEFAULT: usize = 100;
    /// Elements in a part at most.
    pub const MAX: usize = 1000;
}
