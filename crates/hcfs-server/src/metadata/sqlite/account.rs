//! What an account has in all.

use async_trait::async_trait;
use hcfs_model::AccountAddress;
use rusqlite::OptionalExtension;

use super::{Sqlite, unsigned};
use crate::metadata::{Accounts, Outcome, Summary};

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
}
