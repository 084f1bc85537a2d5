//! The types of the local socket: what the daemon answers and what its clients send.
//!
//! Every answer carries [`SCHEMA`]; fields may be added under the same number, and a reader ignores fields it does not
//! know. A field that changes its meaning or goes away raises the number. Moments are [`UnixMillis`], sizes are bytes,
//! rates are bytes a second. Exit codes and statuses of errors are decided here and nowhere else.
//!
//! `API.md` describes them for clients in any language; a test holds it against these types.
//!
//! Deliberately absent: sockets, HTTP, and any knowledge of how the daemon comes by its answers.

mod check;
mod error;
mod event;
mod exit;
mod folder;
mod operation;
mod page;
mod paths;
pub mod quantity;
mod recovery;
pub mod routes;
mod source;
mod status;

pub use check::{Check, Checkup, ServerTest, Verdict};
pub use error::{ApiError, ErrorBody, ErrorCode};
pub use event::{LogEvent, Lost, StreamEvent};
pub use exit::ExitCode;
pub use folder::{
    Conflict, ConflictSide, Counts, Direction, Folder, FolderDetail, FolderMode, FolderState, Hold, Page, Problem,
    Rates, Transfer, Trouble,
};
pub use operation::{
    Account, AddFolder, Done, MoveRequest, Plan, PlannedAction, PlannedConflict, PlannedHold, RemoteFile, Reported,
    Resolution, ResolveRequest, SettleHoldRequest, SyncReply, UnlockRequest,
};
pub use page::{Limits, PageLink};
pub use paths::{Paths, PathsError};
pub use recovery::{Emptied, Explanation, History, LocalVersion, RemoteVersion, Restored, TrashedFile, Version};
pub use source::{
    AddSource, RunReply, RunSource, Source, SourceDetail, SourceFile, SourceKind, SourceProblem, SourceRun, SourceSpec,
    SourceState, SourceTest, SourceTransfer, SourceTrouble,
};
pub use status::{DaemonStatus, ServerStatus, Status, Totals};

/// The number of the schema every answer carries.
pub const SCHEMA: u32 = 1;

/// A moment: milliseconds since 1970 in UTC.
pub type UnixMillis = i64;
