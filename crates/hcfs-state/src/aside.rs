//! Moving a damaged database out of the way, whole and unchanged, for whoever wants to look at it.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::StateError;
use crate::lock::beside;

/// The files SQLite keeps beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Renames the database at `path` and its companions to `<name>.corrupt-<n>…`, n being the first free number.
///
/// The database goes first: should the process end in between, [`stray_companions`] moves the rest at the next start,
/// whereas a database that lost its log would look sound.
pub(crate) fn move_aside(path: &Path) -> Result<PathBuf, StateError> {
    let target = free_name(path)?;
    std::fs::rename(path, &target).map_err(|source| StateError::file(path, source))?;
    move_companions(path, &target)?;
    sync_directory(path)?;
    Ok(target)
}

/// Moves companions whose database is gone: the fresh one must not read a log that is not its own.
pub(crate) fn stray_companions(path: &Path) -> Result<(), StateError> {
    if COMPANIONS.iter().any(|suffix| beside(path, suffix).exists()) {
        let target = free_name(path)?;
        move_companions(path, &target)?;
        sync_directory(path)?;
    }
    Ok(())
}

fn move_companions(path: &Path, target: &Path) -> Result<(), StateError> {
    for suffix in COMPANIONS {
        let from = beside(path, suffix);
        match std::fs::rename(&from, beside(target, suffix)) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(StateError::file(&from, source));
            }
            _ => {}
        }
    }
    Ok(())
}

fn free_name(path: &Path) -> Result<PathBuf, StateError> {
    (1_u32..)
        .map(|n| beside(path, &format!(".corrupt-{n}")))
        .find(|name| !name.exists() && COMPANIONS.iter().all(|suffix| !beside(name, suffix).exists()))
        .ok_or_else(|| StateError::file(path, std::io::ErrorKind::AlreadyExists.into()))
}

fn sync_directory(path: &Path) -> Result<(), StateError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory).and_then(|file| file.sync_all()).map_err(|source| StateError::file(directory, source))
}
