//! The handle through which a running folder is watched and commanded.

use std::sync::Arc;

use bytes::Bytes;
use hcfs_fs::{Pruned, Trashed};
use hcfs_model::{RelPath, RemoteEntry, UnixNanos};
use hcfs_plan::{Plan, Resolution};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::explain::Explained;
use crate::placing::Placing;
use crate::recover::{Restored, Version};
use crate::status::{Event, EventKind, FolderStatus};

/// One conflict that nobody has resolved yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenConflict {
    /// Its number within the folder.
    pub id: u64,
    /// The file.
    pub path: RelPath,
    /// The kind, in snake case: `both_modified`, `both_created`, `modified_here_deleted_there`,
    /// `deleted_here_modified_there`, `file_and_directory`.
    pub kind: String,
    /// The copy that holds this device's version.
    pub copy: Option<RelPath>,
    /// When it was found.
    pub at: UnixNanos,
    /// This device's version; `None` where it was deleted here.
    pub local: Option<ConflictSide>,
    /// The server's version; `None` where it was deleted there.
    pub remote: Option<ConflictSide>,
    /// Whether it was answered with [`Resolution::Skip`]: it stays open, and nobody need be asked again.
    pub is_skipped: bool,
}

/// One side of a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConflictSide {
    /// Its bytes.
    pub size: u64,
    /// When it was last changed here, or stored on the server; `None` where nobody knows.
    pub at: Option<UnixNanos>,
    /// The device it comes from; `None` where the server does not say.
    pub device: Option<String>,
}

/// Something that waits for the user: deletions, versions that cannot be trusted, a folder that is not where, or what, it
/// was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenHold {
    /// Its number within the folder.
    pub id: u64,
    /// The kind, in snake case: `mass_deletion_here`, `mass_deletion_there`, `unknown_folder`, `rollback`, `equivocation`,
    /// `root_missing`, `root_empty`, `root_replaced`.
    pub kind: String,
    /// The top-level directory it concerns; `None` for the whole folder.
    pub scope: Option<String>,
    /// How many files wait.
    pub count: u64,
    /// Of how many files.
    pub of: u64,
    /// Some of them.
    pub examples: Vec<RelPath>,
    /// When it was found.
    pub at: UnixNanos,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The folder has stopped.
    #[error("the folder has stopped")]
    Stopped,
    /// No conflict or hold of that number.
    #[error("no {what} with number {id}")]
    NoSuch {
        /// `conflict` or `hold`.
        what: &'static str,
        /// The number.
        id: u64,
    },
    /// No entry of the trash has this id.
    #[error("\"{0}\" is not in the trash")]
    NotInTrash(String),
    /// The object of the command does not exist on the server.
    #[error("\"{0}\" is not on the server")]
    NotFound(RelPath),
    /// The object of the command exists already.
    #[error("\"{0}\" is on the server already")]
    Exists(RelPath),
    /// What the server, the disk or the keys refused, as a sentence and a hint.
    #[error("{message}")]
    Failed {
        /// A stable word for the kind: `offline`, `unauthorised`, `conflict`, `too_large`, `damaged`, `io`, `locked`.
        code: &'static str,
        /// What failed.
        message: String,
        /// What to do.
        hint: String,
    },
}

/// A part of the log, oldest first.
pub type LogPage = Vec<Event>;

