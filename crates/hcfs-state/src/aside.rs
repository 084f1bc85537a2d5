//! Moving a damaged database out of the way, whole and unchanged, for whoever wants to look at it.
//!
//! Only the newest [`KEPT`] are kept: a device that damages one after the other must not fill the disk with them, and
//! nothing of a person's is in them that is not in the folder or on the server.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::StateError;
use crate::lock::beside;

/// The files SQLite keeps beside a database.
const COMPANIONS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// What stands between the database's name and the number.
const ASIDE: &str = ".corrupt-";
/// How many damaged databases are kept.
const KEPT: usize = 3;

/// Renames the database at `path` and its companions to `<name>.corrupt-<n>…`, n being higher than any before.
///
/// The database goes first: should the process end in between, [`stray_companions`] moves the rest at the next start,
/// whereas a database that lost its log would look sound.
pub(crate) fn move_aside(path: &Path) -> Result<PathBuf, StateError> {
    let target = free_name(path)?;
    std::fs::rename(path, &target).map_err(|source| StateError::file(path, source))?;
    move_companions(path, &target)?;
    remove_old(path);
    sync_directory(path)?;
    Ok(target)
}

/// Moves companions whose database is gone: the fresh one must not read a log that is not its own.
pub(crate) fn stray_companions(path: &Path) -> Result<(), StateError> {
    if COMPANIONS.iter().any(|suffix| beside(path, suffix).exists()) {
        let target = free_name(path)?;
        move_companions(path, &target)?;
        remove_old(path);
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

/// The numbers of the damaged databases, and of companions without one, that were moved aside before.
fn numbers(path: &Path) -> BTreeSet<u64> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return BTreeSet::new() };
    let prefix = format!("{name}{ASIDE}");
    let entries = std::fs::read_dir(directory_of(path)).into_iter().flatten().flatten();
    let number = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let rest = name.to_str()?.strip_prefix(&prefix)?;
        let rest = COMPANIONS.iter().find_map(|suffix| rest.strip_suffix(suffix)).unwrap_or(rest);
        rest.parse().ok()
    };
    entries.filter_map(number).collect()
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    beside(path, &format!("{ASIDE}{number}"))
}

fn free_name(path: &Path) -> Result<PathBuf, StateError> {
    let next = numbers(path).last().map_or(Some(1), |last| last.checked_add(1));
    let name = next.map(|next| numbered(path, next)).filter(|name| !name.exists());
    name.ok_or_else(|| StateError::file(path, std::io::ErrorKind::AlreadyExists.into()))
}

/// Removes all but the newest. What cannot be removed stays; the next one is tried to be removed again.
fn remove_old(path: &Path) {
    for number in numbers(path).into_iter().rev().skip(KEPT) {
        let old = numbered(path, number);
        for name in std::iter::once(old.clone()).chain(COMPANIONS.iter().map(|suffix| beside(&old, suffix))) {
            if let Err(error) = std::fs::remove_file(&name)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "an old damaged database could not be removed");
            }
        }
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_directory(path: &Path) -> Result<(), StateError> {
    let directory = directory_of(path);
    File::open(directory).and_then(|file| file.sync_all()).map_err(|source| StateError::file(directory, source))
}
