//! Upload sessions of the server in memory.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use hcfs_wire::{ErrorCode, Failure, SessionId, SessionOpen, SessionOpened, SessionState, SessionStatus, UploadResult};

use super::server::{MemoryServer, State, refused};

/// Seconds an idle session lives.
const LIFETIME: i64 = 24 * 3600;

#[derive(Clone)]
pub(super) struct Session {
    open: SessionOpen,
    parts: BTreeMap<u32, Bytes>,
    expires_at: i64,
    /// What finalizing it made; its parts are gone then.
    result: Option<UploadResult>,
}

fn gone() -> Failure {
    refused(ErrorCode::NotFound, "no such session")
}

impl State {
    fn session(&mut self, id: &SessionId) -> Result<&mut Session, Failure> {
        let now = self.now;
        self.sessions.retain(|_, session| session.expires_at > now);
        let session = self.sessions.get_mut(id.as_str()).ok_or_else(gone)?;
        session.expires_at = now + LIFETIME;
        Ok(session)
    }
}

impl MemoryServer {
    /// Opens a session.
    ///
    /// # Errors
    /// The manifest or the layout is wrong.
    pub fn open_session(&self, open: &SessionOpen) -> Result<SessionOpened, Failure> {
        let mut state = self.state();
        state.check_manifest(&open.manifest)?;
        open.check().map_err(|error| refused(ErrorCode::InvalidManifest, &error.to_string()))?;
        state.names += 1;
        let name = format!("session-{}", state.names);
        let id = SessionId::new(&name).ok_or_else(gone)?;
        let expires_at = state.now + LIFETIME;
        let session = Session { open: open.clone(), parts: BTreeMap::new(), expires_at, result: None };
        state.sessions.insert(name, session);
        Ok(SessionOpened { session_id: id, expires_at })
    }

    /// Stores a part.
    ///
    /// # Errors
    /// There is no such session or part, or the part has another length.
    pub fn put_part(&self, id: &SessionId, index: u32, part: Bytes) -> Result<(), Failure> {
        let mut state = self.state();
        let session = state.session(id)?;
        let place = session.open.part(index).ok_or_else(|| refused(ErrorCode::InvalidManifest, "no such part"))?;
        if part.len() as u64 != place.end - place.start {
            return Err(refused(ErrorCode::InvalidManifest, "the part has the wrong length"));
        }
        if session.result.is_none() {
            session.parts.insert(index, part);
        }
        Ok(())
    }

    /// How far a session is.
    ///
    /// # Errors
    /// There is no such session.
    pub fn session_status(&self, id: &SessionId) -> Result<SessionStatus, Failure> {
        let mut state = self.state();
        let session = state.session(id)?;
        let total_chunks = session.open.chunk_count;
        let (finalized, all) = (session.result.is_some(), (0..total_chunks).collect());
        Ok(SessionStatus {
            session_id: id.clone(),
            state: if finalized { SessionState::Finalized } else { SessionState::Receiving },
            total_chunks,
            chunks_received: if finalized { all } else { session.parts.keys().copied().collect() },
            expires_at: session.expires_at,
            ciphertext_hash: session.open.manifest.ciphertext_hash,
        })
    }

    /// Puts a session's parts together and makes them current. Once it succeeded it gives the same answer again.
    ///
    /// # Errors
    /// There is no such session, parts are missing, or as [`MemoryServer::upload`].
    pub fn finalize(&self, id: &SessionId) -> Result<UploadResult, Failure> {
        let mut state = self.state();
        let session = state.session(id)?;
        if let Some(result) = &session.result {
            return Ok(result.clone());
        }
        if session.parts.len() as u64 != u64::from(session.open.chunk_count) {
            return Err(refused(ErrorCode::InvalidManifest, "parts are missing"));
        }
        let mut blob = BytesMut::new();
        session.parts.values().for_each(|part| blob.extend_from_slice(part));
        let manifest = session.open.manifest.clone();
        let result = state.commit(&manifest, blob.freeze())?;
        let session = state.session(id)?;
        session.parts.clear();
        session.result = Some(result.clone());
        Ok(result)
    }

    /// Drops a session.
    ///
    /// # Errors
    /// There is no such session.
    pub fn abort_session(&self, id: &SessionId) -> Result<(), Failure> {
        let mut state = self.state();
        state.session(id)?;
        state.sessions.remove(id.as_str());
        Ok(())
    }
}
