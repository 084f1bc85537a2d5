//! What a plan says: stages of actions, conflicts, holds and reports.

use std::fmt;

use hcfs_model::{LocalEntry, RelPath, RemoteEntry};

use crate::Resolution;

/// What an upload or a remote rename expects to find on the server at the path it starts from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Nothing: the file is new there.
    New,
    /// This version.
    At(RemoteEntry),
    /// The version made by the rename of this path earlier in the plan; its revision is known once that is done.
    AfterRename(RelPath),
}

/// One step. It carries the entries it was decided on, so that whoever runs it can refuse when they changed.
///
/// A local rename or set-aside moves a file whose fingerprint is known; file systems change its ctime by that, so
/// guards compare size, mtime and inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Both sides hold the same content: record it as synced. Moves no bytes.
    Adopt {
        /// Where.
        path: RelPath,
        /// The file here.
        local: LocalEntry,
        /// The version there.
        remote: RemoteEntry,
    },
    /// Drop the synced row. Moves no bytes, removes no file.
    Forget {
        /// Where.
        path: RelPath,
    },
    /// Keep a local file under another name in this folder, so that the path is free. Never replaces a file.
    SetAside {
        /// Where it is.
        path: RelPath,
        /// The name of the copy.
        to: RelPath,
        /// The file.
        local: LocalEntry,
    },
    /// Move a row on the server. Afterwards the synced row of `from` is gone; if a local file lies at `to`, `to` is
    /// synced with the moved version (and an [`Action::Upload`] after [`Base::AfterRename`] follows if it was edited).
    RenameRemote {
        /// The row.
        from: RelPath,
        /// Its new path, free at that moment.
        to: RelPath,
        /// The version at `from`.
        base: Base,
    },
    /// Move a file on disk to follow a rename on the server, making parents and never replacing a file. Afterwards the
    /// synced row of `from` is gone, and `to` is synced with `remote`.
    RenameLocal {
        /// The file.
        from: RelPath,
        /// Its new path, free at that moment.
        to: RelPath,
        /// The file.
        local: LocalEntry,
        /// The version at `to`; `None` when `to` is a temporary name.
        remote: Option<RemoteEntry>,
    },
    /// Send a file.
    Upload {
        /// Where.
        path: RelPath,
        /// The content to send. Its disk path is the row's; after [`Action::SetAside`] it is that of the copy.
        local: LocalEntry,
        /// What it replaces.
        base: Base,
    },
    /// Receive a file.
    Download {
        /// Where.
        path: RelPath,
        /// The version to receive.
        remote: RemoteEntry,
        /// The file it replaces, which goes to the trash; `None` where there must be none.
        replaces: Option<LocalEntry>,
    },
    /// Delete a row on the server, if it still is this version.
    DeleteRemote {
        /// Where.
        path: RelPath,
        /// The version.
        remote: RemoteEntry,
    },
    /// Move a file to the trash, if it still is this one.
    DeleteLocal {
        /// Where.
        path: RelPath,
        /// The file.
        local: LocalEntry,
    },
}

impl Action {
    /// Which action, as a stable text in snake case.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Adopt { .. } => "adopt",
            Self::Forget { .. } => "forget",
            Self::SetAside { .. } => "set_aside",
            Self::RenameRemote { .. } => "rename_remote",
            Self::RenameLocal { .. } => "rename_local",
            Self::Upload { .. } => "upload",
            Self::Download { .. } => "download",
            Self::DeleteRemote { .. } => "delete_remote",
            Self::DeleteLocal { .. } => "delete_local",
        }
    }

    /// Where it starts.
    #[must_use]
    pub fn path(&self) -> &RelPath {
        match self {
            Self::RenameRemote { from, .. } | Self::RenameLocal { from, .. } => from,
            Self::Adopt { path, .. }
            | Self::Forget { path }
            | Self::SetAside { path, .. }
            | Self::Upload { path, .. }
            | Self::Download { path, .. }
            | Self::DeleteRemote { path, .. }
            | Self::DeleteLocal { path, .. } => path,
        }
    }

    /// The other name, of those that move something.
    #[must_use]
    pub fn to(&self) -> Option<&RelPath> {
        match self {
            Self::SetAside { to, .. } | Self::RenameRemote { to, .. } | Self::RenameLocal { to, .. } => Some(to),
            _ => None,
        }
    }
}

