//! Requests, and the answers of the routes that do something.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Folder, FolderMode, SCHEMA};

/// The answer of a request that has nothing to tell but that it was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// [`SCHEMA`].
    pub schema: u32,
}

impl Default for Done {
    fn default() -> Self {
        Self { schema: SCHEMA }
    }
}

/// `POST /v1/unlock`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnlockRequest {
    /// The password the phrase is sealed with.
    pub password: String,
}

impl fmt::Debug for UnlockRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnlockRequest")
    }
}

/// `GET /v1/account`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The account's address; absent while it is locked and not configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// This device's name.
    pub device: String,
    /// Whether the keys are closed.
    pub locked: bool,
}

/// `POST /v1/folders`. What is not given takes the configuration's default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddFolder {
    /// The folder's name, the same on every device.
    pub label: String,
    /// The directory, absolute; it must exist.
    pub path: String,
    /// Which directions changes take.
    #[serde(default)]
    pub mode: FolderMode,
    /// gitignore patterns.
    #[serde(default)]
    pub ignore: Vec<String>,
}

/// `POST /v1/folders/{label}/move`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveRequest {
    /// The file.
    pub from: String,
    /// Its new name.
    pub to: String,
}

/// What becomes of a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolution {
    /// This device's version takes the name.
    KeepLocal,
    /// The server's version takes the name; the one here goes to the trash.
    AcceptRemote,
    /// Both stay, the one here beside the other under a name that says so.
    KeepBoth,
    /// Neither is touched.
    Skip,
}

/// `POST /v1/folders/{label}/conflicts/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolveRequest {
    /// What becomes of it.
    pub resolution: Resolution,
}

/// `POST /v1/folders/{label}/holds/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettleHoldRequest {
    /// True lets what is held happen; false brings the files back on the side that lost them.
    pub accept: bool,
}

/// The answer of `POST /v1/folders/{label}/sync`, sent when the cycle has ended or the time ran out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncReply {
    /// [`SCHEMA`].
    pub schema: u32,
    /// False when the time ran out first.
    pub ended: bool,
    /// The folder as it is now.
    pub folder: Folder,
}

/// A file on the server: one line of `GET /v1/folders/{label}/files`, which answers in JSON lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteFile {
    /// The file, relative to the folder.
    pub path: String,
    /// Plaintext bytes.
    pub size: u64,
    /// Salted hash of the content, in hexadecimal.
    pub hash: String,
    /// The file's id on the server, in hexadecimal.
    pub file_id: String,
    /// Counts the versions of the file, from 1.
    pub revision: u64,
    /// The server's name for the version, in hexadecimal.
    pub revision_id: String,
}

/// The answer of `GET /v1/folders/{label}/plan`: what a cycle would do now. Nothing is changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The actions in order, cut at the request's `limit`.
    pub actions: Vec<PlannedAction>,
    /// How many actions there are in all.
    pub total: u64,
    /// Plaintext bytes all actions would send.
    pub upload_bytes: u64,
    /// Plaintext bytes all actions would receive.
    pub download_bytes: u64,
    /// Conflicts it would find.
    pub conflicts: Vec<PlannedConflict>,
    /// Deletions it would not make without being told to.
    pub holds: Vec<PlannedHold>,
    /// Paths it would leave alone, and why.
    pub reported: Vec<Reported>,
}

impl Plan {
    /// Elements of each list when the request names no `limit`.
    pub const DEFAULT_LIMIT: usize = 1000;
    /// Elements of each list at most.
    pub const MAX_LIMIT: usize = 100_000;

    /// Whether there is nothing to do and nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0 && self.conflicts.is_empty() && self.holds.is_empty() && self.reported.is_empty()
    }
}

/// One action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedAction {
    /// What, in snake case: `adopt`, `forget`, `upload`, `download`, `rename_remote`, `rename_local`, `delete_remote`,
    /// `delete_local`, `set_aside`.
    pub kind: String,
    /// Which file.
    pub path: String,
    /// Its new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Plaintext bytes that would move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// One conflict a cycle would find.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedConflict {
    /// Which file.
    pub path: String,
    /// The kind, as in [`crate::Conflict::kind`].
    pub kind: String,
    /// What would become of it.
    pub resolution: Resolution,
    /// Where this device's version would be kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<String>,
}

/// Deletions a cycle would not make without being told to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedHold {
    /// The kind, in snake case.
    pub kind: String,
    /// How many deletions.
    pub count: u64,
    /// Of how many files.
    pub of: u64,
    /// Some of them.
    pub examples: Vec<String>,
}

/// A path a cycle would leave alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    /// Which file.
    pub path: String,
    /// Why, as a sentence.
    pub reason: String,
}
