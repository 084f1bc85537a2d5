//! Login with the account's key: which challenges were used, and who may come in.

use async_trait::async_trait;

use super::{NewToken, Outcome};

/// Names a challenge: 16 random bytes.
pub(crate) type Nonce = [u8; 16];

/// A login whose signature was checked.
pub(crate) struct NewLogin {
    /// The token it gives, and whose it is.
    pub(crate) token: NewToken,
    /// The challenge it used.
    pub(crate) nonce: Nonce,
    /// Until when the challenge could be used, Unix seconds.
    pub(crate) nonce_expires_at: i64,
    /// Hash of the invitation it brings.
    pub(crate) invitation: Option<[u8; 32]>,
    /// Whether an account that is not known is let in without one.
    pub(crate) open_to_all: bool,
    /// Tokens an account may have.
    pub(crate) max_tokens: u64,
}

/// What became of a [`NewLogin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// The token is stored.
    Admitted,
    /// The challenge was used before.
    Spent,
    /// The account is not known, and nothing lets it in.
    Unknown,
    /// The account was closed.
    Closed,
    /// The account has as many tokens as it may.
    TooManyTokens,
}

/// An invitation as it is listed: everything but its code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationRow {
    /// The first 16 hexadecimal characters of its code's hash.
    pub id: String,
    /// What its maker called it.
    pub label: String,
    /// When it was made, Unix seconds.
    pub created_at: i64,
    /// Until when it can be used, Unix seconds.
    pub expires_at: i64,
}

/// Logins and invitations.
#[async_trait]
pub(crate) trait Logins: Send + Sync {
    /// The key that challenges are sealed with; `fresh` becomes it when there is none.
    async fn login_key(&self, fresh: [u8; 32]) -> Outcome<[u8; 32]>;

    /// Uses up the challenge, and stores the token if the account may come in. An invitation is used up only by an
    /// account that needs it.
    async fn log_in(&self, new: NewLogin) -> Outcome<Admission>;

    /// Forgets used challenges and invitations that have expired.
    async fn forget_spent(&self, now: i64) -> Outcome<()>;

    /// Stores an invitation, given the hash of its code.
    async fn invite(&self, digest: [u8; 32], label: String, now: i64, expires_at: i64) -> Outcome<()>;

    /// The invitations nobody has used, the oldest first.
    async fn invitations(&self) -> Outcome<Vec<InvitationRow>>;

    /// Removes an invitation, given the first bytes of its hash; says whether there was one.
    async fn withdraw_invitation(&self, id: [u8; 8]) -> Outcome<bool>;
}
