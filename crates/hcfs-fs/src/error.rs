//! What can go wrong with a folder, and with one path in it.

use std::io;
use std::path::PathBuf;

use hcfs_model::{Problem, ProblemCode, RelPath};

use crate::disk::Refusal;

/// Why a folder cannot be opened, or is no longer the folder it was. The whole folder halts; nothing is deleted.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// Nothing at the path.
    #[error("\"{}\" does not exist", path.display())]
    Missing {
        /// The root.
        path: PathBuf,
    },
    /// A file where the folder should be.
    #[error("\"{}\" is not a directory", path.display())]
    NotADirectory {
        /// The root.
        path: PathBuf,
    },
    /// The folder may not be read.
    #[error("\"{}\" cannot be read", path.display())]
    NotReadable {
        /// The root.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The folder's own state cannot be written.
    #[error("\"{}\" cannot be written", path.display())]
    NotWritable {
        /// The root.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another synced folder lies above or below this one, or is the same.
    #[error("\"{}\" overlaps the synced folder \"{}\"", path.display(), other.display())]
    InsideAnother {
        /// The root.
        path: PathBuf,
        /// The other folder.
        other: PathBuf,
    },
    /// Another process has the folder.
    #[error("\"{}\" is held by another instance ({})", path.display(), holder(*.pid))]
    HeldBy {
        /// The root.
        path: PathBuf,
        /// The process, where its id could be read.
        pid: Option<u32>,
    },
    /// The folder was synced before, and is now an empty directory without a marker.
    #[error("\"{}\" is empty, and it was not before", path.display())]
    NotMounted {
        /// The root.
        path: PathBuf,
    },
    /// The folder was synced before, and its marker is gone.
    #[error("\"{}\" has lost its marker", path.display())]
    MarkerMissing {
        /// The root.
        path: PathBuf,
    },
    /// The marker is not one this program wrote.
    #[error("the marker of \"{}\" cannot be understood", path.display())]
    MarkerDamaged {
        /// The root.
        path: PathBuf,
    },
    /// Another directory, or another folder's marker, stands at the path.
    #[error("\"{}\" is not the directory that was synced: another {} stands there", path.display(), difference.as_str())]
    Replaced {
        /// The root.
        path: PathBuf,
        /// What differs.
        difference: Difference,
    },
    /// Anything else the system refused.
    #[error("cannot {doing} in \"{}\"", path.display())]
    Io {
        /// The root.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// In what a root differs from the one that was synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// The folder id in the marker.
    Marker,
    /// The directory: another inode.
    Directory,
    /// The file system, while the folder was open: something was mounted over it.
    FileSystem,
}

impl Difference {
    fn as_str(self) -> &'static str {
        match self {
            Self::Marker => "folder's marker",
            Self::Directory => "directory",
            Self::FileSystem => "file system",
        }
    }
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "process unknown".to_owned(), |pid| format!("process {pid}"))
}

impl RootError {
    /// What to do now.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Missing { .. } => "create the directory, mount its file system, or correct the path".into(),
            Self::NotADirectory { .. } => "name a directory".into(),
            Self::NotReadable { .. } => "allow this user to read the directory".into(),
            Self::NotWritable { .. } => {
                "allow this user to write to the directory; it keeps its state in .hcfs/".into()
            }
            Self::InsideAnother { .. } => "folders may not lie in one another: choose another directory".into(),
            Self::HeldBy { pid: Some(pid), .. } => format!("stop process {pid}, or let it do the work"),
            Self::HeldBy { pid: None, .. } => "stop the other instance, or let it do the work".into(),
            Self::NotMounted { .. } => {
                "is its file system mounted? If it was emptied on purpose, remove the folder and add it again".into()
            }
            Self::MarkerMissing { .. } | Self::MarkerDamaged { .. } => {
                "restore .hcfs/marker, or remove the folder and add it again: equal files are then adopted".into()
            }
            Self::Replaced { .. } => {
                "put the old directory back, or remove the folder and add it again: equal files are then adopted".into()
            }
            Self::Io { .. } => "see the system's log for the device".into(),
        }
    }

    /// What it means that the root could not be opened or looked at.
    pub(crate) fn opening(root: &std::path::Path, source: io::Error) -> Self {
        let path = root.to_path_buf();
        match Refusal::of(&source) {
            Refusal::NotFound => Self::Missing { path },
            Refusal::NotADirectory => Self::NotADirectory { path },
            _ => Self::io(root, "look", source),
        }
    }

    pub(crate) fn io(path: &std::path::Path, doing: &'static str, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match Refusal::of(&source) {
            Refusal::ReadOnly => Self::NotWritable { path, source },
            Refusal::Denied => Self::NotReadable { path, source },
            _ => Self::Io { path, doing, source },
        }
    }
}

