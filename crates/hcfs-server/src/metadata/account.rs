//! What an account has in all.

use hcfs_model::AccountAddress;
use rusqlite::OptionalExtension;

use super::{Metadata, Outcome, unsigned};

/// Sums over an account's folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Summary {
    /// Plaintext bytes.
    pub(crate) total_bytes: u64,
    /// Files.
    pub(crate) file_count: u64,
    /// When the account was first seen, Unix seconds.
    pub(crate) created_at: i64,
    /// When a file of it was last changed, Unix seconds.
    pub(crate) updated_at: i64,
}

impl Metadata {
    /// The sums of an account; zero for one the store does not know.
    pub(crate) async fn summary(&self, account: AccountAddress) -> Outcome<Summary> {
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
