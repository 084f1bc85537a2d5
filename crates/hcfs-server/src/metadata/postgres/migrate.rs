//! Numbered migrations: each is applied once, in order, and its text never changes afterwards.

use deadpool_postgres::Object;

use super::bytes;
use crate::metadata::{MetadataError, Outcome};

/// The migrations, in order; the number of the first is 1.
const MIGRATIONS: &[&str] = &[include_str!("../../../../../migrations/server/postgres/0001_store.sql")];

/// The advisory lock that servers starting at the same time take one after the other.
const LOCK: i64 = 0x6863_6673_6d69_6772;

/// Brings the schema up to date in one transaction, so a crash leaves the old one or the new one.
pub(super) async fn migrate(client: &mut Object) -> Outcome<()> {
    let tx = client.transaction().await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    tx.batch_execute(
        "CREATE TABLE IF NOT EXISTS migrations (
            number BIGINT PRIMARY KEY, checksum BYTEA NOT NULL CHECK (length(checksum) = 32)
        )",
    )
    .await?;
    let applied = tx.query("SELECT number, checksum FROM migrations ORDER BY number", &[]).await?;
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if let Some(last) = applied.last()
        && last.try_get::<_, i64>(0)? > known
    {
        return Err(MetadataError::Newer { found: last.try_get(0)?, known });
    }
    for (index, text) in MIGRATIONS.iter().enumerate() {
        let number = i64::try_from(index + 1).unwrap_or(i64::MAX);
        let checksum = *blake3::hash(text.as_bytes()).as_bytes();
        match applied.get(index) {
            Some(row) if row.try_get::<_, i64>(0)? != number || bytes(row, 1)? != checksum => {
                return Err(MetadataError::ForeignMigration(number));
            }
            Some(_) => {}
            None => {
                tx.batch_execute(text).await?;
                tx.execute("INSERT INTO migrations (number, checksum) VALUES ($1, $2)", &[&number, &&checksum[..]])
                    .await?;
            }
        }
    }
    Ok(tx.commit().await?)
}