/// What the actions of a stage have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StageKind {
    /// [`Action::Adopt`] and [`Action::Forget`].
    Settle,
    /// [`Action::SetAside`], and deletions of a file where a directory is to be, or the reverse.
    Clear,
    /// [`Action::RenameRemote`], in the order they must happen.
    RenameRemote,
    /// [`Action::RenameLocal`], in the order they must happen.
    RenameLocal,
    /// [`Action::Upload`] and [`Action::Download`].
    Transfer,
    /// [`Action::DeleteRemote`] and [`Action::DeleteLocal`].
    Delete,
}

impl StageKind {
    /// Whether the actions of the stage must happen in the order they stand in; others may happen in any order, or at
    /// the same time.
    #[must_use]
    pub fn is_ordered(self) -> bool {
        matches!(self, Self::RenameRemote | Self::RenameLocal)
    }
}

/// Actions of one kind; a stage starts when the one before it has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Which.
    pub kind: StageKind,
    /// At least one.
    pub actions: Vec<Action>,
}

/// What collided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictKind {
    /// Both sides changed the content.
    BothModified,
    /// Changed here, deleted there.
    ModifiedHereDeletedThere,
    /// Deleted here, changed there.
    DeletedHereModifiedThere,
    /// Both sides made a file, with different contents.
    BothCreated,
    /// A file stands where the other side has a directory; the directory keeps the name.
    FileAndDirectory,
}

/// A conflict, and how this plan ends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Where.
    pub path: RelPath,
    /// What collided.
    pub kind: ConflictKind,
    /// The file here.
    pub local: Option<LocalEntry>,
    /// The version there.
    pub remote: Option<RemoteEntry>,
    /// What this plan does; [`Resolution::Skip`] leaves the conflict open, and the path is then in no action.
    pub resolution: Resolution,
    /// Where the local content is kept (for a file in a directory's way, where the file is kept).
    pub copy: Option<RelPath>,
}

/// Why deletions wait.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldKind {
    /// Many files vanished on disk.
    MassDeletionHere {
        /// The top-level directory that vanished whole; `None` for the folder.
        top: Option<String>,
    },
    /// Many files vanished on the server.
    MassDeletionThere {
        /// The top-level directory that vanished whole; `None` for the folder.
        top: Option<String>,
    },
}

/// Deletions that wait for the user; they are in no stage, and everything else goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Why, and the name under which the user accepts or restores it.
    pub kind: HoldKind,
    /// How many deletions wait.
    pub count: u64,
    /// Of how many synced files, in the folder or the top-level directory.
    pub of: u64,
    /// The first of them, at most [`Hold::EXAMPLES`].
    pub examples: Vec<RelPath>,
}

impl Hold {
    /// How many paths a hold names.
    pub const EXAMPLES: usize = 10;
}

/// Why nothing is done about a path that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The path, or a directory above it, is in [`crate::Context::blocked`].
    Blocked,
    /// Nobody could look whether a file is there.
    Unreadable,
    /// It would be a deletion, and one side has not been seen in full yet.
    AwaitsBaseline,
    /// A file or directory that cannot be moved now has the place.
    InTheWay {
        /// Which.
        by: RelPath,
    },
    /// Changed on the server only, and the folder only sends.
    DiffersThere,
    /// Changed here only, and the folder only receives.
    DiffersHere,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocked => f.write_str("it, or a directory above it, has a problem"),
            Self::Unreadable => f.write_str("nobody could look whether a file is there"),
            Self::AwaitsBaseline => f.write_str("it would be a deletion, and one side has not been seen in full yet"),
            Self::InTheWay { by } => write!(f, "\"{by}\" has the place and cannot be moved now"),
            Self::DiffersThere => f.write_str("it changed on the server only, and the folder only sends"),
            Self::DiffersHere => f.write_str("it changed here only, and the folder only receives"),
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The stages that have actions, in the order of [`StageKind`].
    pub stages: Vec<Stage>,
    /// What collided, in path order.
    pub conflicts: Vec<Conflict>,
    /// Deletions that wait for the user.
    pub holds: Vec<Hold>,
    /// Paths that differ and are left alone, in path order.
    pub reported: Vec<(RelPath, Reason)>,
}

impl Plan {
    /// Whether nothing is to be done; conflicts, holds and reports may still be open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Whether the trees agree: nothing to do, and nothing open.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.stages.is_empty() && self.conflicts.is_empty() && self.holds.is_empty() && self.reported.is_empty()
    }

    /// All actions, in order.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.stages.iter().flat_map(|stage| &stage.actions)
    }
}

/// The plan leaves out paths that differ. This is a defect of the planner; nothing of such a plan may run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the plan decides nothing about {} differing paths, the first is {:?}", .paths.len(), .paths.first())]
pub struct Incomplete {
    /// Those paths.
    pub paths: Vec<RelPath>,
}
