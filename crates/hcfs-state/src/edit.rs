//! One writing transaction on the trees. Marks, totals and revision marks follow every row here and nowhere else.

use hcfs_model::{RelPath, RemoteEntry, SyncedEntry};
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::totals::Deltas;
use crate::trees::{self, Entry};
use crate::{Known, StateError, check, seen};

/// How many rows of the three trees a call changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// Rows put that were not there or were different.
    pub written: u64,
    /// Rows removed that were there.
    pub removed: u64,
}

impl Changes {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }
}

/// What becomes of one tree's row at a path.
pub(crate) enum To<'a, T> {
    Keep,
    Put(&'a T),
    Gone,
}

/// What becomes of a path in the three trees.
pub(crate) struct Change<'a> {
    pub(crate) local: To<'a, Known>,
    pub(crate) remote: To<'a, RemoteEntry>,
    pub(crate) synced: To<'a, SyncedEntry>,
}

impl Default for Change<'_> {
    fn default() -> Self {
        Self { local: To::Keep, remote: To::Keep, synced: To::Keep }
    }
}

/// A writing transaction; rolled back unless it is committed.
pub(crate) struct Edit<'c> {
    transaction: Transaction<'c>,
    deltas: Deltas,
    changes: Changes,
    /// For the check before the commit, in debug builds.
    touched: Vec<RelPath>,
    /// Whether the remote tree is another than it was.
    pub(crate) moves_remote: bool,
}

/// What [`Edit::set`] did.
#[derive(PartialEq, Eq)]
enum Step {
    Nothing,
    /// The entry is the same; only when it was hashed is newer.
    Refreshed,
    Changed,
}

impl<'c> Edit<'c> {
    pub(crate) fn begin(connection: &'c mut Connection) -> Result<Self, StateError> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        Ok(Self {
            transaction,
            deltas: Deltas::default(),
            changes: Changes::default(),
            touched: Vec::new(),
            moves_remote: false,
        })
    }

    pub(crate) fn connection(&self) -> &Connection {
        &self.transaction
    }

    /// Brings the rows at `path` to what `change` says, and everything that follows them.
    pub(crate) fn apply(&mut self, path: &RelPath, change: &Change<'_>) -> Result<(), StateError> {
        let mut differs = false;
        differs |= self.set(path, &change.local, |old, new| {
            if old.entry != new.entry {
                Step::Changed
            } else if new.trusted_more_than(old) {
                Step::Refreshed
            } else {
                Step::Nothing
            }
        })?;
        if self.set(path, &change.remote, equality)? {
            (differs, self.moves_remote) = (true, true);
            if let To::Put(entry) = &change.remote {
                self.observe(path, &entry.file_id, entry.revision, entry.hash)?;
            }
        }
        if self.set(path, &change.synced, equality)? {
            differs = true;
            if let To::Put(entry) = &change.synced {
                self.observe(path, &entry.file_id, entry.revision, entry.hash)?;
            }
        }
        if differs {
            self.mark(path)?;
            if cfg!(debug_assertions) {
                self.touched.push(path.clone());
            }
        }
        Ok(())
    }

    /// Whether the tree's row is another than before.
    fn set<E: Entry>(
        &mut self,
        path: &RelPath,
        to: &To<'_, E>,
        compare: fn(&E, &E) -> Step,
    ) -> Result<bool, StateError> {
        let new = match to {
            To::Keep => return Ok(false),
            To::Put(new) => Some(*new),
            To::Gone => None,
        };
        let old = trees::get::<E>(&self.transaction, path)?;
        let step = match (&old, new) {
            (None, None) => Step::Nothing,
            (Some(old), Some(new)) => compare(old, new),
            _ => Step::Changed,
        };
        if step == Step::Nothing {
            return Ok(false);
        }
        match new {
            Some(new) => new.write(&self.transaction, path)?,
            None => trees::delete::<E>(&self.transaction, path)?,
        }
        if step == Step::Refreshed {
            return Ok(false);
        }
        let count = if new.is_some() { &mut self.changes.written } else { &mut self.changes.removed };
        *count += 1;
        self.deltas.replace(E::TREE, path, old.as_ref().map(E::size), new.map(E::size));
        Ok(true)
    }

    /// Sets or clears the mark of `path` by what its rows say.
    pub(crate) fn mark(&self, path: &RelPath) -> Result<(), StateError> {
        let sql = if differs(&self.transaction, path)? {
            "INSERT OR IGNORE INTO changed (path) VALUES (?1)"
        } else {
            "DELETE FROM changed WHERE path = ?1"
        };
        self.transaction.prepare_cached(sql)?.execute([path.as_str()])?;
        Ok(())
    }

    /// Makes everything durable.
    pub(crate) fn commit(self) -> Result<Changes, StateError> {
        self.deltas.write(&self.transaction)?;
        for path in &self.touched {
            check::path(&self.transaction, path)?;
        }
        self.transaction.commit()?;
        Ok(self.changes)
    }
}

fn equality<E: PartialEq>(old: &E, new: &E) -> Step {
    if old == new { Step::Nothing } else { Step::Changed }
}

/// Whether `path` must be marked.
fn differs(connection: &Connection, path: &RelPath) -> Result<bool, StateError> {
    let row = trees::row(connection, path)?;
    Ok(!row.is_agreed() || seen::suspicion(connection, row.remote.as_ref())?.is_some())
}

/// Above any file system's granularity of times (FAT has two seconds), in nanoseconds.
const GRANULARITY: i64 = 2_000_000_000;

impl Known {
    /// Whether a hash taken later clears a doubt the old one left: a file hashed within the granularity of its times
    /// could have changed again unseen. Nothing else is worth a write.
    fn trusted_more_than(&self, old: &Self) -> bool {
        let print = &self.entry.fingerprint;
        [print.mtime, print.ctime].into_iter().any(|time| {
            let settled = time.0.saturating_add(GRANULARITY);
            old.hashed_at.0 <= settled && self.hashed_at.0 > settled
        })
    }
}