/// What a folder can be told. Each carries where its answer goes.
pub(crate) enum Command {
    /// Look at disk and server now.
    Scan {
        full: bool,
    },
    Pause,
    Resume,
    /// One cycle, answered when it has ended.
    Sync(oneshot::Sender<Arc<FolderStatus>>),
    DryRun(oneshot::Sender<Result<Plan, CommandError>>),
    Conflicts(oneshot::Sender<Vec<OpenConflict>>),
    Holds(oneshot::Sender<Vec<OpenHold>>),
    Log {
        since: u64,
        limit: usize,
        reply: oneshot::Sender<LogPage>,
    },
    RecentLog {
        limit: usize,
        reply: oneshot::Sender<LogPage>,
    },
    Trash(oneshot::Sender<Result<Vec<Trashed>, CommandError>>),
    RestoreTrashed {
        id: String,
        reply: oneshot::Sender<Result<Restored, CommandError>>,
    },
    EmptyTrash(oneshot::Sender<Result<Pruned, CommandError>>),
    History {
        path: RelPath,
        reply: oneshot::Sender<Result<Vec<Version>, CommandError>>,
    },
    Explain {
        path: RelPath,
        reply: oneshot::Sender<Result<Explained, CommandError>>,
    },
    Resolve {
        id: u64,
        resolution: Resolution,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    SettleHold {
        id: u64,
        accept: bool,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    List {
        below: Option<RelPath>,
        reply: oneshot::Sender<Result<Vec<(RelPath, RemoteEntry)>, CommandError>>,
    },
    Read {
        path: RelPath,
        bytes: Option<std::ops::Range<u64>>,
        reply: oneshot::Sender<Result<RemoteFile, CommandError>>,
    },
    Put {
        path: RelPath,
        source: std::fs::File,
        replace: bool,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    Remove {
        path: RelPath,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    Move {
        from: RelPath,
        to: RelPath,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    /// The folder's directory, for files that come from elsewhere.
    Placing(oneshot::Sender<Placing>),
    /// Tell what others did, and look at the path.
    Note {
        kind: EventKind,
        path: Option<RelPath>,
        text: String,
    },
    Stop,
}

/// A file on the server that is being read: plaintext, verified piece by piece.
///
/// A range is authenticated by its frames; the whole file also by its salted hash, and the stream ends with an error
/// where that does not match.
pub struct RemoteFile {
    /// Plaintext bytes of the whole file.
    pub size: u64,
    /// The plaintext, in order.
    pub content: mpsc::Receiver<Result<Bytes, CommandError>>,
}

/// A running folder. [`FolderHandle::stop`] ends it and waits for the end; dropping the last handle ends it too.
#[derive(Clone)]
pub struct FolderHandle {
    pub(crate) commands: mpsc::Sender<Command>,
    pub(crate) status: watch::Receiver<Arc<FolderStatus>>,
    pub(crate) events: broadcast::Sender<Event>,
}

impl FolderHandle {
    /// The current status, and word of every later one.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Arc<FolderStatus>> {
        self.status.clone()
    }

    /// The events from now on; a reader that is too slow is told how many it lost.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Looks at disk and server now, without waiting for the answer.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn scan(&self, full: bool) -> Result<(), CommandError> {
        self.send(Command::Scan { full }).await
    }

    /// Stops moving changes until [`FolderHandle::resume`]. Staged parts stay.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn pause(&self) -> Result<(), CommandError> {
        self.send(Command::Pause).await
    }

    /// Goes on after a pause.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn resume(&self) -> Result<(), CommandError> {
        self.send(Command::Resume).await
    }

    /// Runs cycles until nothing is left to do, and gives the status at the end.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn sync(&self) -> Result<Arc<FolderStatus>, CommandError> {
        self.ask(Command::Sync).await
    }

    /// Looks at both sides and plans, but changes nothing on either.
    ///
    /// # Errors
    /// What kept it from looking.
    pub async fn dry_run(&self) -> Result<Plan, CommandError> {
        self.ask(Command::DryRun).await?
    }

