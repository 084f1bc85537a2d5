//! What an account has in all.

use async_trait::async_trait;
use hcfs_model::AccountAddress;
use rusqlite::{Connection, OptionalExtension, Row};

use super::file::signed;
use super::{Sqlite, account_id, find_account, unsigned};
use crate::metadata::{AccountRow, Accounts, MetadataError, Outcome, Summary, Usage};

#[async_trait]
impl Accounts for Sqlite {
    async fn summary(&self, account: AccountAddress) -> Outcome<Summary> {
        self.read(move |db| {
            let summary = db
                .prepare_cached(
                    "SELECT coalesce(sum(f.total_bytes), 0), coalesce(sum(f.file_count), 0),
                            a.created_at, max(a.created_at, coalesce(max(f.updated_at), 0))
                     FROM accounts a LEFT JOIN folders f ON f.account_id = a.id
                     WHERE a.ss58 = ?1 GROUP BY a.id",
                )?
                .query_row([account.as_str()], |row| {
                    Ok(Summary {
                        total_bytes: unsigned(row, 0)?,
                        file_count: unsigned(row, 1)?,
                        created_at: row.get(2)?,
                        updated_at: row.get(3)?,
                    })
                })
                .optional()?;
            Ok(summary.unwrap_or_default())
        })
        .await
    }

    async fn usage(&self, account: AccountAddress, now: i64) -> Outcome<Usage> {
        self.read(move |db| {
            let usage = db
                .prepare_cached(
                    "SELECT (SELECT coalesce(sum(total_bytes), 0) FROM folders WHERE account_id = a.id),
                            (SELECT coalesce(sum(ciphertext_size), 0) FROM sessions
                             WHERE account_id = a.id AND revision_id IS NULL AND expires_at > ?2),
                            a.quota_bytes
                     FROM accounts a WHERE a.ss58 = ?1",
                )?
                .query_row((account.as_str(), now), |row| {
                    Ok(Usage { stored: unsigned(row, 0)?, announced: unsigned(row, 1)?, quota: quota(row, 2)? })
                })
                .optional()?;
            Ok(usage.unwrap_or_default())
        })
        .await
    }

    async fn open_account(&self, account: AccountAddress, now: i64) -> Outcome<()> {
        self.write(move |db| open_account(db, &account, now).map(drop)).await
    }

    async fn close_account(&self, account: AccountAddress, now: i64) -> Outcome<bool> {
        self.write(move |db| {
            let Some(id) = find_account(db, &account)? else { return Ok(false) };
            db.execute("DELETE FROM tokens WHERE account_id = ?1", [id])?;
            db.execute("UPDATE accounts SET closed_at = coalesce(closed_at, ?2) WHERE id = ?1", (id, now))?;
            Ok(true)
        })
        .await
    }

    async fn set_quota(&self, account: AccountAddress, quota: Option<u64>) -> Outcome<bool> {
        self.write(move |db| {
            let quota = quota.map(signed).transpose()?;
            let set = db.execute("UPDATE accounts SET quota_bytes = ?2 WHERE ss58 = ?1", (account.as_str(), quota))?;
            Ok(set > 0)
        })
        .await
    }

    async fn accounts(&self, after: Option<AccountAddress>, limit: u32) -> Outcome<Vec<AccountRow>> {
        self.read(move |db| {
            let mut statement = db.prepare_cached(
                "SELECT ss58, created_at, closed_at IS NOT NULL, quota_bytes,
                        (SELECT coalesce(sum(total_bytes), 0) FROM folders WHERE account_id = a.id),
                        (SELECT coalesce(sum(file_count), 0) FROM folders WHERE account_id = a.id)
                 FROM accounts a WHERE ss58 > ?1 ORDER BY ss58 LIMIT ?2",
            )?;
            let after = after.as_ref().map_or("", AccountAddress::as_str);
            let mut rows = statement.query((after, limit))?;
            let mut accounts = Vec::new();
            while let Some(row) = rows.next()? {
                let address: String = row.get(0)?;
                accounts.push(AccountRow {
                    account: AccountAddress::parse(&address)
                        .map_err(|_| MetadataError::Impossible("an account that is not an address"))?,
                    created_at: row.get(1)?,
                    closed: row.get(2)?,
                    quota: quota(row, 3)?,
                    total_bytes: unsigned(row, 4)?,
                    file_count: unsigned(row, 5)?,
                });
            }
            Ok(accounts)
        })
        .await
    }
}

/// The row id of an account, which is made or opened again if need be.
pub(super) fn open_account(db: &Connection, account: &AccountAddress, now: i64) -> Outcome<i64> {
    let id = account_id(db, account, now)?;
    db.prepare_cached("UPDATE accounts SET closed_at = NULL WHERE id = ?1 AND closed_at IS NOT NULL")?.execute([id])?;
    Ok(id)
}

fn quota(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    let value: Option<i64> = row.get(column)?;
    value.map(u64::try_from).transpose().map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, -1))
}
