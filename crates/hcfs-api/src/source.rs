//! What the daemon says of sources, and how they are added.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{ExitCode, UnixMillis};

/// Which service a source speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A decentralised storage: files named by their content.
    Cid,
    /// A service of customer documents: files named by an id.
    StorageFile,
    /// An organisation's files, behind links that are signed for a time.
    SignedUrl,
    /// A media downloader: a task is started, waited for and fetched.
    DownloadTask,
    /// Any address.
    Url,
}

impl SourceKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Cid, Self::StorageFile, Self::SignedUrl, Self::DownloadTask, Self::Url];

    /// The stable text, as in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cid => "cid",
            Self::StorageFile => "storage_file",
            Self::SignedUrl => "signed_url",
            Self::DownloadTask => "download_task",
            Self::Url => "url",
        }
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is brought, and from where: the keys of a `[[source]]` that differ from kind to kind. What a kind does not have
/// is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// The kind.
    pub kind: SourceKind,
    /// The service's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Where the credential is: `keyring:NAME`, `file:/PATH`, `credential:NAME` or `env:NAME`. Never the credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// What to bring: CIDs, ids or addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
    /// Bring all that the service lists.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub all: bool,
    /// `storage_file`: the customer the files belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// `storage_file`: what to ask for; `application/json` for content in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accept: Option<String>,
    /// `signed_url`: the organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// `download_task`: the quality to ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// `download_task`: how long a task may take, as `6h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
    /// `download_task`: remove the task from the service when the file is safe.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cleanup: bool,
    /// `cid`: `required`, `when-possible` or `off`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<String>,
}

impl SourceSpec {
    /// A source of a kind of which nothing more is said.
    #[must_use]
    pub fn of(kind: SourceKind) -> Self {
        Self {
            kind,
            base_url: None,
            credential: None,
            items: Vec::new(),
            all: false,
            customer_id: None,
            accept: None,
            organization: None,
            quality: None,
            deadline: None,
            cleanup: false,
            verify: None,
        }
    }
}

/// `POST /v1/sources`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddSource {
    /// Its name.
    pub name: String,
    /// What is brought, and from where.
    pub spec: SourceSpec,
    /// Where it is put: the folder's label, or that and a directory in it.
    pub into: String,
    /// How often it is looked at, as `15m` or `1d`; absent: when it is told to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
}

/// The state of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Its folder is not ready: locked, paused, halted.
    Waiting,
    /// It runs.
    Running,
    /// Nothing is left to bring.
    Idle,
    /// Some items could not be brought; they are tried again.
    Attention,
    /// The last run failed as a whole.
    Failed,
}

impl SourceState {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Idle, Self::Attention, Self::Failed];

    /// The stable text, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Idle => "idle",
            Self::Attention => "attention",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for SourceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What keeps a source from working.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceTrouble {
    /// The kind, in snake case.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do now.
    pub hint: String,
}

/// One file under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceTransfer {
    /// The item.
    pub item: String,
    /// `preparing`, `bringing` or `verifying`.
    pub stage: String,
    /// How far the service says it is with preparing, in percent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// Bytes here so far.
    pub done: u64,
    /// Bytes in all, where the service says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// The last run of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRun {
    /// When it began.
    pub began_at: UnixMillis,
    /// When it ended; absent while it runs, and where it was interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<UnixMillis>,
    /// Files it brought.
    pub brought: u64,
    /// Files that had not changed.
    pub unchanged: u64,
}

/// A source: an element of [`crate::Status::sources`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: SourceKind,
    /// Where it puts files: the folder's label, or that and a directory in it.
    pub into: String,
    /// Its state.
    pub state: SourceState,
    /// What keeps it from working as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<SourceTrouble>,
    /// Files it brought so far, and knows.
    pub files: u64,
    /// Items that could not be brought.
    pub problems: u64,
    /// Files under way.
    pub transfers: Vec<SourceTransfer>,
    /// The last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run: Option<SourceRun>,
    /// When it runs again by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<UnixMillis>,
}

impl Source {
    /// How a command that waited for its run ends.
    #[must_use]
    pub fn exit(&self) -> ExitCode {
        match (self.state, &self.trouble) {
            (SourceState::Failed, Some(trouble)) if trouble.code == "unauthorized" => ExitCode::Unauthorised,
            (SourceState::Failed, _) => ExitCode::Failed,
            (SourceState::Idle, _) => ExitCode::Done,
            _ => ExitCode::NotIdle,
        }
    }
}

/// An item that could not be brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceProblem {
    /// The item.
    pub item: String,
    /// The kind, in snake case.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do now.
    pub hint: String,
    /// When it was tried last.
    pub at: UnixMillis,
    /// When it is tried again; absent: with the next run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again_at: Option<UnixMillis>,
}

/// A file that a source brought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// The item.
    pub item: String,
    /// Where it was put, relative to the folder.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// The BLAKE3 of its content, in hexadecimal.
    pub hash: String,
    /// Whether the content was checked against its id.
    pub verified: bool,
    /// When.
    pub at: UnixMillis,
}

/// The answer of `GET /v1/sources/{name}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceDetail {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// The source.
    pub source: Source,
    /// Items that could not be brought, at most [`SourceDetail::LISTED`].
    pub problems: Vec<SourceProblem>,
}

impl SourceDetail {
    /// How many problems it lists at most; the paged route gives the rest.
    pub const LISTED: usize = 100;
}

/// The answer of `POST /v1/sources/{name}/test`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceTest {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// What was found, as sentences.
    pub found: Vec<String>,
}

/// `POST /v1/sources/{name}/run`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSource {
    /// Bring back what was deleted here: these items.
    #[serde(default)]
    pub again: Vec<String>,
    /// Bring back everything that was deleted here.
    #[serde(default)]
    pub again_all: bool,
    /// How many seconds to wait for the end; absent: until it comes.
    #[serde(default)]
    pub timeout: Option<u64>,
}

/// The answer of `POST /v1/sources/{name}/run`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReply {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// False when the time ran out first.
    pub ended: bool,
    /// The source as it is now.
    pub source: Source,
}
