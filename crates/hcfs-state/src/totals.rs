//! How many files and bytes each tree holds, kept with every write so that asking costs nothing.

use std::collections::BTreeMap;

use hcfs_model::{RelPath, RemoteEntry, SyncedEntry};
use rusqlite::{Connection, OptionalExtension, params};

use crate::trees::Entry;
use crate::{Known, StateError, Store, columns};

/// The totals of one tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TreeTotals {
    /// Files in the whole tree.
    pub files: u64,
    /// Plaintext bytes in the whole tree, modulo 2^64.
    pub bytes: u64,
    /// Files below each top-level directory; files in the root itself are in none.
    pub tops: BTreeMap<String, u64>,
}

/// The totals of the three trees.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals {
    /// On disk.
    pub local: TreeTotals,
    /// On the server.
    pub remote: TreeTotals,
    /// Last agreed.
    pub synced: TreeTotals,
}

impl Totals {
    fn tree(&mut self, name: &str) -> Option<&mut TreeTotals> {
        match name {
            Known::TREE => Some(&mut self.local),
            RemoteEntry::TREE => Some(&mut self.remote),
            SyncedEntry::TREE => Some(&mut self.synced),
            _ => None,
        }
    }
}

impl TreeTotals {
    /// Counts one file more.
    pub(crate) fn add(&mut self, path: &RelPath, size: u64) {
        self.files += 1;
        self.bytes = self.bytes.wrapping_add(size);
        if let Some(top) = top(path) {
            *self.tops.entry(top.to_owned()).or_default() += 1;
        }
    }
}

/// The top-level directory a path lies in.
fn top(path: &RelPath) -> Option<&str> {
    path.as_str().split_once('/').map(|(top, _)| top)
}

/// Differences to the totals, gathered over one transaction.
#[derive(Default)]
pub(crate) struct Deltas(BTreeMap<(&'static str, String), Delta>);

#[derive(Default, Clone, Copy)]
struct Delta {
    files: i64,
    bytes: u64,
}

impl Deltas {
    /// The file at `path` had `old` bytes in the tree `tree` and has `new`; `None` where it is not in it.
    pub(crate) fn replace(&mut self, tree: &'static str, path: &RelPath, old: Option<u64>, new: Option<u64>) {
        let delta = Delta {
            files: i64::from(new.is_some()) - i64::from(old.is_some()),
            bytes: new.unwrap_or(0).wrapping_sub(old.unwrap_or(0)),
        };
        self.add(tree, "", delta);
        if let Some(top) = top(path) {
            self.add(tree, top, delta);
        }
    }

    fn add(&mut self, tree: &'static str, top: &str, delta: Delta) {
        let sum = self.0.entry((tree, top.to_owned())).or_default();
        sum.files += delta.files;
        sum.bytes = sum.bytes.wrapping_add(delta.bytes);
    }

    /// Brings the table up to date.
    pub(crate) fn write(&self, connection: &Connection) -> Result<(), StateError> {
        for ((tree, top), delta) in &self.0 {
            if delta.files == 0 && delta.bytes == 0 {
                continue;
            }
            let old: Option<(i64, i64)> = connection
                .prepare_cached("SELECT files, bytes FROM totals WHERE tree = ?1 AND top = ?2")?
                .query_row(params![tree, top], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (files, bytes) = old.unwrap_or((0, 0));
            let files = files.checked_add(delta.files).filter(|files| *files >= 0);
            let files = files.ok_or_else(|| StateError::corrupt("a total is not that of its rows"))?;
            let bytes = bytes.cast_unsigned().wrapping_add(delta.bytes).cast_signed();
            if files == 0 {
                connection
                    .prepare_cached("DELETE FROM totals WHERE tree = ?1 AND top = ?2")?
                    .execute(params![tree, top])?;
            } else {
                connection
                    .prepare_cached("REPLACE INTO totals (tree, top, files, bytes) VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![tree, top, files, bytes])?;
            }
        }
        Ok(())
    }
}

pub(crate) fn read(connection: &Connection) -> Result<Totals, StateError> {
    let mut totals = Totals::default();
    let mut statement = connection.prepare_cached("SELECT tree, top, files, bytes FROM totals")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (name, top): (String, String) = (row.get(0)?, row.get(1)?);
        let files = columns::unsigned(row, 2)?;
        let bytes: i64 = row.get(3)?;
        let tree = totals.tree(&name).ok_or_else(|| StateError::corrupt("a total of an unknown tree"))?;
        if top.is_empty() {
            tree.files = files;
            tree.bytes = bytes.cast_unsigned();
        } else {
            tree.tops.insert(top, files);
        }
    }
    Ok(totals)
}

impl Store {
    /// How many files and bytes each tree holds.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn totals(&self) -> Result<Totals, StateError> {
        read(&self.connection)
    }
}
