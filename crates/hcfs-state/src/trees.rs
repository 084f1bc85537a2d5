//! Reading the three trees: one path, a whole tree in path order, and the three merged.

use hcfs_model::{LocalEntry, RelPath, RemoteEntry, Row, SyncedEntry, UnixNanos};
use rusqlite::{Connection, OptionalExtension, ToSql, params};

use crate::{StateError, Store, columns};

/// A file on disk, and since when its hash is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The entry of the local tree.
    pub entry: LocalEntry,
    /// A moment not after the fingerprint was taken: what a scan compares with the file's times to tell whether the
    /// hash can be trusted.
    pub hashed_at: UnixNanos,
}

/// The statements on one tree. Columns are in one order everywhere; `path` comes before them where it is read.
pub(crate) struct Sql {
    get: &'static str,
    page: &'static str,
    /// Every row at a marked path, in path order.
    pub(crate) marked: &'static str,
    /// Every row below a marked path.
    pub(crate) below_marked: &'static str,
    delete: &'static str,
    put: &'static str,
}

macro_rules! sql {
    ($table:literal, $columns:literal, $values:literal) => {
        Sql {
            get: concat!("SELECT ", $columns, " FROM ", $table, " WHERE path = ?1"),
            page: concat!(
                "SELECT ",
                $columns,
                ", path FROM ",
                $table,
                " WHERE path > ?1 AND path < ?2 ORDER BY path LIMIT ?3"
            ),
            marked: concat!(
                "SELECT ",
                $columns,
                ", t.path FROM changed c CROSS JOIN ",
                $table,
                " t ON t.path = c.path ORDER BY c.path"
            ),
            below_marked: concat!(
                "SELECT ",
                $columns,
                ", t.path FROM changed c CROSS JOIN ",
                $table,
                " t ON t.path > c.path || '/' AND t.path < c.path || '0'"
            ),
            delete: concat!("DELETE FROM ", $table, " WHERE path = ?1"),
            put: concat!("REPLACE INTO ", $table, " (path, ", $columns, ") VALUES (?1, ", $values, ")"),
        }
    };
}

/// What a tree holds of a path.
pub(crate) trait Entry: Sized + PartialEq {
    /// The tree's name, as in `totals`.
    const TREE: &'static str;
    /// How many columns come before the path.
    const COLUMNS: usize;
    const SQL: Sql;
    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self>;
    fn write(&self, connection: &Connection, path: &RelPath) -> Result<(), StateError>;
    /// Plaintext bytes.
    fn size(&self) -> u64;
}

impl Entry for Known {
    const TREE: &'static str = "local";
    const COLUMNS: usize = 8;
    const SQL: Sql = sql!(
        "local",
        "hash, size, mtime, ctime, device, inode, disk_path, hashed_at",
        "?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9"
    );

    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            entry: LocalEntry {
                hash: columns::salted_hash(row, 0)?,
                fingerprint: columns::fingerprint(row, 1)?,
                disk_path: row.get(6)?,
            },
            hashed_at: columns::time(row, 7)?,
        })
    }

    fn write(&self, connection: &Connection, path: &RelPath) -> Result<(), StateError> {
        let Self { entry: LocalEntry { hash, fingerprint, disk_path }, hashed_at } = self;
        put::<Self>(
            connection,
            params![
                path.as_str(),
                hash.0,
                columns::signed(path, "size", fingerprint.size)?,
                fingerprint.mtime.0,
                fingerprint.ctime.0,
                fingerprint.inode.device.cast_signed(),
                fingerprint.inode.number.cast_signed(),
                disk_path,
                hashed_at.0,
            ],
        )
    }

    fn size(&self) -> u64 {
        self.entry.fingerprint.size
    }
}

impl Entry for RemoteEntry {
    const TREE: &'static str = "remote";
    const COLUMNS: usize = 5;
    const SQL: Sql = sql!("remote", "hash, size, file_id, seq, revision", "?2, ?3, ?4, ?5, ?6");

    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            hash: columns::salted_hash(row, 0)?,
            size: columns::unsigned(row, 1)?,
            file_id: columns::file_id(row, 2)?,
            revision: columns::revision(row, 3)?,
        })
    }

    fn write(&self, connection: &Connection, path: &RelPath) -> Result<(), StateError> {
        put::<Self>(
            connection,
            params![
                path.as_str(),
                self.hash.0,
                columns::signed(path, "size", self.size)?,
                self.file_id.0,
                columns::signed(path, "revision", self.revision.seq)?,
                self.revision.id.0,
            ],
        )
    }

    fn size(&self) -> u64 {
        self.size
    }
}

