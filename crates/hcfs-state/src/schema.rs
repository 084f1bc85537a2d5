//! Migrations: numbered, applied once, never edited.
//!
//! Each is an SQL file whose checksum is kept in the database it made. A database whose checksums differ was made by
//! something else and is treated as damaged; one with more migrations than this program has was made by a newer
//! program and is left alone.

use std::sync::OnceLock;

use rusqlite::types::FromSql;
use rusqlite::{Connection, params};

use crate::{Identity, StateError};

/// What a kind of database is made of.
pub(crate) struct Schema {
    /// The migrations in their order; the version after one is its place, from 1. Append only.
    pub(crate) migrations: &'static [&'static str],
    /// What tells these databases from others.
    pub(crate) application_id: i64,
    /// The shape of the newest version, made once: it is what every database but an old one has.
    pub(crate) newest: OnceLock<Shape>,
}

/// The state of a folder.
pub(crate) static TREES: Schema = Schema {
    migrations: &[
        include_str!("../../../migrations/state/0001_trees.sql"),
        include_str!("../../../migrations/state/0002_conflict_times.sql"),
    ],
    // `HCFS`
    application_id: 0x4843_4653,
    newest: OnceLock::new(),
};

/// The role of the synced folder itself in the table `folder`.
const FILES: &str = "files";

impl Schema {
    /// The version a database has, if this program can use it; 0 for an empty one.
    ///
    /// # Errors
    /// Newer, or not a database of this kind.
    pub(crate) fn version(&self, connection: &Connection) -> Result<usize, StateError> {
        let found: u32 = one(connection, "PRAGMA user_version")?;
        let tables: i64 = one(connection, "SELECT count(*) FROM sqlite_schema")?;
        if found == 0 && tables == 0 {
            return Ok(0);
        }
        if one::<i64>(connection, "PRAGMA application_id")? != self.application_id {
            return Err(StateError::corrupt("it is another program's database"));
        }
        let applied = applied(connection)?;
        // The header alone does not make a database newer: its migrations must say so too.
        if usize::try_from(found) != Ok(applied.len()) {
            return Err(StateError::corrupt("its version is not that of its migrations"));
        }
        for (at, (sql, checksum)) in self.migrations.iter().zip(&applied).enumerate() {
            if *checksum != checksum_of(sql) {
                return Err(StateError::corrupt(format!("migration {} has another checksum", at + 1)));
            }
        }
        let Some(migrations) = self.migrations.get(..applied.len()) else {
            let known = u32::try_from(self.migrations.len()).unwrap_or(u32::MAX);
            return Err(StateError::Newer { found, known });
        };
        if !self.has_shape(&shape(connection)?, migrations)? {
            return Err(StateError::corrupt("its tables are not those of its migrations"));
        }
        Ok(applied.len())
    }

    /// Whether a database of these migrations looks like `found`.
    fn has_shape(&self, found: &Shape, migrations: &[&str]) -> Result<bool, StateError> {
        let is_newest = migrations.len() == self.migrations.len();
        if let Some(newest) = self.newest.get().filter(|_| is_newest) {
            return Ok(found == newest);
        }
        let model = Connection::open_in_memory()?;
        migrations.iter().try_for_each(|sql| model.execute_batch(sql))?;
        let model = shape(&model)?;
        let is_sound = *found == model;
        if is_newest {
            // Another thread may have made the same.
            let _ = self.newest.set(model);
        }
        Ok(is_sound)
    }

    /// Applies the migrations above `version`, all or none; a new database is given what `seed` puts in with them.
    pub(crate) fn migrate(
        &self,
        connection: &mut Connection,
        version: usize,
        seed: impl FnOnce(&Connection) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        if version == self.migrations.len() {
            return Ok(());
        }
        let transaction = connection.transaction()?;
        for (at, sql) in self.migrations.iter().enumerate().skip(version) {
            let number = u32::try_from(at + 1).unwrap_or(u32::MAX);
            transaction.execute_batch(sql)?;
            transaction.execute(
                "INSERT INTO migration (version, checksum) VALUES (?1, ?2)",
                params![number, checksum_of(sql)],
            )?;
            transaction.pragma_update(None, "user_version", number)?;
        }
        if version == 0 {
            seed(&transaction)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

/// The value of a statement that gives one.
fn one<T: FromSql>(connection: &Connection, sql: &str) -> Result<T, StateError> {
    Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
}

/// The tables and indices of a database, as they were declared: kind, name and statement.
pub(crate) type Shape = Vec<(String, String, Option<String>)>;

fn shape(connection: &Connection) -> Result<Shape, StateError> {
    let mut statement = connection.prepare_cached("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")?;
    let shape = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(shape.collect::<rusqlite::Result<_>>()?)
}

fn checksum_of(sql: &str) -> [u8; 32] {
    *blake3::hash(sql.as_bytes()).as_bytes()
}

/// The checksums of the applied migrations, which must be numbered from 1 without a gap.
fn applied(connection: &Connection) -> Result<Vec<[u8; 32]>, StateError> {
    let mut checksums = Vec::new();
    let mut statement = connection
        .prepare_cached("SELECT version, checksum FROM migration ORDER BY version")
        .map_err(|error| schema_error(error, "it has no migrations"))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (version, checksum): (i64, [u8; 32]) = (row.get(0)?, row.get(1)?);
        checksums.push(checksum);
        if usize::try_from(version) != Ok(checksums.len()) {
            return Err(StateError::corrupt("its migrations have a gap"));
        }
    }
    Ok(checksums)
}

/// A table or column that must exist and does not is damage; anything else is what it is.
fn schema_error(error: rusqlite::Error, what: &str) -> StateError {
    match StateError::from(error) {
        StateError::Sqlite(rusqlite::Error::SqlInputError { .. } | rusqlite::Error::SqliteFailure(..)) => {
            StateError::corrupt(what)
        }
        other => other,
    }
}

/// Whether a database of version 1 or later belongs to `identity`.
pub(crate) fn verify_identity(connection: &Connection, identity: &Identity) -> Result<(), StateError> {
    let (account, folder): (String, String) = connection
        .prepare_cached("SELECT account, hash FROM folder WHERE role = ?1")
        .and_then(|mut statement| statement.query_row([FILES], |row| Ok((row.get(0)?, row.get(1)?))))
        .map_err(|error| match error {
            rusqlite::Error::QueryReturnedNoRows => StateError::corrupt("it belongs to no folder"),
            other => schema_error(other, "it has no folder"),
        })?;
    if account != identity.account.as_str() || folder != identity.folder.to_hex() {
        return Err(StateError::OtherIdentity { account, folder });
    }
    Ok(())
}

/// Gives a new database its identity.
pub(crate) fn seed_identity(connection: &Connection, identity: &Identity) -> Result<(), StateError> {
    connection.execute(
        "INSERT INTO folder (role, account, hash) VALUES (?1, ?2, ?3)",
        params![FILES, identity.account.as_str(), identity.folder.to_hex()],
    )?;
    Ok(())
}
