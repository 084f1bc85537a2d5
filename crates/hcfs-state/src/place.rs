//! Where a database lies.

use std::fs::OpenOptions;
use std::ops::DerefMut;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::lock::{Lock, beside};
use crate::{StateError, aside};

/// Where one database lies, held for one [`crate::Store`] until it is dropped.
pub trait Place: Send {
    /// Opens the database; an empty one where there is none. The log of one that was not closed properly is kept until
    /// [`Place::keep_log`] says otherwise.
    ///
    /// # Errors
    /// It cannot be opened or made.
    fn connect(&self) -> Result<Connected, StateError>;

    /// Says whether closing the connection leaves the log as it is (`keep`), instead of bringing it into the database.
    /// Nothing happens where there is no log.
    ///
    /// # Errors
    /// The connection refuses it.
    fn keep_log(&self, _connection: &Connection, _keep: bool) -> Result<(), StateError> {
        Ok(())
    }

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
        // Nothing is known yet of what an unclean one holds.
        self.keep_log(&connection, is_unclean)?;
        // With the lock file nobody else has business here; exclusive mode needs no shared memory file either.
        connection.pragma_update_and_check(None, "locking_mode", "exclusive", |_| Ok(()))?;
        connection.pragma_update(None, "cell_size_check", true)?;
        // The inner box is what leads to the connection; dropped, it closes it.
        Ok(Connected { connection: Box::new(Box::new(connection)), is_unclean })
    }

    fn keep_log(&self, connection: &Connection, keep: bool) -> Result<(), StateError> {
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)?;
        Ok(())
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
