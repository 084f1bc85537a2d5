//! The daemon's own directories, and the lock that keeps a second daemon out of them.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hcfs_api::ErrorCode;

/// Why a directory of the daemon's own, or its lock, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// It cannot be made or opened.
    #[error("cannot use \"{}\"", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Other users could put their own files there.
    #[error("the directory \"{}\" can be written by other users", .0.display())]
    Open(PathBuf),
    /// It is another user's.
    #[error("the directory \"{}\" belongs to another user", .0.display())]
    Foreign(PathBuf),
    /// Another process holds it.
    #[error("another hcfs{} holds \"{}\"", pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(), path.display())]
    Held {
        /// What is held.
        path: PathBuf,
        /// By whom, where that is known.
        pid: Option<u32>,
    },
    /// Something that is not a socket lies where the socket should be.
    #[error("\"{}\" is not a socket", .0.display())]
    NotASocket(PathBuf),
}

impl PlaceError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Io { path, .. } => format!("check that the directory of \"{}\" is yours and has space", path.display()),
            Self::Open(path) => format!("run `chmod go-w \"{}\"`, or choose a directory of your own", path.display()),
            Self::Foreign(_) => "run the program as that user, or choose a directory of your own".into(),
            Self::Held { .. } => "talk to that one with `hcfs status`, or stop it first; two may run with HCFS_CONFIG, HCFS_STATE_DIR and HCFS_SOCKET of their own".into(),
            Self::NotASocket(path) => format!("move \"{}\" away, or set HCFS_SOCKET", path.display()),
        }
    }

    /// The kind, for the exit code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorCode::Permission,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorCode::DiskFull,
                _ => ErrorCode::Io,
            },
            Self::Open(_) | Self::Foreign(_) => ErrorCode::Permission,
            Self::Held { .. } => ErrorCode::Held,
            Self::NotASocket(_) => ErrorCode::Config,
        }
    }
}

/// Makes a directory only its owner can enter. An existing one keeps its mode, but must be our own and closed to the
/// pens of others: they could replace what lies in it.
pub(crate) fn private_dir(path: &Path) -> Result<(), PlaceError> {
    let failed = |source| PlaceError::Io { path: path.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    let meta = fs::metadata(path).map_err(failed)?;
    if !meta.is_dir() {
        return Err(failed(io::Error::from(io::ErrorKind::NotADirectory)));
    }
    if meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(PlaceError::Foreign(path.to_owned()));
    }
    if meta.permissions().mode() & 0o022 != 0 {
        return Err(PlaceError::Open(path.to_owned()));
    }
    Ok(())
}

/// A file that one process holds; released by the system when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock and writes who holds it.
    pub(crate) fn take(path: &Path) -> Result<Self, PlaceError> {
        let failed = |source| PlaceError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Who holds it is a courtesy: a holder that has not written it yet is still one.
                let _ = (&mut file).take(32).read_to_string(&mut text);
                return Err(PlaceError::Held { path: path.to_owned(), pid: text.trim().parse().ok() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Keeps the process's memory, which holds keys, out of core dumps and out of the reach of other processes.
///
/// # Errors
/// What the system refuses.
pub fn harden() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_learns_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.lock");
        let first = Lock::take(&path).unwrap();
        match Lock::take(&path) {
            Err(error @ PlaceError::Held { .. }) => {
                assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
                assert_eq!(error.code().exit().number(), 7);
            }
            other => panic!("{other:?}"),
        }
        drop(first);
        Lock::take(&path).unwrap();
    }

    #[test]
    fn memory_stays_out_of_core_dumps() {
        use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};
        harden().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).maximum, Some(0));
    }

    #[test]
    fn a_directory_others_can_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("a/b");
        private_dir(&made).unwrap();
        assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(&made, fs::Permissions::from_mode(0o770)).unwrap();
        let error = private_dir(&made).unwrap_err();
        assert!(matches!(error, PlaceError::Open(_)));
        assert_eq!(error.code().exit().number(), 77);
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(private_dir(&file), Err(PlaceError::Io { .. })));
    }
}