/// What stands in the way of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// A directory where a file is needed.
    Directory,
    /// A file where a directory is needed.
    File,
    /// A symbolic link.
    Symlink,
    /// A FIFO, socket or device.
    Special,
    /// Two names that are equal under Unicode NFC.
    TwoNames,
}

impl Obstacle {
    fn as_str(self) -> &'static str {
        match self {
            Self::Directory => "a directory",
            Self::File => "a file",
            Self::Symlink => "a symbolic link",
            Self::Special => "a special file",
            Self::TwoNames => "a second name that differs only in its Unicode form",
        }
    }
}

/// Why one path could not be read, staged or changed. The user's bytes are where they were, or in the trash.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The path is not what the plan was made on: look again and plan again.
    #[error("\"{path}\" has changed meanwhile")]
    Changed {
        /// The path.
        path: RelPath,
    },
    /// Something else stands in the way, at the path or above it.
    #[error("{} is in the way of \"{path}\" at \"{at}\"", by.as_str())]
    Blocked {
        /// The path.
        path: RelPath,
        /// What stands there.
        by: Obstacle,
        /// Where it stands.
        at: String,
    },
    /// This file system cannot hold the name, or holds it already in another case.
    #[error("\"{path}\" cannot exist here: {reason}")]
    NameNotPossible {
        /// The path.
        path: RelPath,
        /// Why.
        reason: String,
    },
    /// Too little free space.
    #[error("{object} needs {needed} bytes, and {free} are free besides the reserve")]
    NoSpace {
        /// What needs the room.
        object: String,
        /// Bytes needed; 0 where the system only said that it is full.
        needed: u64,
        /// Bytes free above the reserve.
        free: u64,
    },
    /// The user's quota is used up.
    #[error("{object} goes over the quota of the file system")]
    Quota {
        /// What was written.
        object: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file system is read-only.
    #[error("{object} cannot be written: the file system is read-only")]
    ReadOnly {
        /// What was written.
        object: String,
        /// What the system said.
        source: io::Error,
    },
    /// Permission, owner or an immutable flag.
    #[error("{object} may not be accessed")]
    Denied {
        /// What was accessed.
        object: String,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file system can neither rename without replacing, nor make hard links.
    #[error("{object} cannot be put in place: the file system cannot rename without replacing")]
    Unsupported {
        /// What was placed.
        object: String,
        /// What the system said.
        source: io::Error,
    },
    /// Another file system is mounted below the root: nothing can be moved onto it in one step.
    #[error("\"{path}\" lies on another file system than the folder's root")]
    OtherFileSystem {
        /// The path.
        path: RelPath,
    },
    /// No entry of the trash has this id.
    #[error("\"{id}\" is not in the trash")]
    NotInTrash {
        /// The id asked for.
        id: String,
    },
    /// Anything else the system refused.
    #[error("cannot {doing} {object}")]
    Io {
        /// What it was done to.
        object: String,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ApplyError {
    pub(crate) fn io(object: impl Into<String>, doing: &'static str, source: io::Error) -> Self {
        let object = object.into();
        match Refusal::of(&source) {
            Refusal::NoSpace => Self::NoSpace { object, needed: 0, free: 0 },
            Refusal::Quota => Self::Quota { object, source },
            Refusal::ReadOnly => Self::ReadOnly { object, source },
            Refusal::Denied => Self::Denied { object, doing, source },
            _ => Self::Io { object, doing, source },
        }
    }

    /// As [`ApplyError::io`], for an operation on the name `path` itself.
    pub(crate) fn at(path: &RelPath, doing: &'static str, source: io::Error) -> Self {
        let blocked = |by| Self::Blocked { path: path.clone(), by, at: path.to_string() };
        match Refusal::of(&source) {
            Refusal::Symlink => blocked(Obstacle::Symlink),
            Refusal::IsADirectory => blocked(Obstacle::Directory),
            Refusal::NotADirectory => blocked(Obstacle::File),
            Refusal::NotFound | Refusal::Exists => Self::Changed { path: path.clone() },
            Refusal::Name => Self::NameNotPossible {
                path: path.clone(),
                reason: "the name is too long or has characters this file system does not hold".into(),
            },
            Refusal::Unsupported => Self::Unsupported { object: quoted(path), source },
            Refusal::OtherFileSystem => Self::OtherFileSystem { path: path.clone() },
            _ => Self::io(quoted(path), doing, source),
        }
    }

    /// What to do now.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Changed { .. } => "nothing: it is looked at again",
            Self::Blocked { by: Obstacle::Directory, .. } => "move the directory away or rename it",
            Self::Blocked { by: Obstacle::File, .. } => "move the file away or rename it",
            Self::Blocked { by: Obstacle::Symlink, .. } => "links are not followed: replace it by what it points to",
            Self::Blocked { by: Obstacle::Special, .. } => "move the special file away",
            Self::Blocked { by: Obstacle::TwoNames, .. } => "rename one of the two",
            Self::NameNotPossible { .. } => "rename the file on another device",
            Self::NoSpace { .. } => "free some space; it goes on by itself",
            Self::Quota { .. } => "free some space or raise the quota; it goes on by itself",
            Self::ReadOnly { .. } => "mount the file system writable; it goes on by itself",
            Self::Denied { .. } => "correct owner and permissions; it goes on by itself",
            Self::Unsupported { .. } => "keep the folder on another file system",
            Self::OtherFileSystem { .. } => "make what is mounted there a folder of its own, and ignore it here",
            Self::NotInTrash { .. } => "list the trash",
            Self::Io { .. } => "see the system's log for the device",
        }
    }

    /// The kind of problem this is.
    #[must_use]
    pub fn code(&self) -> ProblemCode {
        match self {
            Self::Changed { .. } => ProblemCode::KeepsChanging,
            Self::Blocked { by: Obstacle::Directory | Obstacle::File, .. } => ProblemCode::PathBlocked,
            Self::Blocked { by: Obstacle::Symlink, .. } => ProblemCode::Symlink,
            Self::Blocked { by: Obstacle::Special, .. } => ProblemCode::SpecialFile,
            Self::Blocked { by: Obstacle::TwoNames, .. } => ProblemCode::DuplicateName,
            Self::NameNotPossible { .. } => ProblemCode::NameNotPossible,
            Self::NoSpace { .. } | Self::Quota { .. } => ProblemCode::DiskFull,
            Self::Denied { doing: "open", .. } => ProblemCode::Unreadable,
            Self::ReadOnly { .. } | Self::Denied { .. } | Self::Unsupported { .. } | Self::OtherFileSystem { .. } => {
                ProblemCode::NotWritable
            }
            Self::NotInTrash { .. } | Self::Io { .. } => ProblemCode::Io,
        }
    }

    /// This error as a problem of `path`.
    #[must_use]
    pub fn problem(&self, path: &RelPath) -> Problem {
        Problem { path: Some(path.clone()), code: self.code(), message: self.to_string(), hint: self.hint().to_owned() }
    }
}

/// A path as an object of a message.
pub(crate) fn quoted(path: &RelPath) -> String {
    format!("\"{path}\"")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_stands_in_the_way_is_told_by_the_refusal() {
        let path = RelPath::new("d/a").unwrap();
        for (errno, obstacle, hint) in [
            (Errno::LOOP, Obstacle::Symlink, "links are not followed: replace it by what it points to"),
            (Errno::ISDIR, Obstacle::Directory, "move the directory away or rename it"),
            (Errno::NOTDIR, Obstacle::File, "move the file away or rename it"),
        ] {
            let error = ApplyError::at(&path, "look at", errno.into());
            assert_eq!(error.hint(), hint);
            match error {
                ApplyError::Blocked { by, at, .. } => assert_eq!((by, at.as_str()), (obstacle, "d/a")),
                other => panic!("{other:?}"),
            }
        }
        let root = |errno: Errno| RootError::io(Path::new("root"), "read", errno.into());
        assert!(matches!(root(Errno::ROFS), RootError::NotWritable { .. }));
        assert!(matches!(root(Errno::ACCESS), RootError::NotReadable { .. }));
        assert!(matches!(root(Errno::IO), RootError::Io { .. }));
    }

    #[test]
    fn each_obstacle_difference_and_holder_has_its_words() {
        use Obstacle::{Directory, File, Special, Symlink, TwoNames};
        let mut words: Vec<&str> = [Directory, File, Symlink, Special, TwoNames].map(Obstacle::as_str).into();
        words.extend([Difference::Marker, Difference::Directory, Difference::FileSystem].map(Difference::as_str));
        assert!(words.iter().all(|word| word.len() > 5), "{words:?}");
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), 8, "{words:?}");
        let held = |pid| RootError::HeldBy { path: PathBuf::from("root"), pid }.to_string();
        assert!(held(Some(7)).ends_with("(process 7)") && held(None).ends_with("(process unknown)"));
    }
}
