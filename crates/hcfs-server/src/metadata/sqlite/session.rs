//! Upload sessions.

use async_trait::async_trait;
use hcfs_model::{AccountAddress, RevisionId};
use rusqlite::{Connection, OptionalExtension};

use super::file::{hash32, signed};
use super::{Sqlite, account_id, unsigned};
use crate::metadata::{
    MetadataError, NewSession, Outcome, SessionId, SessionRefusal, SessionRow, Sessions, StoredRevision,
};

#[async_trait]
impl Sessions for Sqlite {
    async fn open_session(&self, new: NewSession) -> Outcome<Result<(), SessionRefusal>> {
        self.write(move |db| open(db, &new)).await
    }

    async fn session(&self, id: SessionId, account: AccountAddress, now: i64) -> Outcome<Option<SessionRow>> {
        self.read(move |db| find(db, id, &account, now)).await
    }

    async fn chunks(&self, id: SessionId) -> Outcome<Vec<u32>> {
        self.read(move |db| {
            let mut statement =
                db.prepare_cached("SELECT chunk_index FROM session_chunks WHERE session_id = ?1 ORDER BY chunk_index")?;
            let rows = statement.query_map([id.0.as_slice()], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn has_chunk(&self, id: SessionId, index: u32) -> Outcome<bool> {
        self.read(move |db| {
            Ok(db
                .prepare_cached("SELECT 1 FROM session_chunks WHERE session_id = ?1 AND chunk_index = ?2")?
                .exists((id.0.as_slice(), index))?)
        })
        .await
    }

    async fn mark_chunk(&self, id: SessionId, index: u32, expires_at: i64) -> Outcome<bool> {
        self.write(move |db| {
            let marked = db
                .prepare_cached(
                    "INSERT INTO session_chunks (session_id, chunk_index)
                     SELECT id, ?2 FROM sessions WHERE id = ?1 AND revision_id IS NULL
                     ON CONFLICT DO UPDATE SET chunk_index = excluded.chunk_index",
                )?
                .execute((id.0.as_slice(), index))?;
            db.prepare_cached(
                "UPDATE sessions SET expires_at = max(expires_at, ?2) WHERE id = ?1 AND revision_id IS NULL",
            )?
            .execute((id.0.as_slice(), expires_at))?;
            Ok(marked > 0)
        })
        .await
    }

    async fn close_session(&self, id: SessionId) -> Outcome<bool> {
        self.write(move |db| Ok(db.execute("DELETE FROM sessions WHERE id = ?1", [id.0.as_slice()])? > 0)).await
    }

    async fn expire_sessions(&self, now: i64) -> Outcome<Vec<SessionId>> {
        self.write(move |db| {
            let mut statement = db.prepare("DELETE FROM sessions WHERE expires_at <= ?1 RETURNING id")?;
            let rows = statement.query_map([now], |row| row.get(0).map(SessionId))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn receiving_sessions(&self) -> Outcome<Vec<SessionId>> {
        self.read(|db| {
            let mut statement = db.prepare("SELECT id FROM sessions WHERE revision_id IS NULL ORDER BY id")?;
            let rows = statement.query_map((), |row| row.get(0).map(SessionId))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn forget_chunks(&self, id: SessionId) -> Outcome<()> {
        self.write(move |db| {
            db.execute("DELETE FROM session_chunks WHERE session_id = ?1", [id.0.as_slice()])?;
            Ok(())
        })
        .await
    }
}

fn open(db: &Connection, new: &NewSession) -> Outcome<Result<(), SessionRefusal>> {
    let account_id = account_id(db, &new.account, new.now)?;
    let (count, bytes) = db
        .prepare_cached(
            "SELECT count(*), coalesce(sum(ciphertext_size), 0) FROM sessions
             WHERE account_id = ?1 AND revision_id IS NULL AND expires_at > ?2",
        )?
        .query_row((account_id, new.now), |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)))?;
    if count >= new.max_sessions {
        return Ok(Err(SessionRefusal::TooMany));
    }
    if bytes.saturating_add(new.ciphertext_size) > new.max_bytes {
        return Ok(Err(SessionRefusal::TooManyBytes));
    }
    db.prepare_cached(
        "INSERT INTO sessions (id, account_id, manifest, chunk_count, chunk_size, ciphertext_size, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(rusqlite::params![
        new.id.0.as_slice(),
        account_id,
        new.manifest,
        new.chunk_count,
        signed(new.chunk_size)?,
        signed(new.ciphertext_size)?,
        new.now,
        new.expires_at,
    ])?;
    Ok(Ok(()))
}

fn find(db: &Connection, id: SessionId, account: &AccountAddress, now: i64) -> Outcome<Option<SessionRow>> {
    Ok(db
        .prepare_cached(
            "SELECT s.manifest, s.chunk_count, s.chunk_size, s.ciphertext_size, s.expires_at,
                    s.revision_id, s.file_created_at, s.file_updated_at
             FROM sessions s JOIN accounts a ON a.id = s.account_id
             WHERE s.id = ?1 AND a.ss58 = ?2 AND s.expires_at > ?3",
        )?
        .query_row((id.0.as_slice(), account.as_str(), now), |row| {
            let finalized = row.get::<_, Option<[u8; 32]>>(5)?.is_some();
            let result = if finalized {
                Some(StoredRevision {
                    id: RevisionId(hash32(row, 5)?),
                    created_at: row.get(6)?,
                    updated_at: row.get(7)?,
                })
            } else {
                None
            };
            Ok(SessionRow {
                manifest: row.get(0)?,
                chunk_count: row.get(1)?,
                chunk_size: unsigned(row, 2)?,
                ciphertext_size: unsigned(row, 3)?,
                expires_at: row.get(4)?,
                result,
            })
        })
        .optional()?)
}

/// Notes in a session what its finalize answers, within the commit of its file.
pub(super) fn settle_session(db: &Connection, id: SessionId, stored: StoredRevision) -> Outcome<()> {
    let settled = db
        .prepare_cached(
            "UPDATE sessions SET revision_id = ?2, file_created_at = ?3, file_updated_at = ?4
             WHERE id = ?1 AND revision_id IS NULL",
        )?
        .execute((id.0.as_slice(), stored.id.0, stored.created_at, stored.updated_at))?;
    // A session deleted while it is finalized: the file must not appear after its client was told it will not.
    if settled == 0 {
        return Err(MetadataError::SessionGone);
    }
    db.prepare_cached("DELETE FROM session_chunks WHERE session_id = ?1")?.execute([id.0.as_slice()])?;
    Ok(())
}
