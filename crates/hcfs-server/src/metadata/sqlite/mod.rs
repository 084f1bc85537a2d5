//! The metadata store in SQLite: one file, for one server.
//!
//! Writes go through one thread that commits several requests together and answers only after the commit; reads go
//! through another, so a listing never holds up an upload, and searches through a third. Other processes may read and write the file meanwhile (the
//! commands that make tokens or look for unused blobs); each of their transactions is short.

mod account;
mod feed;
mod file;
mod folder;
mod login;
mod migrate;
mod name;
mod object;
mod publication;
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

use async_trait::async_trait;
use hcfs_model::AccountAddress;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use thread::{ReadThread, WriteThread};

use super::{Bells, FolderKey, MetadataError, MetadataStore, Outcome};

/// The store: its threads, each with its connection.
pub(crate) struct Sqlite {
    writer: WriteThread,
    reader: ReadThread,
    surveyor: ReadThread,
    /// Nobody else writes here, so all changes are rung from here.
    bells: Bells,
}

impl Sqlite {
    /// Opens the database, brings its schema up to date, and starts the threads. Blocks.
    pub(crate) fn open(path: &Path) -> Outcome<Self> {
        let writer = connect(path)?;
        let reading = || -> Outcome<ReadThread> {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let reader = Connection::open_with_flags(path, flags)?;
            prepare(&reader)?;
            ReadThread::start(reader)
        };
        Ok(Self {
            reader: reading()?,
            surveyor: reading()?,
            writer: WriteThread::start(writer)?,
            bells: Bells::default(),
        })
    }

    /// Runs `work` in the next commit and answers after it.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        self.writer.run(work).await
    }

    /// Runs `work` in the next commit, rings the folder's bell after it, and answers.
    async fn write_in<T: Send + 'static>(
        &self,
        folder: &FolderKey,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        let rope = self.bells.rope(folder);
        let (done, _rope) = self.writer.run(move |db| Ok((work(db)?, rope))).await?;
        Ok(done)
    }

    /// As [`Sqlite::read`], for work that looks at many rows: it holds up only its like.
    async fn survey<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        self.surveyor.run(work).await
    }

    /// Runs `work` against one snapshot.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Outcome<T> + Send + 'static,
    ) -> Outcome<T> {
        self.reader.run(work).await
    }
}

#[async_trait]
impl MetadataStore for Sqlite {
    async fn ping(&self) -> Outcome<()> {
        let ask = |db: &Connection| Ok(db.query_row("SELECT 1", (), |_| Ok(()))?);
        self.read(ask).await?;
        self.write(ask).await
    }
}

/// Opens the database for writing and brings its schema up to date.
fn connect(path: &Path) -> Outcome<Connection> {
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
