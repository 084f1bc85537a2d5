//! The invariants of a folder's state, verified.

use hcfs_model::{RelPath, Row};
use rusqlite::Connection;

use crate::totals::{self, Totals};
use crate::trees::{self, Merged};
use crate::{Inconsistent, StateError, Store, changed, seen};

impl Store {
    /// Verifies everything in one pass over the three trees: marks are exactly the differences, every revision has its
    /// mark, and the totals are those of the rows.
    ///
    /// # Errors
    /// What is broken, or the database cannot be read.
    pub fn check_all(&self) -> Result<(), StateError> {
        all(&self.connection)
    }
}

/// Verifies what can be verified at the cost of what changed: every mark has its difference, and the revisions of marked
/// paths have their marks.
pub(crate) fn marks(connection: &Connection) -> Result<(), StateError> {
    changed::paths(connection)?.iter().try_for_each(|changed| path(connection, changed))
}

/// Verifies one path.
pub(crate) fn path(connection: &Connection, path: &RelPath) -> Result<(), StateError> {
    let marked = connection.prepare_cached("SELECT 1 FROM changed WHERE path = ?1")?.exists([path.as_str()])?;
    match (examine(connection, path, &trees::row(connection, path)?)?, marked) {
        (true, false) => Err(Inconsistent::Unmarked(path.clone()).into()),
        (false, true) => Err(Inconsistent::StaleMark(path.clone()).into()),
        _ => Ok(()),
    }
}

pub(crate) fn all(connection: &Connection) -> Result<(), StateError> {
    let mut marked = changed::paths(connection)?.into_iter().peekable();
    let mut sums = Totals::default();
    for step in Merged::new(connection) {
        let (path, row) = step?;
        let differs = examine(connection, &path, &row)?;
        if let Some(stale) = marked.next_if(|mark| *mark < path) {
            return Err(Inconsistent::StaleMark(stale).into());
        }
        match (differs, marked.next_if_eq(&path)) {
            (true, None) => return Err(Inconsistent::Unmarked(path).into()),
            (false, Some(stale)) => return Err(Inconsistent::StaleMark(stale).into()),
            _ => {}
        }
        if let Some(entry) = &row.local {
            sums.local.add(&path, entry.fingerprint.size);
        }
        if let Some(entry) = &row.remote {
            sums.remote.add(&path, entry.size);
        }
        if let Some(entry) = &row.synced {
            sums.synced.add(&path, entry.size);
        }
    }
    if let Some(stale) = marked.next() {
        return Err(Inconsistent::StaleMark(stale).into());
    }
    let kept = totals::read(connection)?;
    for (name, kept, sum) in
        [("local", kept.local, sums.local), ("remote", kept.remote, sums.remote), ("synced", kept.synced, sums.synced)]
    {
        if kept != sum {
            return Err(Inconsistent::Totals(name).into());
        }
    }
    Ok(())
}

/// Whether a path must be marked. A listed version was seen, so its mark is at least that high; an agreed one was too,
/// though a user may since have accepted a lower mark. Neither file's life has ended.
fn examine(connection: &Connection, path: &RelPath, row: &Row) -> Result<bool, StateError> {
    let living = |id| Ok::<_, StateError>(seen::get(connection, id)?.filter(|seen| !seen.ended));
    let uncovered = || Err(Inconsistent::AboveMark(path.clone()).into());
    let mut suspect = false;
    if let Some(listed) = &row.remote {
        let seen = living(&listed.file_id)?;
        let Some(seen) = seen.filter(|seen| seen.revision.seq >= listed.revision.seq) else { return uncovered() };
        suspect = seen.suspicion(listed).is_some();
    }
    // Mostly the two are one file: look once.
    if let Some(agreed) = &row.synced
        && row.remote.as_ref().is_none_or(|listed| listed.file_id != agreed.file_id)
        && living(&agreed.file_id)?.is_none()
    {
        return uncovered();
    }
    Ok(suspect || !row.is_agreed())
}
