//! Bearer tokens of a data directory.
//!
//! A token is `hcfs_`, the 16 hexadecimal characters of its public id, and the 64 of its secret: 256 random bits, of
//! which the server keeps the BLAKE3 hash alone. These functions block, and work whether or not a server runs on the
//! directory; one that runs sees the change with its next request.

use std::path::Path;

use hcfs_model::AccountAddress;
use rusqlite::Connection;

pub use crate::metadata::TokenRow;
use crate::metadata::{self, MetadataError, PresentedToken};
use crate::{Clock, ServerError, place};

const PREFIX: &str = "hcfs_";
/// The longest label that is kept, in bytes.
const MAX_LABEL: usize = 255;

/// Makes a token for an account and returns it: the only time its secret is seen. The label is kept up to 255 bytes.
///
/// # Errors
/// The data directory or its database cannot be used.
pub fn create(data: &Path, account: &AccountAddress, label: &str) -> Result<String, ServerError> {
    place::create(data)?;
    let mut bytes = [0; 40];
    getrandom::fill(&mut bytes).map_err(|_| ServerError::Random)?;
    let text = format!("{PREFIX}{}", hex::encode(bytes));
    let label = &label[..label.floor_char_boundary(MAX_LABEL)];
    with_database(data, |db| {
        let token = presented(bytes);
        metadata::create_token(db, account, &token, label, Clock::system().seconds())
    })?;
    Ok(text)
}

/// An account's tokens, the oldest first.
///
/// # Errors
/// The data directory or its database cannot be used.
pub fn list(data: &Path, account: &AccountAddress) -> Result<Vec<TokenRow>, ServerError> {
    with_database(data, |db| metadata::list_tokens(db, account))
}

/// Ends a token, given its id from [`list`].
///
/// # Errors
/// [`ServerError::NoSuchToken`], or the data directory or its database cannot be used.
pub fn revoke(data: &Path, account: &AccountAddress, id: &str) -> Result<(), ServerError> {
    let missing = || ServerError::NoSuchToken { id: id.to_owned() };
    let mut selector = [0; 8];
    hex::decode_to_slice(id, &mut selector).map_err(|_| missing())?;
    let revoked = with_database(data, |db| metadata::revoke_token(db, account, selector))?;
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

fn with_database<T>(data: &Path, work: impl FnOnce(&Connection) -> Result<T, MetadataError>) -> Result<T, ServerError> {
    let path = place::database(data);
    metadata::connect(&path)
        .and_then(|mut db| {
            let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            let done = work(&tx)?;
            tx.commit()?;
            Ok(done)
        })
        .map_err(|source| ServerError::Database { path, source })
}
