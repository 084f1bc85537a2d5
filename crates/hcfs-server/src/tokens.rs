//! Bearer tokens of a server's storage.
//!
//! A token is `hcfs_`, the 16 hexadecimal characters of its public id, and the 64 of its secret: 256 random bits, of
//! which the server keeps the BLAKE3 hash alone. These functions work whether or not a server runs on the storage; one
//! that runs sees the change with its next request.

use hcfs_model::AccountAddress;

use crate::metadata::PresentedToken;
pub use crate::metadata::TokenRow;
use crate::stores::open_metadata;
use crate::{Clock, ServerError, Storage};

const PREFIX: &str = "hcfs_";
/// The longest label that is kept, in bytes.
const MAX_LABEL: usize = 255;

/// Makes a token for an account and returns it: the only time its secret is seen. The label is kept up to 255 bytes.
///
/// # Errors
/// The database cannot be used.
pub async fn create(storage: &Storage, account: &AccountAddress, label: &str) -> Result<String, ServerError> {
    let mut bytes = [0; 40];
    getrandom::fill(&mut bytes).map_err(|_| ServerError::Random)?;
    let label = label[..label.floor_char_boundary(MAX_LABEL)].to_owned();
    let metadata = open_metadata(storage).await?;
    let created = metadata.create_token(account.clone(), presented(bytes), label, Clock::system().seconds()).await;
    created.map_err(|source| ServerError::database(storage, source))?;
    Ok(format!("{PREFIX}{}", hex::encode(bytes)))
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
    let mut selector = [0; 8];
    hex::decode_to_slice(id, &mut selector).map_err(|_| missing())?;
    let metadata = open_metadata(storage).await?;
    let revoked = metadata.revoke_token(account.clone(), selector).await;
    let revoked = revoked.map_err(|source| ServerError::database(storage, source))?;
    if revoked { Ok(()) } else { Err(missing()) }
}

/// Reads the token a client sent.
pub(crate) fn parse(text: &str) -> Option<PresentedToken> {
    let mut bytes = [0; 40];
    hex::decode_to_slice(text.strip_prefix(PREFIX)?, &mut bytes).ok()?;
    Some(presented(bytes))
}

fn presented(bytes: [u8; 40]) -> PresentedToken {
    let mut selector = [0; 8];
    selector.copy_from_slice(&bytes[..8]);
    PresentedToken { selector, digest: *blake3::hash(&bytes[8..]).as_bytes() }
}
