//! What can be had back, and why a path stands as it does: the trash, the history of a path, its explanation.

use serde::{Deserialize, Serialize};

use crate::{Conflict, Hold, Problem, UnixMillis};

/// A file in the trash: an element of `GET /v1/folders/{label}/trash`, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrashedFile {
    /// What `POST …/trash/{id}/restore` takes.
    pub id: String,
    /// Where it was, relative to the folder.
    pub path: String,
    /// When it went there.
    pub at: UnixMillis,
    /// Its bytes.
    pub size: u64,
}

/// The answer of `POST /v1/folders/{label}/trash/{id}/restore`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// Where the file is now: where it was, or beside that where the name is taken. Nothing is ever replaced.
    pub path: String,
    /// Whether its name was taken.
    pub beside: bool,
}

/// The answer of `DELETE /v1/folders/{label}/trash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emptied {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// How many files are gone for good.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The answer of `GET /v1/folders/{label}/history`: the versions of a path that can be had on this device, the newest
/// first; those without a time stand before the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// The file.
    pub path: String,
    /// Its versions.
    pub versions: Vec<Version>,
}

/// One version of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Where it is: `here`, `server`, `synced` (the last version both sides agreed on, where it is neither of the two),
    /// `conflict_copy`, `trash`.
    pub place: String,
    /// Its name in the folder, which for a conflict copy is another one.
    pub path: String,
    /// When it was last changed here, or went to the trash; absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<UnixMillis>,
    /// Its bytes.
    pub size: u64,
    /// The server's count of the file's versions, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
    /// In the trash: what restores it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trash_id: Option<String>,
}

/// The answer of `GET /v1/folders/{label}/explain`: how a path stands, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// The path.
    pub path: String,
    /// One of `synced`, `ignored`, `waiting`, `moving`, `conflict`, `held`, `problem`, `left_alone`, `directory`, `absent`.
    pub state: String,
    /// Why, as a sentence.
    pub reason: String,
    /// What to do now; empty where nothing is.
    pub hint: String,
    /// What the next cycle does with it, as [`crate::PlannedAction::kind`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The file here, as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<LocalVersion>,
    /// The file on the server, as last listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<RemoteVersion>,
    /// What both sides last agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synced: Option<RemoteVersion>,
    /// What is wrong with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// Its conflict that nobody has resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Conflict>,
    /// The hold that keeps it as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
}

/// A file here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalVersion {
    /// Its bytes.
    pub size: u64,
    /// Its time of modification.
    pub modified_at: UnixMillis,
    /// Salted hash of the content, in hexadecimal.
    pub hash: String,
}

/// A version on the server, now or when both sides agreed on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteVersion {
    /// Its bytes.
    pub size: u64,
    /// Salted hash of the content, in hexadecimal.
    pub hash: String,
    /// Counts the versions of the file, from 1.
    pub revision: u64,
    /// The server's name for the version, in hexadecimal.
    pub revision_id: String,
}
