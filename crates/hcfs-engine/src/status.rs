//! What a folder says of itself.

use hcfs_model::{Problem, RelPath, UnixNanos};

/// The state of a folder, as the interface names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FolderState {
    /// Opening the database and the directory.
    Starting,
    /// Looking at the disk or the server.
    Scanning,
    /// Moving changes.
    Syncing,
    /// The three trees agree and nothing is left.
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
    /// The stable text, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
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
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// To the server.
    Up,
    /// From the server.
    Down,
}

/// One file in flight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The file.
    pub path: RelPath,
    /// Which way.
    pub direction: Direction,
    /// Plaintext bytes moved so far.
    pub done: u64,
    /// Plaintext bytes in all.
    pub size: u64,
}

/// A snapshot of a folder; a new one is made whenever something in it changes.
#[derive(Debug, Clone, PartialEq)]
pub struct FolderStatus {
    /// The state.
    pub state: FolderState,
    /// What keeps the whole folder from working, and what to do: (sentence, hint).
    pub trouble: Option<(String, String)>,
    /// Files that are in step, and their bytes.
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
    /// Files in flight, in path order.
    pub transfers: Vec<Transfer>,
    /// Bytes moved up since the folder was started.
    pub sent: u64,
    /// Bytes moved down since the folder was started.
    pub received: u64,
    /// Unresolved problems, in path order.
    pub problems: Vec<Problem>,
    /// Unresolved conflicts.
    pub conflicts: u64,
    /// Unanswered holds.
    pub holds: u64,
    /// When the last cycle ended.
    pub last_cycle: Option<UnixNanos>,
    /// Counts the cycles that ended since the folder was started.
    pub cycles: u64,
}

impl FolderStatus {
    /// The status of a folder that has just been told to start.
    #[must_use]
    pub fn starting() -> Self {
        Self {
            state: FolderState::Starting,
            trouble: None,
            synced_files: 0,
            synced_bytes: 0,
            local_files: 0,
            remote_files: 0,
            pending: 0,
            pending_up: 0,
            pending_down: 0,
            transfers: Vec::new(),
            sent: 0,
            received: 0,
            problems: Vec::new(),
            conflicts: 0,
            holds: 0,
            last_cycle: None,
            cycles: 0,
        }
    }
}

/// What happened, as the log keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// A file was sent.
    Uploaded,
    /// A file was received.
    Downloaded,
    /// A file here took the name the server gives it.
    RenamedHere,
    /// A file on the server took the name it has here.
    RenamedThere,
    /// A file here went to the trash.
    DeletedHere,
    /// A file came back from the trash.
    Restored,
    /// A file on the server was deleted.
    DeletedThere,
    /// Both sides had the same content.
    Adopted,
    /// Both sides had changed.
    Conflict,
    /// A conflict was resolved.
    Resolved,
    /// Deletions wait for the user.
    Held,
    /// A path cannot be kept in step.
    Problem,
    /// A source brought a file.
    Fetched,
    /// A source could not bring what it should.
    Source,
    /// The folder's state changed.
    State,
}

impl EventKind {
    const ALL: [Self; 15] = [
        Self::Uploaded,
        Self::Downloaded,
        Self::RenamedHere,
        Self::RenamedThere,
        Self::DeletedHere,
        Self::Restored,
        Self::DeletedThere,
        Self::Adopted,
        Self::Conflict,
        Self::Resolved,
        Self::Held,
        Self::Problem,
        Self::Fetched,
        Self::Source,
        Self::State,
    ];

    /// The kind with a stable text; [`EventKind::State`] for one that a newer program wrote.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).unwrap_or(Self::State)
    }

    /// The stable text, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uploaded => "uploaded",
            Self::Downloaded => "downloaded",
            Self::RenamedHere => "renamed_here",
            Self::RenamedThere => "renamed_there",
            Self::DeletedHere => "deleted_here",
            Self::Restored => "restored",
            Self::DeletedThere => "deleted_there",
            Self::Adopted => "adopted",
            Self::Conflict => "conflict",
            Self::Resolved => "resolved",
            Self::Held => "held",
            Self::Problem => "problem",
            Self::Fetched => "fetched",
            Self::Source => "source",
            Self::State => "state",
        }
    }
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Counts up within a folder; 0 until the log has it.
    pub id: u64,
    /// When.
    pub at: UnixNanos,
    /// What.
    pub kind: EventKind,
    /// Which file.
    pub path: Option<RelPath>,
    /// A sentence for a person.
    pub text: String,
}
