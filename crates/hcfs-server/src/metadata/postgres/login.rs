//! Login with the account's key.

use async_trait::async_trait;
use deadpool_postgres::Transaction;

use super::account::{lock_account, open_account};
use super::{Postgres, bytes, text, token, transaction, unsigned};
use crate::metadata::{Admission, InvitationRow, Logins, MetadataError, NewLogin, Outcome};

#[async_trait]
impl Logins for Postgres {
    async fn login_key(&self, fresh: [u8; 32]) -> Outcome<[u8; 32]> {
        // Two statements: what another server has just stored is seen by the second.
        self.execute("INSERT INTO login_key (id, key) VALUES (1, $1) ON CONFLICT DO NOTHING", &[&&fresh[..]]).await?;
        let row = self.row("SELECT key FROM login_key WHERE id = 1", &[]).await?;
        bytes(&row.ok_or(MetadataError::Impossible("no key for logins"))?, 0)
    }

    async fn log_in(&self, new: NewLogin) -> Outcome<Admission> {
        transaction!(self, |tx| log_in(&tx, &new))
    }

    async fn forget_spent(&self, now: i64) -> Outcome<()> {
        self.execute("DELETE FROM spent_challenges WHERE expires_at <= $1", &[&now]).await?;
        self.execute("DELETE FROM invitations WHERE expires_at <= $1", &[&now]).await?;
        Ok(())
    }

    async fn invite(&self, digest: [u8; 32], label: String, now: i64, expires_at: i64) -> Outcome<()> {
        self.execute(
            "INSERT INTO invitations (digest, label, created_at, expires_at) VALUES ($1, $2, $3, $4)",
            &[&&digest[..], &text(&label), &now, &expires_at],
        )
        .await?;
        Ok(())
    }

    async fn invitations(&self) -> Outcome<Vec<InvitationRow>> {
        let rows = self
            .rows(
                "SELECT encode(substring(digest FOR 8), 'hex'), label, created_at, expires_at FROM invitations
                 ORDER BY created_at, digest",
                &[],
            )
            .await?;
        let invitation = |row: &tokio_postgres::Row| {
            Ok(InvitationRow {
                id: row.try_get(0)?,
                label: row.try_get(1)?,
                created_at: row.try_get(2)?,
                expires_at: row.try_get(3)?,
            })
        };
        rows.iter().map(invitation).collect()
    }

    async fn withdraw_invitation(&self, id: [u8; 8]) -> Outcome<bool> {
        let removed = self.execute("DELETE FROM invitations WHERE substring(digest FOR 8) = $1", &[&&id[..]]).await?;
        Ok(removed > 0)
    }
}

async fn log_in(tx: &Transaction<'_>, new: &NewLogin) -> Outcome<Admission> {
    let (account, now) = (&new.token.account, new.token.now);
    let known = lock_account(tx, account).await?;
    if let Some((_, true)) = known {
        return Ok(Admission::Closed);
    }
    // Anybody can make a key and sign: who may not come in leaves nothing in the database.
    if known.is_none() && !new.open_to_all && !lock_invitation(tx, new.invitation, now).await? {
        return Ok(Admission::Unknown);
    }
    let spend = "INSERT INTO spent_challenges (nonce, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    if tx.execute(spend, &[&&new.nonce[..], &new.nonce_expires_at]).await? == 0 {
        return Ok(Admission::Spent);
    }
    let id = match known {
        Some((id, _)) => id,
        None => {
            if !new.open_to_all {
                let digest = new.invitation.as_ref().map(|digest| &digest[..]);
                tx.execute("DELETE FROM invitations WHERE digest = $1", &[&digest]).await?;
            }
            open_account(tx, account, now).await?
        }
    };
    let tokens = tx
        .query_one(
            "SELECT count(*) FROM tokens WHERE account_id = $1 AND (expires_at IS NULL OR expires_at > $2)",
            &[&id, &now],
        )
        .await?;
    if unsigned(&tokens, 0)? >= new.max_tokens {
        return Ok(Admission::TooManyTokens);
    }
    token::insert(tx, id, &new.token).await?;
    Ok(Admission::Admitted)
}

/// Whether there is such an invitation; it is locked then, so that nobody else comes in with it.
async fn lock_invitation(tx: &Transaction<'_>, digest: Option<[u8; 32]>, now: i64) -> Outcome<bool> {
    let Some(digest) = digest else { return Ok(false) };
    let lock = "SELECT 1 FROM invitations WHERE digest = $1 AND expires_at > $2 FOR UPDATE";
    Ok(tx.query_opt(lock, &[&&digest[..], &now]).await?.is_some())
}
