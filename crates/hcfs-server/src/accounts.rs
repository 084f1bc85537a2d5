//! Accounts of a server's storage, and invitations to it: for whoever runs the server.
//!
//! An account is known once it has a token, was added, or has used an invitation; a known account may log in with its
//! key. These functions work whether or not a server runs on the storage; one that runs sees the change with its next
//! request.

use std::time::Duration;

use hcfs_model::AccountAddress;

pub use crate::metadata::{AccountRow, InvitationRow};
use crate::stores::open_metadata;
use crate::tokens::{after, kept_label, selector};
use crate::{Clock, ServerError, Storage};

const PREFIX: &str = "hcfs-invitation-";
/// Accounts that are read from the database at a time.
const PAGE: u32 = 1_000;

/// Makes an account known, or opens a closed one again.
///
/// # Errors
/// The database cannot be used.
pub async fn add(storage: &Storage, account: &AccountAddress) -> Result<(), ServerError> {
    let metadata = open_metadata(storage).await?;
    let added = metadata.open_account(account.clone(), Clock::system().seconds()).await;
    added.map_err(|source| ServerError::database(storage, source))
}

/// Closes an account: its tokens end at once, and it gets no new ones. Its files stay.
///
/// # Errors
/// [`ServerError::NoSuchAccount`], or the database cannot be used.
pub async fn close(storage: &Storage, account: &AccountAddress) -> Result<(), ServerError> {
    let metadata = open_metadata(storage).await?;
    let closed = metadata.close_account(account.clone(), Clock::system().seconds()).await;
    known(closed.map_err(|source| ServerError::database(storage, source))?, account)
}

/// Sets how many bytes of files an account may have; `None` for what the server gives everybody.
///
/// # Errors
/// [`ServerError::NoSuchAccount`], or the database cannot be used.
pub async fn set_quota(storage: &Storage, account: &AccountAddress, quota: Option<u64>) -> Result<(), ServerError> {
    let metadata = open_metadata(storage).await?;
    let set = metadata.set_quota(account.clone(), quota).await;
    known(set.map_err(|source| ServerError::database(storage, source))?, account)
}

/// All accounts, in the order of their addresses; `show` is given a page of them at a time.
///
/// # Errors
/// The database cannot be used.
pub async fn list(storage: &Storage, mut show: impl FnMut(&[AccountRow])) -> Result<(), ServerError> {
    let metadata = open_metadata(storage).await?;
    let mut last = None;
    loop {
        let page = metadata.accounts(last, PAGE).await.map_err(|source| ServerError::database(storage, source))?;
        let Some(row) = page.last() else { return Ok(()) };
        last = Some(row.account.clone());
        show(&page);
    }
}

/// Makes an invitation and returns its code: whoever logs in with it first makes one account known. The code is seen
/// this once.
///
/// # Errors
/// The database cannot be used.
pub async fn invite(storage: &Storage, label: &str, lifetime: Duration) -> Result<String, ServerError> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).map_err(|_| ServerError::Random)?;
    let now = Clock::system().seconds();
    let metadata = open_metadata(storage).await?;
    let invited = metadata.invite(digest(&secret), kept_label(label), now, after(now, lifetime)).await;
    invited.map_err(|source| ServerError::database(storage, source))?;
    Ok(format!("{PREFIX}{}", hex::encode(secret)))
}

/// The invitations nobody has used, the oldest first.
///
/// # Errors
/// The database cannot be used.
pub async fn invitations(storage: &Storage) -> Result<Vec<InvitationRow>, ServerError> {
    let metadata = open_metadata(storage).await?;
    metadata.invitations().await.map_err(|source| ServerError::database(storage, source))
}

/// Takes an invitation back, given its id from [`invitations`].
///
/// # Errors
/// [`ServerError::NoSuchInvitation`], or the database cannot be used.
pub async fn withdraw(storage: &Storage, id: &str) -> Result<(), ServerError> {
    let missing = || ServerError::NoSuchInvitation { id: id.to_owned() };
    let digest = selector(id).ok_or_else(missing)?;
    let metadata = open_metadata(storage).await?;
    let withdrawn = metadata.withdraw_invitation(digest).await;
    if withdrawn.map_err(|source| ServerError::database(storage, source))? { Ok(()) } else { Err(missing()) }
}

/// What is kept of the invitation with this code.
pub(crate) fn invitation(code: &str) -> Option<[u8; 32]> {
    let mut secret = [0; 32];
    hex::decode_to_slice(code.trim().strip_prefix(PREFIX)?, &mut secret).ok()?;
    Some(digest(&secret))
}

fn digest(secret: &[u8; 32]) -> [u8; 32] {
    *blake3::hash(secret).as_bytes()
}

fn known(found: bool, account: &AccountAddress) -> Result<(), ServerError> {
    if found { Ok(()) } else { Err(ServerError::NoSuchAccount { account: account.clone() }) }
}