impl Entry for SyncedEntry {
    const TREE: &'static str = "synced";
    const COLUMNS: usize = 7;
    const SQL: Sql = sql!("synced", "hash, size, file_id, seq, revision, device, inode", "?2, ?3, ?4, ?5, ?6, ?7, ?8");

    fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            hash: columns::salted_hash(row, 0)?,
            size: columns::unsigned(row, 1)?,
            file_id: columns::file_id(row, 2)?,
            revision: columns::revision(row, 3)?,
            inode: columns::optional_inode(row, 5)?,
        })
    }

    fn write(&self, connection: &Connection, path: &RelPath) -> Result<(), StateError> {
        put::<Self>(
            connection,
            params![
                path.as_str(),
                self.hash.0,
                columns::signed(path, "size", self.size)?,
                self.file_id.0,
                columns::signed(path, "revision", self.revision.seq)?,
                self.revision.id.0,
                self.inode.map(|inode| inode.device.cast_signed()),
                self.inode.map(|inode| inode.number.cast_signed()),
            ],
        )
    }

    fn size(&self) -> u64 {
        self.size
    }
}

fn put<E: Entry>(connection: &Connection, values: &[&dyn ToSql]) -> Result<(), StateError> {
    connection.prepare_cached(E::SQL.put)?.execute(values)?;
    Ok(())
}

pub(crate) fn delete<E: Entry>(connection: &Connection, path: &RelPath) -> Result<(), StateError> {
    connection.prepare_cached(E::SQL.delete)?.execute([path.as_str()])?;
    Ok(())
}

pub(crate) fn get<E: Entry>(connection: &Connection, path: &RelPath) -> Result<Option<E>, StateError> {
    Ok(connection.prepare_cached(E::SQL.get)?.query_row([path.as_str()], E::read).optional()?)
}

pub(crate) fn row(connection: &Connection, path: &RelPath) -> Result<Row, StateError> {
    Ok(Row {
        local: get::<Known>(connection, path)?.map(|known| known.entry),
        remote: get(connection, path)?,
        synced: get(connection, path)?,
    })
}

/// One tree in path order, or the part of it at and below a path.
///
/// Rows are fetched a page at a time, so no read transaction stays open between two of them. Ends after an error.
pub struct Entries<'s, T> {
    connection: &'s Connection,
    sql: &'static str,
    read: fn(&rusqlite::Row<'_>) -> rusqlite::Result<(RelPath, T)>,
    page: std::vec::IntoIter<(RelPath, T)>,
    after: String,
    before: rusqlite::types::Value,
    ended: bool,
}

/// Rows of one page.
const PAGE: u16 = 1024;

/// A whole tree.
fn all<T: Entry>(connection: &Connection) -> Entries<'_, T> {
    // Every text sorts below every blob.
    between(connection, String::new(), rusqlite::types::Value::Blob(Vec::new()))
}

/// The part of a tree at and below `directory`.
fn within<'s, T: Entry>(connection: &'s Connection, directory: &RelPath) -> Result<Entries<'s, T>, StateError> {
    // '0' is the character after '/'.
    let mut entries = between(connection, format!("{directory}/"), format!("{directory}0").into());
    let own: Vec<_> = get(connection, directory)?.map(|entry| (directory.clone(), entry)).into_iter().collect();
    entries.page = own.into_iter();
    Ok(entries)
}

fn between<T: Entry>(connection: &Connection, after: String, before: rusqlite::types::Value) -> Entries<'_, T> {
    let read = |row: &rusqlite::Row<'_>| Ok((columns::path(row, T::COLUMNS)?, T::read(row)?));
    Entries { connection, sql: T::SQL.page, read, page: Vec::new().into_iter(), after, before, ended: false }
}

impl<T> Entries<'_, T> {
    fn fetch(&mut self) -> Result<Vec<(RelPath, T)>, StateError> {
        let mut statement = self.connection.prepare_cached(self.sql)?;
        let rows = statement.query_map(params![self.after, self.before, PAGE], self.read)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

impl<T> Iterator for Entries<'_, T> {
    type Item = Result<(RelPath, T), StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(entry) = self.page.next() {
            return Some(Ok(entry));
        }
        if self.ended {
            return None;
        }
        match self.fetch() {
            Ok(page) => {
                self.ended = page.len() < usize::from(PAGE);
                if let Some((last, _)) = page.last() {
                    last.as_str().clone_into(&mut self.after);
                }
                self.page = page.into_iter();
                self.page.next().map(Ok)
            }
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

/// The three trees merged by path, in path order: every path that any of them holds, once. Ends after an error.
pub struct Merged<'s> {
    local: Head<'s, Known>,
    remote: Head<'s, RemoteEntry>,
    synced: Head<'s, SyncedEntry>,
    started: bool,
}

/// A cursor and the row it stands on.
struct Head<'s, T> {
    entries: Entries<'s, T>,
    next: Option<(RelPath, T)>,
}

