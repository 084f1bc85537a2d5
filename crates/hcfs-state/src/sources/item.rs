//! What was brought, and what is on its way.

use hcfs_model::{RelPath, UnixNanos};
use rusqlite::{OptionalExtension as _, Row, params};

use super::Ledger;
use crate::{StateError, columns};

/// What a service said of an item's version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// The `ETag`.
    pub etag: Option<String>,
    /// The `Last-Modified`.
    pub last_modified: Option<String>,
    /// The size in bytes.
    pub size: Option<u64>,
    /// What the service's listing says of its last change.
    pub mark: Option<String>,
}

/// The file of an item, as it was brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brought {
    /// The folder's label.
    pub folder: String,
    /// Where in the folder it was put.
    pub path: RelPath,
    /// The version the service gave.
    pub version: Version,
    /// Its size in bytes.
    pub size: u64,
    /// The BLAKE3 of its content.
    pub hash: [u8; 32],
    /// Whether the content was checked against its id.
    pub verified: bool,
    /// When.
    pub at: UnixNanos,
}

/// A fetch that has not come to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRecord {
    /// The folder it is meant for: its part lies there.
    pub folder: String,
    /// The part's name.
    pub name: String,
    /// How far it is, in the words of who fetches.
    pub record: String,
}

/// What was fetched whole and is on its way under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// The name the service gives it.
    pub name: String,
    /// The version the service gave.
    pub version: Version,
    /// Its size in bytes.
    pub size: u64,
    /// The BLAKE3 of its content.
    pub hash: [u8; 32],
    /// Whether the content was checked against its id.
    pub verified: bool,
    /// Where it is about to be put, once that is known.
    pub target: Option<RelPath>,
}

const ITEM: &str = "folder, path, etag, last_modified, said_size, mark, size, hash, verified, at";

fn version(row: &Row<'_>, at: usize) -> rusqlite::Result<Version> {
    Ok(Version {
        etag: row.get(at)?,
        last_modified: row.get(at + 1)?,
        size: columns::optional_unsigned(row, at + 2)?,
        mark: row.get(at + 3)?,
    })
}

fn brought(row: &Row<'_>, at: usize) -> rusqlite::Result<Brought> {
    Ok(Brought {
        folder: row.get(at)?,
        path: columns::path(row, at + 1)?,
        version: version(row, at + 2)?,
        size: columns::unsigned(row, at + 6)?,
        hash: row.get(at + 7)?,
        verified: row.get(at + 8)?,
        at: columns::time(row, at + 9)?,
    })
}

/// A size as SQLite keeps it. No file of a folder is that large: what a service says above it is as good as unsaid.
fn said(size: Option<u64>) -> Option<i64> {
    size.and_then(|size| i64::try_from(size).ok())
}

fn signed(path: &RelPath, size: u64) -> Result<i64, StateError> {
    columns::signed(path, "size", size)
}

