//! Bearer tokens.

use async_trait::async_trait;
use hcfs_model::AccountAddress;
use rusqlite::{Connection, OptionalExtension};
use subtle::ConstantTimeEq;

use super::account::open_account;
use super::{Sqlite, find_account};
use crate::metadata::{MetadataError, NewToken, Outcome, PresentedToken, TokenRow, Tokens};

#[async_trait]
impl Tokens for Sqlite {
    async fn create_token(&self, new: NewToken) -> Outcome<()> {
        self.write(move |db| {
            let account_id = open_account(db, &new.account, new.now)?;
            insert(db, account_id, &new)
        })
        .await
    }

    async fn list_tokens(&self, account: AccountAddress) -> Outcome<Vec<TokenRow>> {
        self.read(move |db| {
            let Some(account_id) = find_account(db, &account)? else { return Ok(Vec::new()) };
            let mut statement = db.prepare_cached(
                "SELECT lower(hex(selector)), label, created_at, expires_at FROM tokens WHERE account_id = ?1
                 ORDER BY created_at, selector",
            )?;
            let rows = statement.query_map([account_id], |row| {
                Ok(TokenRow { id: row.get(0)?, label: row.get(1)?, created_at: row.get(2)?, expires_at: row.get(3)? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn revoke_token(&self, account: AccountAddress, selector: [u8; 8]) -> Outcome<bool> {
        self.write(move |db| {
            let Some(account_id) = find_account(db, &account)? else { return Ok(false) };
            let removed = db
                .prepare_cached("DELETE FROM tokens WHERE selector = ?1 AND account_id = ?2")?
                .execute((selector.as_slice(), account_id))?;
            Ok(removed > 0)
        })
        .await
    }

    async fn authenticate(&self, token: PresentedToken, now: i64) -> Outcome<Option<AccountAddress>> {
        self.read(move |db| {
            let found = db
                .prepare_cached(
                    "SELECT t.digest, a.ss58 FROM tokens t JOIN accounts a ON a.id = t.account_id
                     WHERE t.selector = ?1 AND (t.expires_at IS NULL OR t.expires_at > ?2)",
                )?
                .query_row((token.selector.as_slice(), now), |row| {
                    Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, String>(1)?))
                })
                .optional()?;
            // The selector is public, so how long its search takes tells nothing; the secret's hash is compared in
            // constant time.
            let Some((digest, account)) = found else { return Ok(None) };
            if !bool::from(digest.ct_eq(&token.digest)) {
                return Ok(None);
            }
            let account = AccountAddress::parse(&account)
                .map_err(|_| MetadataError::Impossible("an account that is not an address"))?;
            Ok(Some(account))
        })
        .await
    }

    async fn expire_tokens(&self, now: i64) -> Outcome<u64> {
        self.write(move |db| Ok(db.prepare_cached("DELETE FROM tokens WHERE expires_at <= ?1")?.execute([now])? as u64))
            .await
    }
}

pub(super) fn insert(db: &Connection, account_id: i64, new: &NewToken) -> Outcome<()> {
    db.prepare_cached(
        "INSERT INTO tokens (selector, account_id, digest, label, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((new.token.selector, account_id, new.token.digest, &new.label, new.now, new.expires_at))?;
    Ok(())
}
