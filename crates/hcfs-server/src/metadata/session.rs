//! Upload sessions: what was announced, which parts arrived, and what the finalize answered.

use async_trait::async_trait;
use hcfs_model::AccountAddress;

use super::{Outcome, StoredRevision};

/// Names a session: 16 random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SessionId(pub(crate) [u8; 16]);

impl SessionId {
    /// Reads 32 hexadecimal characters.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).ok().map(|()| Self(bytes))
    }

    /// 32 lower-case hexadecimal characters.
    pub(crate) fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

/// A session to be made.
#[derive(Debug)]
pub(crate) struct NewSession {
    pub(crate) id: SessionId,
    pub(crate) account: AccountAddress,
    /// The manifest as JSON.
    pub(crate) manifest: String,
    pub(crate) chunk_count: u32,
    pub(crate) chunk_size: u64,
    pub(crate) ciphertext_size: u64,
    pub(crate) now: i64,
    pub(crate) expires_at: i64,
    /// Unfinished sessions the account may have.
    pub(crate) max_sessions: u64,
    /// Bytes the account's unfinished sessions may come to.
    pub(crate) max_bytes: u64,
}

/// Why a session was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionRefusal {
    TooMany,
    TooManyBytes,
}

/// A session that has not expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionRow {
    pub(crate) manifest: String,
    pub(crate) chunk_count: u32,
    pub(crate) chunk_size: u64,
    pub(crate) ciphertext_size: u64,
    pub(crate) expires_at: i64,
    /// What the finalize answered; `None` while parts are received.
    pub(crate) result: Option<StoredRevision>,
}

/// Upload sessions.
#[async_trait]
pub(crate) trait Sessions: Send + Sync {
    /// Makes a session, if the account may have one more.
    async fn open_session(&self, new: NewSession) -> Outcome<Result<(), SessionRefusal>>;

    /// A session of an account; `None` when there is none, or it has expired.
    async fn session(&self, id: SessionId, account: AccountAddress, now: i64) -> Outcome<Option<SessionRow>>;

    /// The parts that arrived, in order.
    async fn chunks(&self, id: SessionId) -> Outcome<Vec<u32>>;

    /// Whether a part has arrived.
    async fn has_chunk(&self, id: SessionId, index: u32) -> Outcome<bool>;

    /// Marks a part as arrived, and puts off the session's end; the part's bytes are durable. Says whether the session
    /// still receives.
    async fn mark_chunk(&self, id: SessionId, index: u32, expires_at: i64) -> Outcome<bool>;

    /// Removes a session; says whether there was one.
    async fn close_session(&self, id: SessionId) -> Outcome<bool>;

    /// Removes the sessions that have expired, and names them.
    async fn expire_sessions(&self, now: i64) -> Outcome<Vec<SessionId>>;

    /// The sessions that still receive.
    async fn receiving_sessions(&self) -> Outcome<Vec<SessionId>>;

    /// Forgets which parts of a session arrived: its file is gone.
    async fn forget_chunks(&self, id: SessionId) -> Outcome<()>;
}
