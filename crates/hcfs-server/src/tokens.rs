//! Bearer tokens of a server's storage.
//!
//! A token is `hcfs_`, the 16 hexadecimal characters of its public id, and the 64 of its secret: 256 random bits, of
//! which the server keeps the BLAKE3 hash alone. These functions work whether or not a server runs on the storage; one
//! that runs sees the change with its next request.

use std::time::Duration;

use hcfs_model::AccountAddress;

pub use crate::metadata::TokenRow;
use crate::metadata::{NewToken, PresentedToken};
use crate::stores::open_metadata;
use crate::{Clock, ServerError, Storage};

const PREFIX: &str = "hcfs_";
/// The longest label that is kept, in bytes.
const MAX_LABEL: usize = 255;

/// A token that was just made.
pub(crate) struct Fresh {
    /// Its text: the only time its secret is seen.
    pub(crate) text: String,
    /// What is kept of it.
    pub(crate) kept: PresentedToken,
}

/// Makes a token for an account and returns it: the only time its secret is seen. The label is kept up to 255 bytes. An
/// account that was closed is opened again.
///
/// # Errors
/// The database cannot be used.
pub async fn create(storage: &Storage, account: &AccountAddress, label: &str) -> Result<String, ServerError> {
    store(storage, account, label, None).await
}

/// As [`create`], for a token that ends by itself after `lifetime`.
///
/// # Errors
/// The database cannot be used.
pub async fn create_for(
    storage: &Storage,
    account: &AccountAddress,
    label: &str,
    lifetime: Duration,
) -> Result<String, ServerError> {
    store(storage, account, label, Some(lifetime)).await
}

async fn store(
    storage: &Storage,
    account: &AccountAddress,
    label: &str,
    lifetime: Option<Duration>,
) -> Result<String, ServerError> {
    let fresh = fresh().map_err(|_| ServerError::Random)?;
    let metadata = open_metadata(storage).await?;
    let now = Clock::system().seconds();
    let new = NewToken {
        account: account.clone(),
        token: fresh.kept,
        label: kept_label(label),
        now,
        expires_at: lifetime.map(|lifetime| after(now, lifetime)),
    };
    metadata.create_token(new).await.map_err(|source| ServerError::database(storage, source))?;
    Ok(fresh.text)
}

/// An account's tokens, the oldest first.
///
/// # Errors
/// The database cannot be used.
pub async fn list(storage: &Storage, account: &AccountAddress) -> Result<Vec<TokenRow>, ServerError> {
    let metadata = open_metadata(storage).await?;
    metadata.list_tokens(account.clone()).await.map_err(|source| ServerError::database(storage, source))
}

/// Ends a token, given its id from [`list`].
///
/// # Errors
/// [`ServerError::NoSuchToken`], or the database cannot be used.
pub async fn revoke(storage: &Storage, account: &AccountAddress, id: &str) -> Result<(), ServerError> {
    let missing = || ServerError::NoSuchToken { id: id.to_owned() };
    let selector = selector(id).ok_or_else(missing)?;
    let metadata = open_metadata(storage).await?;
    let revoked = metadata.revoke_token(account.clone(), selector).await;
    let revoked = revoked.map_err(|source| ServerError::database(storage, source))?;
    if revoked { Ok(()) } else { Err(missing()) }
}

/// A new token.
pub(crate) fn fresh() -> Result<Fresh, getrandom::Error> {
    let mut bytes = [0; 40];
    getrandom::fill(&mut bytes)?;
    Ok(Fresh { text: format!("{PREFIX}{}", hex::encode(bytes)), kept: presented(bytes) })
}

/// Reads the token a client sent.
pub(crate) fn parse(text: &str) -> Option<PresentedToken> {
    let mut bytes = [0; 40];
    hex::decode_to_slice(text.strip_prefix(PREFIX)?, &mut bytes).ok()?;
    Some(presented(bytes))
}

/// Reads the id of a token.
pub(crate) fn selector(id: &str) -> Option<[u8; 8]> {
    let mut selector = [0; 8];
    hex::decode_to_slice(id, &mut selector).ok().map(|()| selector)
}

/// As much of a label as is kept.
pub(crate) fn kept_label(label: &str) -> String {
    label[..label.floor_char_boundary(MAX_LABEL)].to_owned()
}

/// The moment a time after `now`, Unix seconds.
pub(crate) fn after(now: i64, time: Duration) -> i64 {
    now.saturating_add(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

fn presented(bytes: [u8; 40]) -> PresentedToken {
    let mut selector = [0; 8];
    selector.copy_from_slice(&bytes[..8]);
    PresentedToken { selector, digest: *blake3::hash(&bytes[8..]).as_bytes() }
}
