//! Problems: what keeps one path, or a whole folder, from being in step.

use std::fmt;

use crate::RelPath;

/// The kind of a problem; its text is stable, scripts rely on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProblemCode {
    /// A name that is not UTF-8, or breaks the rules of a relative path.
    InvalidName,
    /// Two names on disk that are equal under Unicode NFC.
    DuplicateName,
    /// A name the file system here cannot hold, or holds already in another case.
    NameNotPossible,
    /// A symbolic link; links are not followed.
    Symlink,
    /// A FIFO, socket or device.
    SpecialFile,
    /// A file or directory that may not be read.
    Unreadable,
    /// A file that may not be written, or a read-only file system.
    NotWritable,
    /// A file that changes faster than it can be read.
    KeepsChanging,
    /// Too little free space to receive a file.
    DiskFull,
    /// A file above the largest size the format can hold.
    TooLarge,
    /// A row of the listing without a path this device can open.
    Quarantined,
    /// A blob that does not open, or whose content is not what the listing promised.
    Damaged,
    /// A revision older than one already seen.
    Rollback,
    /// Another revision under a sequence number already seen.
    Equivocation,
    /// The server cannot find content its own listing names.
    RemoteMissing,
    /// The server answered with an error that does not go away.
    ServerError,
    /// A file stands where a directory is needed, or the reverse.
    PathBlocked,
    /// The watcher lost events, or has no watches left; the folder is polled.
    WatchLimit,
    /// An ignored file keeps a directory from being removed.
    IgnoredInside,
    /// Anything else the operating system refused.
    Io,
}

impl ProblemCode {
    /// The stable text, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidName => "invalid_name",
            Self::DuplicateName => "duplicate_name",
            Self::NameNotPossible => "name_not_possible",
            Self::Symlink => "symlink",
            Self::SpecialFile => "special_file",
            Self::Unreadable => "unreadable",
            Self::NotWritable => "not_writable",
            Self::KeepsChanging => "keeps_changing",
            Self::DiskFull => "disk_full",
            Self::TooLarge => "too_large",
            Self::Quarantined => "quarantined",
            Self::Damaged => "damaged",
            Self::Rollback => "rollback",
            Self::Equivocation => "equivocation",
            Self::RemoteMissing => "remote_missing",
            Self::ServerError => "server_error",
            Self::PathBlocked => "path_blocked",
            Self::WatchLimit => "watch_limit",
            Self::IgnoredInside => "ignored_inside",
            Self::Io => "io",
        }
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that is not in step, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The path it concerns; `None` for the whole folder.
    pub path: Option<RelPath>,
    /// Its kind.
    pub code: ProblemCode,
    /// What is wrong, as a sentence that names the object.
    pub message: String,
    /// What to do now.
    pub hint: String,
}
