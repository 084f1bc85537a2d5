//! The rows a plan needs: those that differ, and their neighbours.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;

use hcfs_model::{RelPath, RemoteEntry, Row, Rows, SyncedEntry};
use rusqlite::Connection;

use crate::trees;
use crate::{Known, StateError, Store, columns};

impl Store {
    /// Every marked path with its row, and the neighbours that could be in its way: ancestors of a marked path that are
    /// files somewhere, and files below a marked path. Costs what changed, not what there is.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn changed_rows(&self) -> Result<Rows, StateError> {
        let mut rows = Rows::new();
        let connection = &self.connection;
        fill::<Known>(connection, &mut rows, |row, known| row.local = Some(known.entry))?;
        fill::<RemoteEntry>(connection, &mut rows, |row, entry| row.remote = Some(entry))?;
        fill::<SyncedEntry>(connection, &mut rows, |row, entry| row.synced = Some(entry))?;

        // Ancestors of a row below a marked path are below it too, or ancestors of the marked path.
        let above: BTreeSet<RelPath> = rows.keys().flat_map(RelPath::ancestors).collect();
        for path in above {
            let Entry::Vacant(place) = rows.entry(path) else { continue };
            let row = trees::row(connection, place.key())?;
            if row != Row::default() {
                place.insert(row);
            }
        }
        Ok(rows)
    }

    /// The marked paths, in order.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn changed_paths(&self) -> Result<Vec<RelPath>, StateError> {
        paths(&self.connection)
    }

    /// How many paths are marked.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn changed_count(&self) -> Result<u64, StateError> {
        Ok(self
            .connection
            .prepare_cached("SELECT count(*) FROM changed")?
            .query_row([], |row| columns::unsigned(row, 0))?)
    }
}

pub(crate) fn paths(connection: &Connection) -> Result<Vec<RelPath>, StateError> {
    let mut statement = connection.prepare_cached("SELECT path FROM changed ORDER BY path")?;
    let paths = statement.query_map([], |row| columns::path(row, 0))?;
    Ok(paths.collect::<rusqlite::Result<_>>()?)
}

/// Adds one tree's rows at and below the marked paths.
fn fill<E: trees::Entry>(connection: &Connection, rows: &mut Rows, set: fn(&mut Row, E)) -> Result<(), StateError> {
    for sql in [E::SQL.marked, E::SQL.below_marked] {
        let mut statement = connection.prepare_cached(sql)?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            let path = columns::path(row, E::COLUMNS)?;
            set(rows.entry(path).or_default(), E::read(row)?);
        }
    }
    Ok(())
}