impl<'s, T: Entry> Head<'s, T> {
    fn new(connection: &'s Connection) -> Self {
        Self { entries: all(connection), next: None }
    }

    fn advance(&mut self) -> Result<Option<(RelPath, T)>, StateError> {
        let next = self.entries.next().transpose()?;
        Ok(std::mem::replace(&mut self.next, next))
    }

    fn take_if(&mut self, path: &RelPath) -> Result<Option<T>, StateError> {
        match &self.next {
            Some((next, _)) if next == path => Ok(self.advance()?.map(|(_, entry)| entry)),
            _ => Ok(None),
        }
    }

    fn path(&self) -> Option<&RelPath> {
        self.next.as_ref().map(|(path, _)| path)
    }
}

impl<'s> Merged<'s> {
    pub(crate) fn new(connection: &'s Connection) -> Self {
        Self {
            local: Head::new(connection),
            remote: Head::new(connection),
            synced: Head::new(connection),
            started: false,
        }
    }

    fn step(&mut self) -> Result<Option<(RelPath, Row)>, StateError> {
        if !std::mem::replace(&mut self.started, true) {
            self.local.advance()?;
            self.remote.advance()?;
            self.synced.advance()?;
        }
        let heads = [self.local.path(), self.remote.path(), self.synced.path()];
        let Some(path) = heads.into_iter().flatten().min().cloned() else { return Ok(None) };
        let row = Row {
            local: self.local.take_if(&path)?.map(|known| known.entry),
            remote: self.remote.take_if(&path)?,
            synced: self.synced.take_if(&path)?,
        };
        Ok(Some((path, row)))
    }
}

impl Iterator for Merged<'_> {
    type Item = Result<(RelPath, Row), StateError>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step().transpose();
        if matches!(step, Some(Err(_))) {
            (self.local.next, self.remote.next, self.synced.next) = (None, None, None);
        }
        step
    }
}

impl Store {
    /// What the three trees say of one path.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn row(&self, path: &RelPath) -> Result<Row, StateError> {
        row(&self.connection, path)
    }

    /// All rows of the three trees, merged by path.
    #[must_use]
    pub fn rows(&self) -> Merged<'_> {
        Merged::new(&self.connection)
    }

    /// The local tree in path order, with what a scan needs to know which files it need not read.
    #[must_use]
    pub fn known_files(&self) -> Entries<'_, Known> {
        all(&self.connection)
    }

    /// The part of [`Self::known_files`] at and below `directory`.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn known_files_in(&self, directory: &RelPath) -> Result<Entries<'_, Known>, StateError> {
        within(&self.connection, directory)
    }

    /// The remote tree in path order.
    #[must_use]
    pub fn remote_rows(&self) -> Entries<'_, RemoteEntry> {
        all(&self.connection)
    }

    /// The synced tree in path order.
    #[must_use]
    pub fn synced_rows(&self) -> Entries<'_, SyncedEntry> {
        all(&self.connection)
    }
}

#[cfg(test)]
mod tests {
    use hcfs_model::{AccountAddress, Fingerprint, FolderHash, FolderLabel, Inode, SaltedHash};
    use rusqlite::StatementStatus;

    use super::*;
    use crate::{Identity, LocalUpdate};

    #[test]
    fn a_page_is_read_with_the_statement_that_was_compiled_for_the_first() {
        let directory = tempfile::tempdir().unwrap();
        let folder = FolderHash::of_label(&FolderLabel::new("documents").unwrap());
        let identity = Identity { account: AccountAddress::from_public_key([7; 32]), folder };
        let mut store = Store::open(&directory.path().join("state.db"), &identity).unwrap().store;
        for _ in 0..2 {
            assert_eq!(store.known_files().count(), 0);
        }
        let inode = Inode { device: 1, number: 2 };
        let fingerprint = Fingerprint { size: 1, mtime: UnixNanos(0), ctime: UnixNanos(0), inode };
        let entry = LocalEntry { hash: SaltedHash([1; 32]), fingerprint, disk_path: None };
        let put = vec![(RelPath::new("a").unwrap(), entry)];
        store.record_local(&LocalUpdate { put, ..LocalUpdate::default() }, true).unwrap();
        // A page that is not full is the last.
        assert_eq!(store.known_files().count(), 1);
        let statement = store.connection.prepare_cached(Known::SQL.page).unwrap();
        let count = |what| statement.get_status(what);
        assert_eq!([count(StatementStatus::Run), count(StatementStatus::RePrepare)], [3, 0]);
    }
}
