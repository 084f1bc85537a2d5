//! The data directory: where its parts lie, and the lock that keeps a second server out.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::ServerError;

/// The database's path in a data directory.
pub(crate) fn database(data: &Path) -> PathBuf {
    data.join("metadata.sqlite3")
}

/// The blob directory's path in a data directory.
pub(crate) fn blobs(data: &Path) -> PathBuf {
    data.join("blobs")
}

/// Makes the data directory, readable by its owner alone, and its name durable.
///
/// # Errors
/// What the operating system refused.
pub(crate) fn create(data: &Path) -> Result<(), ServerError> {
    let failed = |source| ServerError::Data { path: data.to_owned(), source };
    if data.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(failed)?;
    match data.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => sync_directory(parent).map_err(failed),
        None => Ok(()),
    }
}

/// The right to serve one data directory; given back when dropped, or when the process ends however it ends.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, never read: closing the file gives the lock back")] File);

impl Lock {
    /// Takes the lock without waiting.
    ///
    /// # Errors
    /// [`ServerError::InUse`] when another server holds it.
    pub(crate) fn take(data: &Path) -> Result<Self, ServerError> {
        let path = data.join("lock");
        let failed = |source| ServerError::Data { path: path.clone(), source };
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(fs::TryLockError::WouldBlock) => Err(ServerError::InUse { path: data.to_owned() }),
            Err(fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// Makes a directory's entries durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
