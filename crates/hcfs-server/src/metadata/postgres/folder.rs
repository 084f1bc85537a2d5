//! Folders: registration, and the row every file of a folder hangs on.

use async_trait::async_trait;
use deadpool_postgres::{GenericClient, Transaction};
use hcfs_model::{AccountAddress, FolderHash};

use super::{Postgres, text, transaction, unsigned};
use crate::metadata::folder::folder_bytes;
use crate::metadata::{FolderKey, FolderRow, Folders, MetadataError, Outcome};

/// The row id of an account, which is made if there is none.
pub(super) async fn account_id(client: &impl GenericClient, account: &AccountAddress, now: i64) -> Outcome<i64> {
    let find = client.prepare_cached("SELECT id FROM accounts WHERE ss58 = $1").await?;
    if let Some(row) = client.query_opt(&find, &[&account.as_str()]).await? {
        return Ok(row.try_get(0)?);
    }
    client
        .execute(
            "INSERT INTO accounts (ss58, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[&account.as_str(), &now],
        )
        .await?;
    Ok(client.query_one(&find, &[&account.as_str()]).await?.try_get(0)?)
}

/// The row id of a folder, if it has a row.
pub(super) async fn find_folder(client: &impl GenericClient, key: &FolderKey) -> Outcome<Option<i64>> {
    let statement = client
        .prepare_cached(
            "SELECT f.id FROM folders f JOIN accounts a ON a.id = f.account_id WHERE a.ss58 = $1 AND f.hash = $2",
        )
        .await?;
    let row = client.query_opt(&statement, &[&key.account.as_str(), &&folder_bytes(key.folder)[..]]).await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// Locks a folder until the end of the transaction, and gives its row id; `None` when it has no row.
pub(super) async fn lock_folder(tx: &Transaction<'_>, key: &FolderKey) -> Outcome<Option<i64>> {
    let statement = tx
        .prepare_cached(
            "SELECT f.id FROM folders f JOIN accounts a ON a.id = f.account_id
             WHERE a.ss58 = $1 AND f.hash = $2 FOR NO KEY UPDATE OF f",
        )
        .await?;
    let row = tx.query_opt(&statement, &[&key.account.as_str(), &&folder_bytes(key.folder)[..]]).await?;
    row.map(|row| Ok(row.try_get(0)?)).transpose()
}

/// The same, but a folder without a row gets one. Files may be stored in a folder that is not registered.
pub(super) async fn lock_or_make_folder(tx: &Transaction<'_>, key: &FolderKey, now: i64) -> Outcome<i64> {
    if let Some(id) = lock_folder(tx, key).await? {
        return Ok(id);
    }
    let account_id = account_id(tx, &key.account, now).await?;
    tx.execute(
        "INSERT INTO folders (account_id, hash, created_at, updated_at) VALUES ($1, $2, $3, $3) ON CONFLICT DO NOTHING",
        &[&account_id, &&folder_bytes(key.folder)[..], &now],
    )
    .await?;
    lock_folder(tx, key).await?.ok_or(MetadataError::Impossible("a folder that is gone"))
}

/// Sets when a folder was last changed.
pub(super) async fn touch(tx: &Transaction<'_>, folder_id: i64, now: i64) -> Outcome<()> {
    let statement = tx.prepare_cached("UPDATE folders SET updated_at = $2 WHERE id = $1 AND updated_at < $2").await?;
    tx.execute(&statement, &[&folder_id, &now]).await?;
    Ok(())
}

#[async_trait]
impl Folders for Postgres {
    async fn register(&self, key: FolderKey, label: String, device: Option<String>, now: i64) -> Outcome<()> {
        transaction!(self, |tx| async {
            let id = lock_or_make_folder(&tx, &key, now).await?;
            tx.execute(
                "UPDATE folders SET label = $2, device_name = coalesce($3, device_name),
                        updated_at = greatest(updated_at, $4) WHERE id = $1",
                &[&id, &text(&label), &device.as_deref().map(text), &now],
            )
            .await?;
            Ok(())
        })
    }

    async fn folders(&self, account: AccountAddress) -> Outcome<Vec<FolderRow>> {
        // By bytes, as the other store orders them, whatever the database's language.
        let rows = self
            .rows(
                "SELECT f.label, encode(f.hash, 'hex'), f.device_name, f.file_count, f.total_bytes, f.created_at,
                        f.updated_at
                 FROM folders f JOIN accounts a ON a.id = f.account_id
                 WHERE a.ss58 = $1 AND f.label IS NOT NULL ORDER BY f.label COLLATE \"C\", f.hash",
                &[&account.as_str()],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(FolderRow {
                    label: row.try_get(0)?,
                    hash: FolderHash::from_hex(row.try_get(1)?)
                        .map_err(|_| MetadataError::Impossible("a folder hash"))?,
                    device_name: row.try_get(2)?,
                    file_count: unsigned(row, 3)?,
                    total_bytes: unsigned(row, 4)?,
                    created_at: row.try_get(5)?,
                    updated_at: row.try_get(6)?,
                })
            })
            .collect()
    }

    async fn unregister(&self, key: FolderKey, now: i64) -> Outcome<Option<u64>> {
        let done = transaction!(self, |tx| async {
            let Some(id) = lock_folder(&tx, &key).await? else { return Ok(None) };
            let registered: bool =
                tx.query_one("SELECT label IS NOT NULL FROM folders WHERE id = $1", &[&id]).await?.try_get(0)?;
            let removed = tx.execute("DELETE FROM files WHERE folder_id = $1", &[&id]).await?;
            if !registered && removed == 0 {
                return Ok(None);
            }
            tx.execute("DELETE FROM tombstones WHERE folder_id = $1", &[&id]).await?;
            // The tombstones are gone: whoever knows the folder from before has to read all of it.
            tx.execute(
                "UPDATE folders SET label = NULL, device_name = NULL, changes = changes + 1, feed_floor = changes + 1,
                        state_tag = substring(uuid_send(gen_random_uuid()) FOR 8) WHERE id = $1",
                &[&id],
            )
            .await?;
            touch(&tx, id, now).await?;
            Ok(Some(removed))
        });
        self.rung(&key, done)
    }
}