impl Ledger {
    /// Everything a source brought, by item.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn items(&self, source: &str) -> Result<Vec<(String, Brought)>, StateError> {
        let sql = format!("SELECT item, {ITEM} FROM item WHERE source = ?1 ORDER BY item");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let items = statement.query_map(params![source], |row| Ok((row.get(0)?, brought(row, 1)?)))?;
        Ok(items.collect::<rusqlite::Result<_>>()?)
    }

    /// What became of one item.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn item(&self, source: &str, item: &str) -> Result<Option<Brought>, StateError> {
        let sql = format!("SELECT {ITEM} FROM item WHERE source = ?1 AND item = ?2");
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_row(params![source, item], |row| brought(row, 0)).optional()?)
    }

    /// The item, as source and id, whose file a path in a folder is.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn owner(&self, folder: &str, path: &RelPath) -> Result<Option<(String, String)>, StateError> {
        let sql = "SELECT source, item FROM item WHERE folder = ?1 AND path = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let owner = statement.query_row(params![folder, path.as_str()], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(owner.optional()?)
    }

    /// Forgets that an item was ever brought: it is then brought again.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn forget_item(&mut self, source: &str, item: &str) -> Result<(), StateError> {
        self.connection.execute("DELETE FROM item WHERE source = ?1 AND item = ?2", params![source, item])?;
        Ok(())
    }

    /// The fetch of an item that has not come to its end.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn part(&self, source: &str, item: &str) -> Result<Option<PartRecord>, StateError> {
        let sql = "SELECT folder, name, record FROM part WHERE source = ?1 AND item = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let part = statement.query_row(params![source, item], |row| {
            Ok(PartRecord { folder: row.get(0)?, name: row.get(1)?, record: row.get(2)? })
        });
        Ok(part.optional()?)
    }

    /// Every fetch that has not come to its end: source, item and part.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn parts(&self) -> Result<Vec<(String, String, PartRecord)>, StateError> {
        let sql = "SELECT source, item, folder, name, record FROM part ORDER BY source, item";
        let mut statement = self.connection.prepare_cached(sql)?;
        let parts = statement.query_map([], |row| {
            let part = PartRecord { folder: row.get(2)?, name: row.get(3)?, record: row.get(4)? };
            Ok((row.get(0)?, row.get(1)?, part))
        })?;
        Ok(parts.collect::<rusqlite::Result<_>>()?)
    }

    /// Keeps how far a fetch is.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn keep_part(&mut self, source: &str, item: &str, part: &PartRecord) -> Result<(), StateError> {
        self.connection
            .prepare_cached(
                "INSERT INTO part (source, item, folder, name, record) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (source, item) DO UPDATE SET folder = excluded.folder, name = excluded.name,
                 record = excluded.record",
            )?
            .execute(params![source, item, part.folder, part.name, part.record])?;
        Ok(())
    }

    /// Forgets a fetch, and what arrived by it.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn drop_part(&mut self, source: &str, item: &str) -> Result<(), StateError> {
        self.connection.execute("DELETE FROM part WHERE source = ?1 AND item = ?2", params![source, item])?;
        Ok(())
    }

    /// What was fetched whole and is on its way under a name.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn arrival(&self, source: &str, item: &str) -> Result<Option<Arrival>, StateError> {
        let sql = "SELECT name, etag, last_modified, said_size, mark, size, hash, verified, target
                   FROM arrival WHERE source = ?1 AND item = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let arrival = statement.query_row(params![source, item], |row| {
            Ok(Arrival {
                name: row.get(0)?,
                version: version(row, 1)?,
                size: columns::unsigned(row, 5)?,
                hash: row.get(6)?,
                verified: row.get(7)?,
                target: columns::optional_path(row, 8)?,
            })
        });
        Ok(arrival.optional()?)
    }

    /// Notes that an item, whose [part](Self::keep_part) is kept, was fetched whole, and where it is about to be put.
    ///
    /// # Errors
    /// The ledger cannot be written, or has no part of the item.
    pub fn arrive(&mut self, source: &str, item: &str, arrival: &Arrival) -> Result<(), StateError> {
        let Version { etag, last_modified, size, mark } = &arrival.version;
        let total = i64::try_from(arrival.size).map_err(|_| StateError::Full)?;
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO arrival (source, item, name, etag, last_modified, said_size, mark, size, hash,
                 verified, target) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                source,
                item,
                arrival.name,
                etag,
                last_modified,
                said(*size),
                mark,
                total,
                arrival.hash,
                arrival.verified,
                arrival.target.as_ref().map(RelPath::as_str)
            ])?;
        Ok(())
    }

    /// Notes that an item lies under its name: its fetch and its problem are over.
    ///
    /// # Errors
    /// The ledger cannot be written, or the path is another item's.
    pub fn settle(&mut self, source: &str, item: &str, brought: &Brought) -> Result<(), StateError> {
        let Version { etag, last_modified, size, mark } = &brought.version;
        let total = signed(&brought.path, brought.size)?;
        let transaction = self.connection.transaction()?;
        let gone = [
            "DELETE FROM part WHERE source = ?1 AND item = ?2",
            "DELETE FROM problem WHERE source = ?1 AND item = ?2",
            "DELETE FROM item WHERE source = ?1 AND item = ?2",
        ];
        for sql in gone {
            transaction.prepare_cached(sql)?.execute(params![source, item])?;
        }
        transaction
            .prepare_cached(
                "INSERT INTO item (source, item, folder, path, etag, last_modified, said_size, mark, size, hash,
                 verified, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                source,
                item,
                brought.folder,
                brought.path.as_str(),
                etag,
                last_modified,
                said(*size),
                mark,
                total,
                brought.hash,
                brought.verified,
                brought.at.0
            ])?;
        transaction.commit()?;
        Ok(())
    }
}
