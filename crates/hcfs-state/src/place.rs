//! Where a database lies.

use std::fs::OpenOptions;
use std::ops::DerefMut;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::lock::{Lock, beside};
use crate::{StateError, aside};

/// Where one database lies, held for one [`crate::Store`] until it is dropped.
pub trait Place: Send {
    /// Opens the database; an empty one where there is none.
    ///
    /// # Errors
    /// It cannot be opened or made.
    fn connect(&self) -> Result<Connected, StateError>;

    /// Moves the database out of the way, whole and unchanged, and says where to. No connection is open then.
    ///
    /// # Errors
    /// It cannot be moved.
    fn move_aside(&self) -> Result<PathBuf, StateError>;
}

/// A connection that goes back to where it came from when it is dropped.
pub type Held = Box<dyn DerefMut<Target = Connection> + Send>;

/// An open database that nothing was read of yet.
pub struct Connected {
    /// The connection.
    pub connection: Held,
    /// Whether it was not closed properly the last time.
    pub is_unclean: bool,
}

/// A file, with a lock beside it.
pub(crate) struct OnDisk {
    path: PathBuf,
    _lock: Lock,
}

impl OnDisk {
    /// Locks the database at `path`; its directory must exist.
    pub(crate) fn take(path: &Path) -> Result<Self, StateError> {
        Ok(Self { _lock: Lock::take(path)?, path: path.to_owned() })
    }
}

impl Place for OnDisk {
    fn connect(&self) -> Result<Connected, StateError> {
        let path = &self.path;
        if length(path)?.is_none_or(|length| length == 0) {
            aside::stray_companions(path)?;
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(path)
                .map_err(|source| StateError::file(path, source))?;
        }
        // A log is removed when the last connection closes properly.
        let is_unclean = length(&beside(path, "-wal"))?.is_some_and(|length| length > 0);
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // The inner box is what leads to the connection; dropped, it closes it.
        Ok(Connected { connection: Box::new(Box::new(connection)), is_unclean })
    }

    fn move_aside(&self) -> Result<PathBuf, StateError> {
        aside::move_aside(&self.path)
    }
}

/// The length of a file; `None` if there is none.
fn length(path: &Path) -> Result<Option<u64>, StateError> {
    match std::fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(StateError::file(path, source)),
    }
}
