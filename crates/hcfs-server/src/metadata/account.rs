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

/// An account as the server's owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountRow {
    /// Its address.
    pub account: AccountAddress,
    /// When it was first seen, Unix seconds.
    pub created_at: i64,
    /// Whether it was closed.
    pub closed: bool,
    /// How many plaintext bytes it may have; `None` where the server's own quota applies.
    pub quota: Option<u64>,
    /// Plaintext bytes it has.
    pub total_bytes: u64,
    /// Files it has.
    pub file_count: u64,
}

/// What an account has, and may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Usage {
    /// Plaintext bytes of its files.
    pub(crate) stored: u64,
    /// Ciphertext bytes that its unfinished sessions announced.
    pub(crate) announced: u64,
    /// Its own quota, in bytes.
    pub(crate) quota: Option<u64>,
}

/// Accounts, and questions about them.
#[async_trait]
pub(crate) trait Accounts: Send + Sync {
    /// The sums of an account; zero for one the store does not know.
    async fn summary(&self, account: AccountAddress) -> Outcome<Summary>;

    /// What an account has, and may have. Two uploads that are let in at the same time do not see each other.
    async fn usage(&self, account: AccountAddress, now: i64) -> Outcome<Usage>;

    /// Makes an account known, or opens a closed one again.
    async fn open_account(&self, account: AccountAddress, now: i64) -> Outcome<()>;

    /// Closes an account: its tokens end, and it gets no new ones. Its files stay. Says whether there is such an account.
    async fn close_account(&self, account: AccountAddress, now: i64) -> Outcome<bool>;

    /// Sets what an account may have; `None` for the server's own quota. Says whether there is such an account.
    async fn set_quota(&self, account: AccountAddress, quota: Option<u64>) -> Outcome<bool>;

    /// Up to `limit` accounts in the order of their addresses, those after `after`.
    async fn accounts(&self, after: Option<AccountAddress>, limit: u32) -> Outcome<Vec<AccountRow>>;
}
