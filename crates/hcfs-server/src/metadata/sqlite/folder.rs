//! Folders: registration, and the row every file of a folder hangs on.

use async_trait::async_trait;
use hcfs_model::{AccountAddress, FolderHash};
use rusqlite::{Connection, OptionalExtension};

use super::{Sqlite, account_id, find_account, unsigned};
use crate::metadata::folder::folder_bytes;
use crate::metadata::{FolderKey, FolderRow, Folders, MetadataError, Outcome};

/// The row id of a folder, if it has a row.
pub(super) fn find_folder(db: &Connection, key: &FolderKey) -> Outcome<Option<i64>> {
    let Some(account_id) = find_account(db, &key.account)? else { return Ok(None) };
    Ok(db
        .prepare_cached("SELECT id FROM folders WHERE account_id = ?1 AND hash = ?2")?
        .query_row((account_id, folder_bytes(key.folder)), |row| row.get(0))
        .optional()?)
}

/// The row id of a folder, which is made if there is none. Files may be stored in a folder that is not registered.
pub(super) fn folder_id(db: &Connection, key: &FolderKey, now: i64) -> Outcome<i64> {
    if let Some(id) = find_folder(db, key)? {
        return Ok(id);
    }
    let account_id = account_id(db, &key.account, now)?;
    db.prepare_cached("INSERT INTO folders (account_id, hash, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)")?
        .execute((account_id, folder_bytes(key.folder), now))?;
    Ok(db.last_insert_rowid())
}

/// Sets when a folder was last changed.
pub(super) fn touch(db: &Connection, folder_id: i64, now: i64) -> Outcome<()> {
    db.prepare_cached("UPDATE folders SET updated_at = max(updated_at, ?2) WHERE id = ?1")?
        .execute((folder_id, now))?;
    Ok(())
}

#[async_trait]
impl Folders for Sqlite {
    async fn register(&self, key: FolderKey, label: String, device: Option<String>, now: i64) -> Outcome<()> {
        self.write(move |db| {
            let id = folder_id(db, &key, now)?;
            db.prepare_cached(
                "UPDATE folders SET label = ?2, device_name = coalesce(?3, device_name),
                        updated_at = max(updated_at, ?4) WHERE id = ?1",
            )?
            .execute((id, label, device, now))?;
            Ok(())
        })
        .await
    }

    async fn folders(&self, account: AccountAddress) -> Outcome<Vec<FolderRow>> {
        self.read(move |db| {
            let Some(account_id) = find_account(db, &account)? else { return Ok(Vec::new()) };
            let mut statement = db.prepare_cached(
                "SELECT label, lower(hex(hash)), device_name, file_count, total_bytes, created_at, updated_at
                 FROM folders WHERE account_id = ?1 AND label IS NOT NULL ORDER BY label, hash",
            )?;
            let mut rows = statement.query([account_id])?;
            let mut folders = Vec::new();
            while let Some(row) = rows.next()? {
                let hash: String = row.get(1)?;
                folders.push(FolderRow {
                    label: row.get(0)?,
                    hash: FolderHash::from_hex(&hash).map_err(|_| MetadataError::Impossible("a folder hash"))?,
                    device_name: row.get(2)?,
                    file_count: unsigned(row, 3)?,
                    total_bytes: unsigned(row, 4)?,
                    created_at: row.get(5)?,
                    updated_at: row.get(6)?,
                });
            }
            Ok(folders)
        })
        .await
    }

    async fn unregister(&self, key: FolderKey, now: i64) -> Outcome<Option<u64>> {
        self.write_in(&key.clone(), move |db| {
            let Some(id) = find_folder(db, &key)? else { return Ok(None) };
            let registered: bool =
                db.query_row("SELECT label IS NOT NULL FROM folders WHERE id = ?1", [id], |row| row.get(0))?;
            let removed = db.execute("DELETE FROM files WHERE folder_id = ?1", [id])?;
            if !registered && removed == 0 {
                return Ok(None);
            }
            db.execute("DELETE FROM tombstones WHERE folder_id = ?1", [id])?;
            // The tombstones are gone: whoever knows the folder from before has to read all of it.
            db.execute(
                "UPDATE folders SET label = NULL, device_name = NULL, changes = changes + 1, feed_floor = changes + 1,
                        state_tag = randomblob(8) WHERE id = ?1",
                [id],
            )?;
            touch(db, id, now)?;
            Ok(Some(removed as u64))
        })
        .await
    }
}
