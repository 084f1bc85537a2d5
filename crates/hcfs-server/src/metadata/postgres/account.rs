//! What an account has in all.

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use hcfs_model::AccountAddress;
use tokio_postgres::Row;

use super::folder::account_id;
use super::{Postgres, signed, transaction, unsigned};
use crate::metadata::{AccountRow, Accounts, MetadataError, Outcome, Summary, Usage};

#[async_trait]
impl Accounts for Postgres {
    async fn summary(&self, account: AccountAddress) -> Outcome<Summary> {
        let row = self
            .row(
                "SELECT coalesce(sum(f.total_bytes), 0)::bigint, coalesce(sum(f.file_count), 0)::bigint,
                        a.created_at, greatest(a.created_at, coalesce(max(f.updated_at), 0))
                 FROM accounts a LEFT JOIN folders f ON f.account_id = a.id
                 WHERE a.ss58 = $1 GROUP BY a.id",
                &[&account.as_str()],
            )
            .await?;
        let Some(row) = row else { return Ok(Summary::default()) };
        Ok(Summary {
            total_bytes: unsigned(&row, 0)?,
            file_count: unsigned(&row, 1)?,
            created_at: row.try_get(2)?,
            updated_at: row.try_get(3)?,
        })
    }

    async fn usage(&self, account: AccountAddress, now: i64) -> Outcome<Usage> {
        let row = self
            .row(
                "SELECT (SELECT coalesce(sum(total_bytes), 0)::bigint FROM folders WHERE account_id = a.id),
                        (SELECT coalesce(sum(ciphertext_size), 0)::bigint FROM sessions
                         WHERE account_id = a.id AND revision_id IS NULL AND expires_at > $2),
                        a.quota_bytes
                 FROM accounts a WHERE a.ss58 = $1",
                &[&account.as_str(), &now],
            )
            .await?;
        let Some(row) = row else { return Ok(Usage::default()) };
        Ok(Usage { stored: unsigned(&row, 0)?, announced: unsigned(&row, 1)?, quota: quota(&row, 2)? })
    }

    async fn open_account(&self, account: AccountAddress, now: i64) -> Outcome<()> {
        transaction!(self, |tx| async { open_account(&tx, &account, now).await.map(drop) })
    }

    async fn close_account(&self, account: AccountAddress, now: i64) -> Outcome<bool> {
        transaction!(self, |tx| async {
            let Some((id, _)) = lock_account(&tx, &account).await? else { return Ok(false) };
            tx.execute("DELETE FROM tokens WHERE account_id = $1", &[&id]).await?;
            tx.execute("UPDATE accounts SET closed_at = coalesce(closed_at, $2) WHERE id = $1", &[&id, &now]).await?;
            Ok(true)
        })
    }

    async fn set_quota(&self, account: AccountAddress, quota: Option<u64>) -> Outcome<bool> {
        let quota = quota.map(signed).transpose()?;
        let set =
            self.execute("UPDATE accounts SET quota_bytes = $2 WHERE ss58 = $1", &[&account.as_str(), &quota]).await?;
        Ok(set > 0)
    }

    async fn accounts(&self, after: Option<AccountAddress>, limit: u32) -> Outcome<Vec<AccountRow>> {
        let after = after.as_ref().map_or("", AccountAddress::as_str);
        let rows = self
            .rows(
                "SELECT ss58, created_at, closed_at IS NOT NULL, quota_bytes,
                        (SELECT coalesce(sum(total_bytes), 0)::bigint FROM folders WHERE account_id = a.id),
                        (SELECT coalesce(sum(file_count), 0)::bigint FROM folders WHERE account_id = a.id)
                 FROM accounts a WHERE ss58 > $1 ORDER BY ss58 LIMIT $2",
                &[&after, &i64::from(limit)],
            )
            .await?;
        rows.iter().map(account_row).collect()
    }
}

fn account_row(row: &Row) -> Outcome<AccountRow> {
    Ok(AccountRow {
        account: AccountAddress::parse(row.try_get(0)?)
            .map_err(|_| MetadataError::Impossible("an account that is not an address"))?,
        created_at: row.try_get(1)?,
        closed: row.try_get(2)?,
        quota: quota(row, 3)?,
        total_bytes: unsigned(row, 4)?,
        file_count: unsigned(row, 5)?,
    })
}

/// Locks an account's row until the end of the transaction: what decides about its tokens and sessions does so one after
/// the other. Gives its row id, and whether it was closed.
pub(super) async fn lock_account(tx: &Transaction<'_>, account: &AccountAddress) -> Outcome<Option<(i64, bool)>> {
    let lock =
        tx.prepare_cached("SELECT id, closed_at IS NOT NULL FROM accounts WHERE ss58 = $1 FOR NO KEY UPDATE").await?;
    let row = tx.query_opt(&lock, &[&account.as_str()]).await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

/// Locks an account's row, which is made or opened again if need be; its row id.
pub(super) async fn open_account(tx: &Transaction<'_>, account: &AccountAddress, now: i64) -> Outcome<i64> {
    account_id(tx, account, now).await?;
    let (id, closed) = lock_account(tx, account).await?.ok_or(MetadataError::Impossible("an account that is gone"))?;
    if closed {
        tx.execute("UPDATE accounts SET closed_at = NULL WHERE id = $1", &[&id]).await?;
    }
    Ok(id)
}

fn quota(row: &Row, column: usize) -> Outcome<Option<u64>> {
    let value: Option<i64> = row.try_get(column)?;
    value.map(u64::try_from).transpose().map_err(|_| MetadataError::Impossible("a negative number"))
}
