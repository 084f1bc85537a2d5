//! Upload sessions.

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use hcfs_model::{AccountAddress, RevisionId};

use super::folder::account_id;
use super::{Postgres, bytes, signed, transaction, unsigned};
use crate::metadata::{
    MetadataError, NewSession, Outcome, SessionId, SessionRefusal, SessionRow, Sessions, StoredRevision,
};

#[async_trait]
impl Sessions for Postgres {
    async fn open_session(&self, new: NewSession) -> Outcome<Result<(), SessionRefusal>> {
        transaction!(self, |tx| open(&tx, &new))
    }

    async fn session(&self, id: SessionId, account: AccountAddress, now: i64) -> Outcome<Option<SessionRow>> {
        let row = self
            .row(
                "SELECT s.manifest, s.chunk_count, s.chunk_size, s.ciphertext_size, s.expires_at,
                        s.revision_id IS NOT NULL, s.revision_id, s.file_created_at, s.file_updated_at
                 FROM sessions s JOIN accounts a ON a.id = s.account_id
                 WHERE s.id = $1 AND a.ss58 = $2 AND s.expires_at > $3",
                &[&&id.0[..], &account.as_str(), &now],
            )
            .await?;
        let Some(row) = row else { return Ok(None) };
        let result = if row.try_get(5)? {
            Some(StoredRevision {
                id: RevisionId(bytes(&row, 6)?),
                created_at: row.try_get(7)?,
                updated_at: row.try_get(8)?,
            })
        } else {
            None
        };
        Ok(Some(SessionRow {
            manifest: row.try_get(0)?,
            chunk_count: index(&row, 1)?,
            chunk_size: unsigned(&row, 2)?,
            ciphertext_size: unsigned(&row, 3)?,
            expires_at: row.try_get(4)?,
            result,
        }))
    }

    async fn chunks(&self, id: SessionId) -> Outcome<Vec<u32>> {
        let query = "SELECT chunk_index FROM session_chunks WHERE session_id = $1 ORDER BY chunk_index";
        self.rows(query, &[&&id.0[..]]).await?.iter().map(|row| index(row, 0)).collect()
    }

    async fn has_chunk(&self, id: SessionId, index: u32) -> Outcome<bool> {
        let query = "SELECT 1 FROM session_chunks WHERE session_id = $1 AND chunk_index = $2";
        Ok(self.row(query, &[&&id.0[..], &i64::from(index)]).await?.is_some())
    }

    async fn mark_chunk(&self, id: SessionId, index: u32, expires_at: i64) -> Outcome<bool> {
        transaction!(self, |tx| async {
            // Parts of one session share its row; the finalize and the end of the session have it alone.
            let lock = tx
                .prepare_cached("SELECT expires_at FROM sessions WHERE id = $1 AND revision_id IS NULL FOR KEY SHARE")
                .await?;
            let Some(row) = tx.query_opt(&lock, &[&&id.0[..]]).await? else { return Ok(false) };
            let mark = tx
                .prepare_cached(
                    "INSERT INTO session_chunks (session_id, chunk_index) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                )
                .await?;
            tx.execute(&mark, &[&&id.0[..], &i64::from(index)]).await?;
            if row.try_get::<_, i64>(0)? < expires_at {
                let put_off = tx
                    .prepare_cached("UPDATE sessions SET expires_at = greatest(expires_at, $2) WHERE id = $1")
                    .await?;
                tx.execute(&put_off, &[&&id.0[..], &expires_at]).await?;
            }
            Ok(true)
        })
    }

    async fn close_session(&self, id: SessionId) -> Outcome<bool> {
        Ok(self.execute("DELETE FROM sessions WHERE id = $1", &[&&id.0[..]]).await? > 0)
    }

    async fn expire_sessions(&self, now: i64) -> Outcome<Vec<SessionId>> {
        ids(&self.rows("DELETE FROM sessions WHERE expires_at <= $1 RETURNING id", &[&now]).await?)
    }

    async fn receiving_sessions(&self) -> Outcome<Vec<SessionId>> {
        ids(&self.rows("SELECT id FROM sessions WHERE revision_id IS NULL ORDER BY id", &[]).await?)
    }

    async fn forget_chunks(&self, id: SessionId) -> Outcome<()> {
        self.execute("DELETE FROM session_chunks WHERE session_id = $1", &[&&id.0[..]]).await?;
        Ok(())
    }
}

fn ids(rows: &[tokio_postgres::Row]) -> Outcome<Vec<SessionId>> {
    rows.iter().map(|row| Ok(SessionId(bytes(row, 0)?))).collect()
}

fn index(row: &tokio_postgres::Row, column: usize) -> Outcome<u32> {
    u32::try_from(row.try_get::<_, i64>(column)?).map_err(|_| MetadataError::Impossible("the index of a part"))
}

async fn open(tx: &Transaction<'_>, new: &NewSession) -> Outcome<Result<(), SessionRefusal>> {
    let account_id = account_id(tx, &new.account, new.now).await?;
    // One after the other for an account: together they might pass a limit that each alone keeps.
    tx.execute("SELECT 1 FROM accounts WHERE id = $1 FOR NO KEY UPDATE", &[&account_id]).await?;
    let row = tx
        .query_one(
            "SELECT count(*), coalesce(sum(ciphertext_size), 0)::bigint FROM sessions
             WHERE account_id = $1 AND revision_id IS NULL AND expires_at > $2",
            &[&account_id, &new.now],
        )
        .await?;
    if unsigned(&row, 0)? >= new.max_sessions {
        return Ok(Err(SessionRefusal::TooMany));
    }
    if unsigned(&row, 1)?.saturating_add(new.ciphertext_size) > new.max_bytes {
        return Ok(Err(SessionRefusal::TooManyBytes));
    }
    tx.execute(
        "INSERT INTO sessions (id, account_id, manifest, chunk_count, chunk_size, ciphertext_size, created_at,
                               expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            &&new.id.0[..],
            &account_id,
            &new.manifest,
            &i64::from(new.chunk_count),
            &signed(new.chunk_size)?,
            &signed(new.ciphertext_size)?,
            &new.now,
            &new.expires_at,
        ],
    )
    .await?;
    Ok(Ok(()))
}

/// Notes in a session what its finalize answers, within the commit of its file.
pub(super) async fn settle_session(tx: &Transaction<'_>, id: SessionId, stored: StoredRevision) -> Outcome<()> {
    let settled = tx
        .execute(
            "UPDATE sessions SET revision_id = $2, file_created_at = $3, file_updated_at = $4
             WHERE id = $1 AND revision_id IS NULL",
            &[&&id.0[..], &&stored.id.0[..], &stored.created_at, &stored.updated_at],
        )
        .await?;
    // A session deleted while it is finalized: the file must not appear after its client was told it will not.
    if settled == 0 {
        return Err(MetadataError::SessionGone);
    }
    tx.execute("DELETE FROM session_chunks WHERE session_id = $1", &[&&id.0[..]]).await?;
    Ok(())
}
