//! Bearer tokens.

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use hcfs_model::AccountAddress;
use subtle::ConstantTimeEq;

use super::account::open_account;
use super::{Postgres, bytes, text, transaction};
use crate::metadata::{MetadataError, NewToken, Outcome, PresentedToken, TokenRow, Tokens};

#[async_trait]
impl Tokens for Postgres {
    async fn create_token(&self, new: NewToken) -> Outcome<()> {
        transaction!(self, |tx| async {
            let account_id = open_account(&tx, &new.account, new.now).await?;
            insert(&tx, account_id, &new).await
        })
    }

    async fn list_tokens(&self, account: AccountAddress) -> Outcome<Vec<TokenRow>> {
        let rows = self
            .rows(
                "SELECT encode(t.selector, 'hex'), t.label, t.created_at, t.expires_at
                 FROM tokens t JOIN accounts a ON a.id = t.account_id WHERE a.ss58 = $1
                 ORDER BY t.created_at, t.selector",
                &[&account.as_str()],
            )
            .await?;
        let token = |row: &tokio_postgres::Row| {
            Ok(TokenRow {
                id: row.try_get(0)?,
                label: row.try_get(1)?,
                created_at: row.try_get(2)?,
                expires_at: row.try_get(3)?,
            })
        };
        rows.iter().map(token).collect()
    }

    async fn revoke_token(&self, account: AccountAddress, selector: [u8; 8]) -> Outcome<bool> {
        let removed = self
            .execute(
                "DELETE FROM tokens t USING accounts a
                 WHERE t.selector = $1 AND a.id = t.account_id AND a.ss58 = $2",
                &[&&selector[..], &account.as_str()],
            )
            .await?;
        Ok(removed > 0)
    }

    async fn authenticate(&self, token: PresentedToken, now: i64) -> Outcome<Option<AccountAddress>> {
        let row = self
            .row(
                "SELECT t.digest, a.ss58 FROM tokens t JOIN accounts a ON a.id = t.account_id
                 WHERE t.selector = $1 AND (t.expires_at IS NULL OR t.expires_at > $2)",
                &[&&token.selector[..], &now],
            )
            .await?;
        // The selector is public, so how long its search takes tells nothing; the secret's hash is compared in constant
        // time.
        let Some(row) = row else { return Ok(None) };
        let digest: [u8; 32] = bytes(&row, 0)?;
        if !bool::from(digest.ct_eq(&token.digest)) {
            return Ok(None);
        }
        let account = AccountAddress::parse(row.try_get(1)?)
            .map_err(|_| MetadataError::Impossible("an account that is not an address"))?;
        Ok(Some(account))
    }

    async fn expire_tokens(&self, now: i64) -> Outcome<u64> {
        self.execute("DELETE FROM tokens WHERE expires_at <= $1", &[&now]).await
    }
}

/// Stores a token of an account that the transaction has locked.
pub(super) async fn insert(tx: &Transaction<'_>, account_id: i64, new: &NewToken) -> Outcome<()> {
    tx.execute(
        "INSERT INTO tokens (selector, account_id, digest, label, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[&&new.token.selector[..], &account_id, &&new.token.digest[..], &text(&new.label), &new.now, &new.expires_at],
    )
    .await?;
    Ok(())
}
