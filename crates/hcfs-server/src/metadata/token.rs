//! Bearer tokens: a public selector that finds the row, and a secret of which only the hash is kept.

use hcfs_model::AccountAddress;
use rusqlite::{Connection, OptionalExtension};
use subtle::ConstantTimeEq;

use super::{Metadata, MetadataError, Outcome, account_id, find_account};

/// A token as it is listed: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// The public id, 16 hexadecimal characters.
    pub id: String,
    /// What its owner called it.
    pub label: String,
    /// When it was made, Unix seconds.
    pub created_at: i64,
}

/// What a client presents: the selector, and the hash of the secret.
#[derive(Clone)]
pub(crate) struct PresentedToken {
    /// Finds the row; public.
    pub(crate) selector: [u8; 8],
    /// BLAKE3 of the secret.
    pub(crate) digest: [u8; 32],
}

/// Stores a new token.
pub(crate) fn create(
    db: &Connection,
    account: &AccountAddress,
    token: &PresentedToken,
    label: &str,
    now: i64,
) -> Outcome<()> {
    let account_id = account_id(db, account, now)?;
    db.execute(
        "INSERT INTO tokens (selector, account_id, digest, label, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        (token.selector, account_id, token.digest, label, now),
    )?;
    Ok(())
}

/// An account's tokens, the oldest first.
pub(crate) fn list(db: &Connection, account: &AccountAddress) -> Outcome<Vec<TokenRow>> {
    let Some(account_id) = find_account(db, account)? else { return Ok(Vec::new()) };
    let mut statement = db.prepare(
        "SELECT lower(hex(selector)), label, created_at FROM tokens WHERE account_id = ?1
         ORDER BY created_at, selector",
    )?;
    let rows = statement
        .query_map([account_id], |row| Ok(TokenRow { id: row.get(0)?, label: row.get(1)?, created_at: row.get(2)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Removes a token; says whether there was one.
pub(crate) fn revoke(db: &Connection, account: &AccountAddress, selector: [u8; 8]) -> Outcome<bool> {
    let Some(account_id) = find_account(db, account)? else { return Ok(false) };
    let removed =
        db.execute("DELETE FROM tokens WHERE selector = ?1 AND account_id = ?2", (selector.as_slice(), account_id))?;
    Ok(removed > 0)
}

impl Metadata {
    /// The account a token belongs to; `None` for a token that does not exist.
    pub(crate) async fn authenticate(&self, token: PresentedToken) -> Outcome<Option<AccountAddress>> {
        self.read(move |db| {
            let found = db
                .prepare_cached(
                    "SELECT t.digest, a.ss58 FROM tokens t JOIN accounts a ON a.id = t.account_id
                     WHERE t.selector = ?1",
                )?
                .query_row([token.selector.as_slice()], |row| {
                    Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, String>(1)?))
                })
                .optional()?;
            // The selector is public, so how long its search takes tells nothing; the secret's hash is compared in
            // constant time.
            let (digest, account) = found.unwrap_or_default();
            if !bool::from(digest.ct_eq(&token.digest)) {
                return Ok(None);
            }
            let account = AccountAddress::parse(&account)
                .map_err(|_| MetadataError::Impossible("an account that is not an address"))?;
            Ok(Some(account))
        })
        .await
    }
}
