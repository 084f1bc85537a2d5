//! Numbered migrations: each is applied once, in order, and its text never changes afterwards.

use rusqlite::{Connection, TransactionBehavior};

use crate::metadata::{MetadataError, Outcome};

/// The migrations, in order; the number of the first is 1.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../../../migrations/server/sqlite/0001_store.sql"),
    include_str!("../../../../../migrations/server/sqlite/0002_objects.sql"),
    include_str!("../../../../../migrations/server/sqlite/0003_feed.sql"),
    include_str!("../../../../../migrations/server/sqlite/0004_login.sql"),
    include_str!("../../../../../migrations/server/sqlite/0005_names.sql"),
];

/// Brings the schema up to date in one transaction, so a crash leaves the old one or the new one.
pub(super) fn migrate(db: &mut Connection) -> Outcome<()> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS migrations (
            number INTEGER PRIMARY KEY, checksum BLOB NOT NULL CHECK (length(checksum) = 32)
        ) STRICT",
    )?;
    let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = newest();
    if version > known {
        return Err(MetadataError::Newer { found: version, known });
    }
    for (number, text) in (1..).zip(MIGRATIONS) {
        let checksum = *blake3::hash(text.as_bytes()).as_bytes();
        if number <= version {
            let applied: Vec<u8> =
                tx.query_row("SELECT checksum FROM migrations WHERE number = ?1", [number], |row| row.get(0))?;
            if applied != checksum {
                return Err(MetadataError::ForeignMigration(number));
            }
        } else {
            tx.execute_batch(text)?;
            tx.execute("INSERT INTO migrations (number, checksum) VALUES (?1, ?2)", (number, checksum))?;
        }
    }
    tx.pragma_update(None, "user_version", known)?;
    Ok(tx.commit()?)
}

fn newest() -> i64 {
    (1..).zip(MIGRATIONS).map(|(number, _)| number).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_newer_database_and_another_text_of_a_migration() {
        let mut db = Connection::open_in_memory().unwrap();
        migrate(&mut db).unwrap();
        migrate(&mut db).unwrap();

        db.execute("UPDATE migrations SET checksum = zeroblob(32) WHERE number = 1", ()).unwrap();
        assert!(matches!(migrate(&mut db), Err(MetadataError::ForeignMigration(1))));

        db.pragma_update(None, "user_version", newest() + 1).unwrap();
        assert!(matches!(migrate(&mut db), Err(MetadataError::Newer { found, .. }) if found == newest() + 1));
    }
}
