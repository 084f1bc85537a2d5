//! Publications.

use async_trait::async_trait;
use hcfs_model::CiphertextHash;

use super::folder::lock_folder;
use super::object::place;
use super::{Postgres, bytes, transaction};
use crate::blobs::BlobPlace;
use crate::metadata::folder::folder_bytes;
use crate::metadata::{FileKey, Outcome, Publications};

#[async_trait]
impl Publications for Postgres {
    async fn publish(&self, key: FileKey, now: i64) -> Outcome<Option<CiphertextHash>> {
        transaction!(self, |tx| async {
            // With the folder locked: an upload that changes the file comes before, or ends the publication.
            let Some(folder_id) = lock_folder(&tx, &key.folder).await? else { return Ok(None) };
            let row = tx
                .query_opt(
                    "INSERT INTO publications (file_id, ciphertext_hash, published_at)
                     SELECT id, ciphertext_hash, $3 FROM files WHERE folder_id = $1 AND path_hash = $2
                     ON CONFLICT (file_id) DO UPDATE SET ciphertext_hash = excluded.ciphertext_hash
                     RETURNING ciphertext_hash",
                    &[&folder_id, &&key.file.0[..], &now],
                )
                .await?;
            row.map(|row| Ok(CiphertextHash(bytes(&row, 0)?))).transpose()
        })
    }

    async fn withdraw(&self, key: FileKey) -> Outcome<Option<CiphertextHash>> {
        let row = self
            .row(
                "DELETE FROM publications p USING files r, folders f, accounts a
                 WHERE r.id = p.file_id AND f.id = r.folder_id AND a.id = f.account_id
                   AND a.ss58 = $1 AND f.hash = $2 AND r.path_hash = $3
                 RETURNING p.ciphertext_hash",
                &[&key.folder.account.as_str(), &&folder_bytes(key.folder.folder)[..], &&key.file.0[..]],
            )
            .await?;
        row.map(|row| Ok(CiphertextHash(bytes(&row, 0)?))).transpose()
    }

    async fn published(&self, hash: CiphertextHash) -> Outcome<Option<BlobPlace>> {
        let row = self
            .row(
                "SELECT f.object, f.object_at, f.blob_bytes FROM publications p JOIN files f ON f.id = p.file_id
                 WHERE p.ciphertext_hash = $1 LIMIT 1",
                &[&&hash.0[..]],
            )
            .await?;
        row.map(|row| place(&row, 0)).transpose()
    }
}
