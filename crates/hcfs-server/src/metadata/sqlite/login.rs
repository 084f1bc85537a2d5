//! Login with the account's key.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};

use super::{Sqlite, account_id, token, unsigned};
use crate::metadata::{Admission, InvitationRow, Logins, NewLogin, Outcome};

#[async_trait]
impl Logins for Sqlite {
    async fn login_key(&self, fresh: [u8; 32]) -> Outcome<[u8; 32]> {
        self.write(move |db| {
            db.execute("INSERT INTO login_key (id, key) VALUES (1, ?1) ON CONFLICT DO NOTHING", [fresh])?;
            Ok(db.query_row("SELECT key FROM login_key WHERE id = 1", (), |row| row.get(0))?)
        })
        .await
    }

    async fn log_in(&self, new: NewLogin) -> Outcome<Admission> {
        self.write(move |db| log_in(db, &new)).await
    }

    async fn forget_spent(&self, now: i64) -> Outcome<()> {
        self.write(move |db| {
            db.execute("DELETE FROM spent_challenges WHERE expires_at <= ?1", [now])?;
            db.execute("DELETE FROM invitations WHERE expires_at <= ?1", [now])?;
            Ok(())
        })
        .await
    }

    async fn invite(&self, digest: [u8; 32], label: String, now: i64, expires_at: i64) -> Outcome<()> {
        self.write(move |db| {
            db.execute(
                "INSERT INTO invitations (digest, label, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
                (digest, label, now, expires_at),
            )?;
            Ok(())
        })
        .await
    }

    async fn invitations(&self) -> Outcome<Vec<InvitationRow>> {
        self.read(|db| {
            let mut statement = db.prepare(
                "SELECT lower(hex(substr(digest, 1, 8))), label, created_at, expires_at FROM invitations
                 ORDER BY created_at, digest",
            )?;
            let rows = statement.query_map((), |row| {
                Ok(InvitationRow {
                    id: row.get(0)?,
                    label: row.get(1)?,
                    created_at: row.get(2)?,
                    expires_at: row.get(3)?,
                })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn withdraw_invitation(&self, id: [u8; 8]) -> Outcome<bool> {
        self.write(move |db| {
            Ok(db.execute("DELETE FROM invitations WHERE substr(digest, 1, 8) = ?1", [id.as_slice()])? > 0)
        })
        .await
    }
}

fn log_in(db: &Connection, new: &NewLogin) -> Outcome<Admission> {
    let (account, now) = (&new.token.account, new.token.now);
    let known: Option<(i64, bool)> = db
        .prepare_cached("SELECT id, closed_at IS NOT NULL FROM accounts WHERE ss58 = ?1")?
        .query_row([account.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((_, true)) = known {
        return Ok(Admission::Closed);
    }
    let known = known.map(|(id, _)| id);
    // Anybody can make a key and sign: who may not come in leaves nothing in the database.
    if known.is_none() && !new.open_to_all && !is_invited(db, new.invitation, now)? {
        return Ok(Admission::Unknown);
    }
    let fresh = db
        .prepare_cached("INSERT INTO spent_challenges (nonce, expires_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute((new.nonce, new.nonce_expires_at))?;
    if fresh == 0 {
        return Ok(Admission::Spent);
    }
    let id = match known {
        Some(id) => id,
        None => {
            if !new.open_to_all {
                db.prepare_cached("DELETE FROM invitations WHERE digest = ?1")?.execute([new.invitation])?;
            }
            account_id(db, account, now)?
        }
    };
    let tokens = db
        .prepare_cached(
            "SELECT count(*) FROM tokens WHERE account_id = ?1 AND (expires_at IS NULL OR expires_at > ?2)",
        )?
        .query_row((id, now), |row| unsigned(row, 0))?;
    if tokens >= new.max_tokens {
        return Ok(Admission::TooManyTokens);
    }
    token::insert(db, id, &new.token)?;
    Ok(Admission::Admitted)
}

fn is_invited(db: &Connection, digest: Option<[u8; 32]>, now: i64) -> Outcome<bool> {
    let Some(digest) = digest else { return Ok(false) };
    let mut statement = db.prepare_cached("SELECT 1 FROM invitations WHERE digest = ?1 AND expires_at > ?2")?;
    Ok(statement.exists((digest, now))?)
}
