//! Publications.

use async_trait::async_trait;
use hcfs_model::CiphertextHash;
use rusqlite::OptionalExtension;

use super::Sqlite;
use super::file::hash32;
use super::folder::find_folder;
use super::object::place;
use crate::blobs::BlobPlace;
use crate::metadata::{FileKey, Outcome, Publications};

#[async_trait]
impl Publications for Sqlite {
    async fn publish(&self, key: FileKey, now: i64) -> Outcome<Option<CiphertextHash>> {
        self.write(move |db| {
            let Some(folder_id) = find_folder(db, &key.folder)? else { return Ok(None) };
            Ok(db
                .prepare_cached(
                    "INSERT INTO publications (file_id, ciphertext_hash, published_at)
                     SELECT id, ciphertext_hash, ?3 FROM files WHERE folder_id = ?1 AND path_hash = ?2
                     ON CONFLICT DO UPDATE SET ciphertext_hash = excluded.ciphertext_hash
                     RETURNING ciphertext_hash",
                )?
                .query_row((folder_id, key.file.0, now), |row| Ok(CiphertextHash(hash32(row, 0)?)))
                .optional()?)
        })
        .await
    }

    async fn withdraw(&self, key: FileKey) -> Outcome<Option<CiphertextHash>> {
        self.write(move |db| {
            let Some(folder_id) = find_folder(db, &key.folder)? else { return Ok(None) };
            Ok(db
                .prepare_cached(
                    "DELETE FROM publications
                     WHERE file_id = (SELECT id FROM files WHERE folder_id = ?1 AND path_hash = ?2)
                     RETURNING ciphertext_hash",
                )?
                .query_row((folder_id, key.file.0), |row| Ok(CiphertextHash(hash32(row, 0)?)))
                .optional()?)
        })
        .await
    }

    async fn published(&self, hash: CiphertextHash) -> Outcome<Option<BlobPlace>> {
        self.read(move |db| {
            Ok(db
                .prepare_cached(
                    "SELECT f.object, f.object_at, f.blob_bytes FROM publications p JOIN files f ON f.id = p.file_id
                     WHERE p.ciphertext_hash = ?1 LIMIT 1",
                )?
                .query_row([hash.0], |row| place(row, 0))
                .optional()?)
        })
        .await
    }
}
