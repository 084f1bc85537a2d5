//! What an account has in all.

use async_trait::async_trait;
use hcfs_model::AccountAddress;

use super::Outcome;

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

/// Questions about accounts.
#[async_trait]
pub(crate) trait Accounts: Send + Sync {
    /// The sums of an account; zero for one the store does not know.
    async fn summary(&self, account: AccountAddress) -> Outcome<Summary>;
}
