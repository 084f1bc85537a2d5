//! An SQLite database of this program: opened, checked and brought to the newest version.

use std::time::Duration;

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::StateError;
use crate::place::{Connected, Held, Place};
use crate::schema::Schema;

/// How long a call waits for a program that reads the database behind the lock's back.
const BUSY: Duration = Duration::from_millis(250);

/// An opened database. Its log is kept when it is closed, until [`Place::keep_log`] says otherwise: what is found wrong
/// with it must leave its files as they are.
pub(crate) struct Attached {
    pub(crate) connection: Held,
    /// Whether it was made just now.
    pub(crate) is_fresh: bool,
    /// Whether the last one who had it did not close it.
    pub(crate) unclean: bool,
}

/// Whether an SQLite is free of the defect that can damage a database in WAL mode (3.7.0 to 3.51.2).
fn is_sound(version: i32) -> bool {
    version >= 3_051_003
}

/// Refuses an SQLite that can damage databases.
pub(crate) fn check_library() -> Result<(), StateError> {
    if is_sound(rusqlite::version_number()) {
        return Ok(());
    }
    Err(StateError::SqliteTooOld { version: rusqlite::version().to_owned() })
}

/// Opens the database, and makes it if there is none. `verify` looks at one that was there before anything in
/// it is changed; `seed` fills a new one.
pub(crate) fn attach(
    place: &dyn Place,
    schema: &Schema,
    verify: impl FnOnce(&Connection) -> Result<(), StateError>,
    seed: impl FnOnce(&Connection) -> Result<(), StateError>,
) -> Result<Attached, StateError> {
    let Connected { mut connection, is_unclean: unclean } = place.connect()?;
    configure(&connection)?;
    let version = schema.version(&connection)?;
    if version > 0 {
        if unclean {
            quick_check(&connection)?;
        }
        verify(&connection)?;
    }
    // Until the database is known to be good and ours, what its files hold stays as it is, whatever happens.
    place.keep_log(&connection, true)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "journal_size_limit", 16 << 20)?;
    schema.migrate(&mut connection, version, seed)?;
    Ok(Attached { connection, is_fresh: version == 0, unclean })
}

/// Settings that write nothing.
fn configure(connection: &Connection) -> Result<(), StateError> {
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // Else a statement with `LIMIT ?` is compiled anew with every value it is given.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // Negative: KiB. Writes come in path order and need few pages; revision marks are the exception.
    connection.pragma_update(None, "cache_size", -8192)?;
    connection.set_prepared_statement_cache_capacity(96);
    Ok(())
}

fn quick_check(connection: &Connection) -> Result<(), StateError> {
    let found: String = connection.prepare_cached("PRAGMA quick_check(1)")?.query_row([], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(StateError::corrupt(found)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sqlite_with_the_known_defect_is_refused() {
        assert_eq!([3_051_002, 3_051_003].map(is_sound), [false, true]);
        check_library().unwrap();
    }
}
