//! Bearer tokens: a public selector that finds the row, and a secret of which only the hash is kept.

use async_trait::async_trait;
use hcfs_model::AccountAddress;

use super::Outcome;

/// A token as it is listed: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The public id, 16 hexadecimal characters.
    pub id: String,
    /// What its owner called it.
    pub label: String,
    /// When it was made, Unix seconds.
    pub created_at: i64,
    /// When it ends by itself, Unix seconds; `None` for never.
    pub expires_at: Option<i64>,
}

/// What a client presents: the selector, and the hash of the secret.
#[derive(Clone)]
pub(crate) struct PresentedToken {
    /// Finds the row; public.
    pub(crate) selector: [u8; 8],
    /// BLAKE3 of the secret.
    pub(crate) digest: [u8; 32],
}

/// A token to be stored.
#[derive(Clone)]
pub(crate) struct NewToken {
    pub(crate) account: AccountAddress,
    pub(crate) token: PresentedToken,
    pub(crate) label: String,
    /// Unix seconds.
    pub(crate) now: i64,
    /// When it ends by itself, Unix seconds; `None` for never.
    pub(crate) expires_at: Option<i64>,
}

/// Bearer tokens.
#[async_trait]
pub(crate) trait Tokens: Send + Sync {
    /// Stores a new token; an account that was closed is opened again.
    async fn create_token(&self, new: NewToken) -> Outcome<()>;

    /// An account's tokens, the oldest first.
    async fn list_tokens(&self, account: AccountAddress) -> Outcome<Vec<TokenRow>>;

    /// Removes a token; says whether there was one.
    async fn revoke_token(&self, account: AccountAddress, selector: [u8; 8]) -> Outcome<bool>;

    /// The account a token belongs to; `None` for a token that does not exist, or not any more at `now`.
    async fn authenticate(&self, token: PresentedToken, now: i64) -> Outcome<Option<AccountAddress>>;

    /// Removes tokens that have ended by themselves; how many they were.
    async fn expire_tokens(&self, now: i64) -> Outcome<u64>;
}
