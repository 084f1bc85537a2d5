//! One process per database: an exclusive lock on a file beside it.
//!
//! The file stays when the lock is released; removing it would let two processes lock two files of the same name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::StateError;

/// A held lock; released when dropped.
pub(crate) struct Lock {
    _file: File,
}

/// The name beside `path` with `suffix` added to it.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

impl Lock {
    /// Locks the database at `path`, and writes this process's id into the lock file.
    pub(crate) fn take(path: &Path) -> Result<Self, StateError> {
        let name = beside(path, ".lock");
        let fail = |source| StateError::file(&name, source);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&name)
            .map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::Held { pid: holder(&mut file) }),
            Err(TryLockError::Error(source)) => return Err(fail(source)),
        }
        file.set_len(0).map_err(fail)?;
        file.write_all(format!("{}\n", std::process::id()).as_bytes()).map_err(fail)?;
        Ok(Self { _file: file })
    }
}

/// The process id in a lock file; `None` while its holder has not written it yet.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