    /// The unresolved conflicts.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn conflicts(&self) -> Result<Vec<OpenConflict>, CommandError> {
        self.ask(Command::Conflicts).await
    }

    /// The unanswered holds.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn holds(&self) -> Result<Vec<OpenHold>, CommandError> {
        self.ask(Command::Holds).await
    }

    /// At most `limit` lines of the log after the one with number `since`.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn log(&self, since: u64, limit: usize) -> Result<LogPage, CommandError> {
        self.ask(|reply| Command::Log { since, limit, reply }).await
    }

    /// The newest `limit` lines of the log, the oldest of them first.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn recent_log(&self, limit: usize) -> Result<LogPage, CommandError> {
        self.ask(|reply| Command::RecentLog { limit, reply }).await
    }

    /// What lies in the trash, the oldest first. Answered at once, also while files are in flight, as are the other
    /// commands about what can be had back.
    ///
    /// # Errors
    /// What the system refused.
    pub async fn trash(&self) -> Result<Vec<Trashed>, CommandError> {
        self.ask(Command::Trash).await?
    }

    /// Brings a file of the trash back under its name, or beside it where that is taken: nothing is replaced. What
    /// that makes of the folder is synced like anything a person does.
    ///
    /// # Errors
    /// [`CommandError::NotInTrash`]; what is in the way, or what the system refused.
    pub async fn restore_trashed(&self, id: String) -> Result<Restored, CommandError> {
        self.ask(|reply| Command::RestoreTrashed { id, reply }).await?
    }

    /// Removes everything in the trash for good.
    ///
    /// # Errors
    /// What the system refused; what was removed before stays removed.
    pub async fn empty_trash(&self) -> Result<Pruned, CommandError> {
        self.ask(Command::EmptyTrash).await?
    }

    /// The versions of a path that can be had here: in the folder, on the server, as a conflict copy, in the trash with
    /// the newest first.
    ///
    /// # Errors
    /// The database or the trash cannot be read.
    pub async fn history(&self, path: RelPath) -> Result<Vec<Version>, CommandError> {
        self.ask(|reply| Command::History { path, reply }).await?
    }

    /// How a path stands, and why.
    ///
    /// # Errors
    /// The database cannot be read.
    pub async fn explain(&self, path: RelPath) -> Result<Explained, CommandError> {
        self.ask(|reply| Command::Explain { path, reply }).await?
    }

    /// Resolves a conflict.
    ///
    /// # Errors
    /// No such conflict, or what kept the folder from carrying it out.
    pub async fn resolve(&self, id: u64, resolution: Resolution) -> Result<(), CommandError> {
        self.ask(|reply| Command::Resolve { id, resolution, reply }).await?
    }

    /// Lets held deletions happen (`accept`), or brings the files back on the side that lost them. Versions that
    /// contradict what was seen before are taken, or replaced by what is here. A folder the server forgot is made known
    /// to it again either way; of a lost root, what stands there now is taken as the folder either way.
    ///
    /// # Errors
    /// No such hold; a root that cannot be taken as it is.
    pub async fn settle_hold(&self, id: u64, accept: bool) -> Result<(), CommandError> {
        self.ask(|reply| Command::SettleHold { id, accept, reply }).await?
    }

    /// The files on the server, below a directory or all, in path order.
    ///
    /// # Errors
    /// What kept the folder from asking the server.
    pub async fn list(&self, below: Option<RelPath>) -> Result<Vec<(RelPath, RemoteEntry)>, CommandError> {
        self.ask(|reply| Command::List { below, reply }).await?
    }

    /// Reads a file on the server, or a range of its plaintext.
    ///
    /// # Errors
    /// No such file, or what kept it from being opened.
    pub async fn read(&self, path: RelPath, bytes: Option<std::ops::Range<u64>>) -> Result<RemoteFile, CommandError> {
        self.ask(|reply| Command::Read { path, bytes, reply }).await?
    }

    /// Sends the content of an open regular file to the server under `path`.
    ///
    /// # Errors
    /// The file exists and `replace` is false, or what kept it from being sent.
    pub async fn put(&self, path: RelPath, source: std::fs::File, replace: bool) -> Result<(), CommandError> {
        self.ask(|reply| Command::Put { path, source, replace, reply }).await?
    }

    /// Deletes a file on the server.
    ///
    /// # Errors
    /// No such file, or what kept it from being deleted.
    pub async fn remove(&self, path: RelPath) -> Result<(), CommandError> {
        self.ask(|reply| Command::Remove { path, reply }).await?
    }

    /// Renames a file on the server.
    ///
    /// # Errors
    /// No such file, the new name is taken, or what kept it from being renamed.
    pub async fn rename(&self, from: RelPath, to: RelPath) -> Result<(), CommandError> {
        self.ask(|reply| Command::Move { from, to, reply }).await?
    }

    /// The folder's directory, for files that come from elsewhere than the server.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn placing(&self) -> Result<Placing, CommandError> {
        self.ask(Command::Placing).await
    }

    /// Writes to the folder's log what was done by others than the session, and has it look at the path.
    ///
    /// # Errors
    /// [`CommandError::Stopped`].
    pub async fn note(&self, kind: EventKind, path: Option<RelPath>, text: String) -> Result<(), CommandError> {
        self.send(Command::Note { kind, path, text }).await
    }

    /// Ends the folder: transfers stop at the next frame, resume hints and the database are closed. Returns when it
    /// has ended.
    pub async fn stop(&self) {
        // An error says that it has ended already.
        let _ = self.send(Command::Stop).await;
        self.commands.closed().await;
    }

    async fn send(&self, command: Command) -> Result<(), CommandError> {
        self.commands.send(command).await.map_err(|_| CommandError::Stopped)
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply)).await?;
        answer.await.map_err(|_| CommandError::Stopped)
    }
}
