//! Which objects of the blob store rows point to.

use async_trait::async_trait;
use hcfs_model::CiphertextHash;
use tokio_postgres::Row;

use super::{Postgres, bytes, signed, unsigned};
use crate::blobs::{BlobPlace, ObjectName};
use crate::metadata::{MetadataError, Objects, Outcome, PlacedBlob, Totals};

#[async_trait]
impl Objects for Postgres {
    async fn unused(&self, grace: u64, after: Option<ObjectName>, limit: u32) -> Outcome<Vec<ObjectName>> {
        let after = after.as_ref().map_or(&[][..], ObjectName::bytes);
        let rows = self
            .rows(
                "SELECT object FROM unused_objects
                 WHERE since <= extract(epoch FROM now())::bigint - $1 AND object > $2 ORDER BY object LIMIT $3",
                &[&signed(grace)?, &after, &i64::from(limit)],
            )
            .await?;
        rows.iter().map(|row| object(row, 0)).collect()
    }

    async fn mark_unused(&self, mut objects: Vec<ObjectName>) -> Outcome<()> {
        objects.sort_unstable();
        self.execute(
            "INSERT INTO unused_objects (object, since)
             SELECT object, extract(epoch FROM now())::bigint FROM unnest($1::bytea[]) AS marked (object)
             ORDER BY object ON CONFLICT DO NOTHING",
            &[&names(&objects)],
        )
        .await?;
        Ok(())
    }

    async fn unmark_unused(&self, objects: Vec<ObjectName>) -> Outcome<()> {
        self.execute("DELETE FROM unused_objects WHERE object = ANY ($1)", &[&names(&objects)]).await?;
        Ok(())
    }

    async fn unmarked(&self, objects: Vec<ObjectName>) -> Outcome<Vec<ObjectName>> {
        self.without(&objects, "SELECT 1 FROM unused_objects u WHERE u.object = asked.object").await
    }

    async fn unreferenced(&self, objects: Vec<ObjectName>) -> Outcome<Vec<ObjectName>> {
        self.without(&objects, "SELECT 1 FROM files f WHERE f.object = asked.object").await
    }

    async fn placed(&self, shard: u8, after: Option<PlacedBlob>, limit: u32) -> Outcome<Vec<PlacedBlob>> {
        let first = [shard];
        let (object, at, row) = match &after {
            Some(after) => (after.place.object.bytes(), signed(after.place.at)?, after.row),
            None => (&first[..], 0, 0),
        };
        // The next shard; after the last one, more bytes than any name has.
        let end = shard.checked_add(1).map_or_else(|| vec![0xff; 33], |next| vec![next]);
        let rows = self
            .rows(
                "SELECT object, object_at, blob_bytes, ciphertext_hash, id FROM files
                 WHERE (object, object_at, id) > ($1, $2, $3) AND object < $4
                 ORDER BY object, object_at, id LIMIT $5",
                &[&object, &at, &row, &end, &i64::from(limit)],
            )
            .await?;
        rows.iter()
            .map(|row| {
                let ciphertext = CiphertextHash(bytes(row, 3)?);
                Ok(PlacedBlob { row: row.try_get(4)?, place: place(row, 0)?, ciphertext })
            })
            .collect()
    }

    async fn place_of(&self, row: i64) -> Outcome<Option<BlobPlace>> {
        let found = self.row("SELECT object, object_at, blob_bytes FROM files WHERE id = $1", &[&row]).await?;
        found.map(|row| place(&row, 0)).transpose()
    }

    async fn move_blob(&self, blob: PlacedBlob, to: BlobPlace) -> Outcome<bool> {
        let moved = self
            .execute(
                "UPDATE files SET object = $4, object_at = $5 WHERE id = $1 AND object = $2 AND object_at = $3",
                &[&blob.row, &blob.place.object.bytes(), &signed(blob.place.at)?, &to.object.bytes(), &signed(to.at)?],
            )
            .await?;
        Ok(moved > 0)
    }

    async fn totals(&self) -> Outcome<Totals> {
        let row = self
            .row(
                "SELECT (SELECT count(*) FROM accounts), count(*), coalesce(sum(file_count), 0)::bigint,
                        coalesce(sum(total_bytes), 0)::bigint,
                        (SELECT count(*) FROM sessions WHERE revision_id IS NULL),
                        (SELECT count(*) FROM unused_objects)
                 FROM folders WHERE label IS NOT NULL OR file_count > 0",
                &[],
            )
            .await?
            .ok_or(MetadataError::Impossible("sums without a row"))?;
        Ok(Totals {
            accounts: unsigned(&row, 0)?,
            folders: unsigned(&row, 1)?,
            files: unsigned(&row, 2)?,
            bytes: unsigned(&row, 3)?,
            sessions: unsigned(&row, 4)?,
            unused_objects: unsigned(&row, 5)?,
        })
    }
}

impl Postgres {
    /// Those of `objects` for which `query` finds nothing.
    async fn without(&self, objects: &[ObjectName], query: &str) -> Outcome<Vec<ObjectName>> {
        let query =
            format!("SELECT asked.object FROM unnest($1::bytea[]) AS asked (object) WHERE NOT EXISTS ({query})");
        let rows = self.rows(&query, &[&names(objects)]).await?;
        rows.iter().map(|row| object(row, 0)).collect()
    }
}

fn names(objects: &[ObjectName]) -> Vec<&[u8]> {
    objects.iter().map(ObjectName::bytes).collect()
}

fn object(row: &Row, column: usize) -> Outcome<ObjectName> {
    ObjectName::from_bytes(row.try_get(column)?).ok_or(MetadataError::Impossible("the name of an object"))
}

/// A place from the three columns that hold it.
pub(super) fn place(row: &Row, column: usize) -> Outcome<BlobPlace> {
    Ok(BlobPlace { object: object(row, column)?, at: unsigned(row, column + 1)?, length: unsigned(row, column + 2)? })
}
