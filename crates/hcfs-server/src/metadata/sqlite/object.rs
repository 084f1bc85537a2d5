//! Which objects of the blob store rows point to.

use async_trait::async_trait;
use hcfs_model::CiphertextHash;
use rusqlite::{Connection, OptionalExtension, Row};

use super::file::{hash32, signed};
use super::{Sqlite, unsigned};
use crate::blobs::{BlobPlace, ObjectName};
use crate::metadata::{Objects, Outcome, PlacedBlob, Totals};

#[async_trait]
impl Objects for Sqlite {
    async fn unused(&self, grace: u64, after: Option<ObjectName>, limit: u32) -> Outcome<Vec<ObjectName>> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT object FROM unused_objects WHERE since <= unixepoch() - ?1 AND object > ?2
                 ORDER BY object LIMIT ?3",
            )?;
            let after = after.as_ref().map_or(&[][..], ObjectName::bytes);
            let rows = statement.query_map((signed(grace)?, after, limit), |row| object(row, 0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn mark_unused(&self, objects: Vec<ObjectName>) -> Outcome<()> {
        self.write(move |db| {
            let mut statement = db.prepare_cached(
                "INSERT INTO unused_objects (object, since) VALUES (?1, unixepoch()) ON CONFLICT DO NOTHING",
            )?;
            for object in &objects {
                statement.execute([object.bytes()])?;
            }
            Ok(())
        })
        .await
    }

    async fn unmark_unused(&self, objects: Vec<ObjectName>) -> Outcome<()> {
        self.write(move |db| {
            let mut statement = db.prepare_cached("DELETE FROM unused_objects WHERE object = ?1")?;
            for object in &objects {
                statement.execute([object.bytes()])?;
            }
            Ok(())
        })
        .await
    }

    async fn unmarked(&self, objects: Vec<ObjectName>) -> Outcome<Vec<ObjectName>> {
        self.read(move |db| without(db, objects, "SELECT 1 FROM unused_objects WHERE object = ?1")).await
    }

    async fn unreferenced(&self, objects: Vec<ObjectName>) -> Outcome<Vec<ObjectName>> {
        self.read(move |db| without(db, objects, "SELECT 1 FROM files WHERE object = ?1")).await
    }

    async fn placed(&self, shard: u8, after: Option<PlacedBlob>, limit: u32) -> Outcome<Vec<PlacedBlob>> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT id, object, object_at, blob_bytes, ciphertext_hash FROM files
                 WHERE (object, object_at, id) > (?1, ?2, ?3) AND object < ?4
                 ORDER BY object, object_at, id LIMIT ?5",
            )?;
            let first = [shard];
            let (object, at, row) = match &after {
                Some(after) => (after.place.object.bytes(), signed(after.place.at)?, after.row),
                None => (&first[..], 0, 0),
            };
            // The next shard; after the last one, more bytes than any name has.
            let end = shard.checked_add(1).map_or_else(|| vec![0xff; 33], |next| vec![next]);
            let rows = statement.query_map((object, at, row, end, limit), |row| {
                Ok(PlacedBlob { row: row.get(0)?, place: place(row, 1)?, ciphertext: CiphertextHash(hash32(row, 4)?) })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn place_of(&self, row: i64) -> Outcome<Option<BlobPlace>> {
        self.read(move |db| {
            Ok(db
                .prepare_cached("SELECT object, object_at, blob_bytes FROM files WHERE id = ?1")?
                .query_row([row], |row| place(row, 0))
                .optional()?)
        })
        .await
    }

    async fn move_blob(&self, blob: PlacedBlob, to: BlobPlace) -> Outcome<bool> {
        self.write(move |db| {
            let moved = db
                .prepare_cached(
                    "UPDATE files SET object = ?4, object_at = ?5 WHERE id = ?1 AND object = ?2 AND object_at = ?3",
                )?
                .execute((
                    blob.row,
                    blob.place.object.bytes(),
                    signed(blob.place.at)?,
                    to.object.bytes(),
                    signed(to.at)?,
                ))?;
            Ok(moved > 0)
        })
        .await
    }

    async fn totals(&self) -> Outcome<Totals> {
        self.read(|db| {
            Ok(db.query_row(
                "SELECT (SELECT count(*) FROM accounts), count(*), coalesce(sum(file_count), 0),
                        coalesce(sum(total_bytes), 0), (SELECT count(*) FROM sessions WHERE revision_id IS NULL),
                        (SELECT count(*) FROM unused_objects)
                 FROM folders WHERE label IS NOT NULL OR file_count > 0",
                (),
                |row| {
                    Ok(Totals {
                        accounts: unsigned(row, 0)?,
                        folders: unsigned(row, 1)?,
                        files: unsigned(row, 2)?,
                        bytes: unsigned(row, 3)?,
                        sessions: unsigned(row, 4)?,
                        unused_objects: unsigned(row, 5)?,
                    })
                },
            )?)
        })
        .await
    }
}

/// Those of `objects` for which `query` finds nothing.
fn without(db: &Connection, mut objects: Vec<ObjectName>, query: &str) -> Outcome<Vec<ObjectName>> {
    let mut statement = db.prepare_cached(query)?;
    let mut failed = None;
    objects.retain(|object| match statement.exists([object.bytes()]) {
        Ok(found) => !found,
        Err(error) => {
            failed = Some(error);
            false
        }
    });
    failed.map_or(Ok(objects), |error| Err(error.into()))
}

fn object(row: &Row<'_>, column: usize) -> rusqlite::Result<ObjectName> {
    let bytes = row.get_ref(column)?.as_blob()?;
    ObjectName::from_bytes(bytes).ok_or(rusqlite::Error::InvalidColumnType(
        column,
        "the name of an object".to_owned(),
        rusqlite::types::Type::Blob,
    ))
}

/// A place from the three columns that hold it.
pub(super) fn place(row: &Row<'_>, column: usize) -> rusqlite::Result<BlobPlace> {
    Ok(BlobPlace { object: object(row, column)?, at: unsigned(row, column + 1)?, length: unsigned(row, column + 2)? })
}
