//! The metadata store: everything the server knows but the blobs' bytes.
//!
//! All SQL is below this module; it speaks in the model's terms. Writes go through one thread that commits several
//! requests together and answers only after the commit; reads go through another, so a listing never holds up an upload.
//!
//! Invariants: a row of `files` is written only while the shard guard of its blob is held (see [`crate::blobs`]), so a
//! row never points to a blob that a sweep removes; every change of a folder's files changes its state tag.
//!
//! Deliberately absent: blobs, HTTP, and rules that need neither (sizes, signatures).

mod account;
mod file;
mod folder;
mod migrate;
mod rename;
mod session;
#[cfg(test)]
mod tests;
mod thread;
mod token;

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hcfs_model::AccountAddress;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

pub(crate) use file::{Committed, FileKey, FileRow, ListedFile, NewRevision, Removal};
pub(crate) use folder::FolderKey;
pub(crate) use rename::{Rename, RenameFailure};
pub(crate) use session::{NewSession, SessionId, SessionRefusal, SessionRow};
pub use token::TokenRow;
pub(crate) use token::{PresentedToken, create as create_token, list as list_tokens, revoke as revoke_token};

use thread::{ReadThread, WriteThread};

/// What keeps the metadata store from answering.
#[derive(Debug, Clone, thiserror::Error)]
pub enum MetadataError {
    /// The database refused a statement or a commit.
    #[error("the database failed")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    /// The database file cannot be made or opened.
    #[error("the file cannot be opened")]
    File(#[source] Arc<std::io::Error>),
    /// The SQLite library is one with a known fault.
    #[error("SQLite {0} can corrupt a database in WAL mode")]
    OldSqlite(&'static str),
    /// The database was written by a newer program.
    #[error("the database has schema version {found}, and this program knows {known}")]
    Newer {
        /// The version in the database.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// A migration was applied with another text than this program has.
    #[error("migration {0} of the database is not the one this program knows")]
    ForeignMigration(i64),
    /// A value in the database that this program would not have written.
    #[error("the database holds a value that cannot be: {0}")]
    Impossible(&'static str),
    /// An upload session was removed while it was finalized.
    #[error("the upload session was removed")]
    SessionGone,
    /// The thread of the store has ended.
    #[error("the metadata store is closed")]
    Closed,
}

impl MetadataError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Sqlite(_) | Self::File(_) => "check that the disk has room and that the file belongs to this user",
            Self::OldSqlite(_) => "build the program with its own SQLite",
            Self::Newer { .. } | Self::ForeignMigration(_) => "use the newest hcfs that has served this directory",
            Self::Impossible(_) => "the database is damaged; restore it from a backup",
            Self::Closed | Self::SessionGone => "start the server again",
        }
    }
}

impl From<rusqlite::Error> for MetadataError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

type Outcome<T> = Result<T, MetadataError>;

/// The metadata store of a running server.
pub(crate) struct Metadata {
    writer: WriteThread,
    reader: ReadThread,
}

impl Metadata {
    /// Opens the database, brings its schema up to date, and starts the two threads. Blocks.
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        let writer = connect(path)?;
        let reader =
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        prepare(&reader)?;
        Ok(Self { writer: WriteThread::start(writer)?, reader: ReadThread::start(reader)? })
    }

    /// Runs `work` in the next commit and answers after it. `keep` is dropped after the commit and not before, even if
    /// nobody waits for the answer any more.
    async fn write_keeping<T: Send + 'static, K: Send + 'static>(
        &self,
        keep: K,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        self.writer.run(keep, work).await
    }

    /// Runs `work` in the next commit and answers after it.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        self.writer.run((), work).await
    }

    /// Runs `work` against one snapshot.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        self.reader.run(work).await
    }

    /// Whether both threads answer. Writes nothing.
    pub(crate) async fn ping(&self) -> Outcome<()> {
        let ask = |db: &Connection| Ok(db.query_row("SELECT 1", (), |_| Ok(()))?);
        self.read(ask).await?;
        self.write(ask).await
    }
}

/// Opens the database for writing and brings its schema up to date.
pub(crate) fn connect(path: &Path) -> Outcome<Connection> {
    if rusqlite::version_number() < 3_051_003 {
        return Err(MetadataError::OldSqlite(rusqlite::version()));
    }
    // SQLite gives its other files the mode of this one.
    if let Err(error) = File::options().create(true).append(true).mode(0o600).open(path) {
        return Err(MetadataError::File(Arc::new(error)));
    }
    let mut db = Connection::open(path)?;
    prepare(&db)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", true)?;
    migrate::migrate(&mut db)?;
    Ok(db)
}

fn prepare(db: &Connection) -> Outcome<()> {
    // The token commands write from another process; each of their transactions is short.
    db.busy_timeout(Duration::from_secs(10))?;
    db.set_prepared_statement_cache_capacity(64);
    db.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}

/// The row id of an account, which is made if there is none.
fn account_id(db: &Connection, account: &AccountAddress, now: i64) -> Outcome<i64> {
    if let Some(id) = find_account(db, account)? {
        return Ok(id);
    }
    db.prepare_cached("INSERT INTO accounts (ss58, created_at) VALUES (?1, ?2)")?.execute((account.as_str(), now))?;
    Ok(db.last_insert_rowid())
}

fn find_account(db: &Connection, account: &AccountAddress) -> Outcome<Option<i64>> {
    Ok(db
        .prepare_cached("SELECT id FROM accounts WHERE ss58 = ?1")?
        .query_row([account.as_str()], |row| row.get(0))
        .optional()?)
}

/// A count or size read from the database.
fn unsigned(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let value: i64 = row.get(column)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, value))
}
