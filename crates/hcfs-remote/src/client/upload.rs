//! Uploads, in one request or in parts.

use bytes::Bytes;
use hcfs_http::{Deadlines, HeaderValue, Method};
use hcfs_wire::{
    ChunkStored, Manifest, SessionDeleted, SessionId, SessionOpen, SessionOpened, SessionStatus, UploadResult, limits,
};

use super::{Ask, HcfsRemote, SLOW_ANSWER};
use crate::remote::{OpenedSession, Uploaded};
use crate::{RemoteError, RemoteErrorKind, multipart};

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// The endpoints of a session.
const SESSION: [&str; 2] = ["upload", "session"];

impl HcfsRemote {
    pub(super) async fn send_whole(&self, manifest: &Manifest, blob: Bytes) -> Result<Uploaded, RemoteError> {
        let ask = self.ask(Method::POST, &["upload"], object(manifest))?.changing();
        let (body, content_type) = multipart::upload(manifest, blob).map_err(|error| ask.local(error))?;
        self.committed(ask.bytes(body, content_type), manifest).await
    }

    async fn committed(&self, mut ask: Ask, manifest: &Manifest) -> Result<Uploaded, RemoteError> {
        let deadlines = Deadlines { first_byte: SLOW_ANSWER, ..Deadlines::default() };
        ask.request = ask.request.deadlines(deadlines);
        let result: UploadResult = self.payload(ask).await?;
        Ok(Uploaded { revision: manifest.revision(result.revision_id), updated_at: result.updated_at })
    }

    pub(super) async fn open(&self, open: &SessionOpen) -> Result<OpenedSession, RemoteError> {
        // Sent again, it opens another session; the first one expires.
        let ask = self.ask(Method::POST, &SESSION, object(&open.manifest))?.json(open)?.idempotent();
        let opened: SessionOpened = self.payload(ask).await?;
        Ok(OpenedSession { id: opened.session_id, expires_at: opened.expires_at })
    }

    pub(super) async fn send_part(&self, session: &SessionId, index: u32, part: Bytes) -> Result<(), RemoteError> {
        let number = index.to_string();
        let path = [SESSION[0], SESSION[1], session.as_str(), "chunk", &number];
        let ask = self.ask(Method::PUT, &path, format!("part {index} of an upload"))?.bytes(part, OCTETS).idempotent();
        let object = std::sync::Arc::clone(&ask.object);
        let stored: ChunkStored = self.payload(ask).await?;
        if stored.chunk_index == index {
            return Ok(());
        }
        let message = format!("the server says that it stored part {}", stored.chunk_index);
        Err(RemoteError::new(RemoteErrorKind::Inconsistent, &*object, message))
    }

    pub(super) async fn status_of(&self, session: &SessionId) -> Result<SessionStatus, RemoteError> {
        let path = [SESSION[0], SESSION[1], session.as_str(), "status"];
        let ask = self.ask(Method::GET, &path, "state of an upload session".to_owned())?;
        self.payload(ask.at_most(limits::MAX_SMALL_BODY)).await
    }

    pub(super) async fn commit(&self, session: &SessionId, manifest: &Manifest) -> Result<Uploaded, RemoteError> {
        let path = [SESSION[0], SESSION[1], session.as_str(), "finalize"];
        let ask = self.ask(Method::POST, &path, object(manifest))?.changing();
        self.committed(ask, manifest).await
    }

    pub(super) async fn drop_session(&self, session: &SessionId) -> Result<(), RemoteError> {
        let path = [SESSION[0], SESSION[1], session.as_str()];
        let ask = self.ask(Method::DELETE, &path, "end of an upload session".to_owned())?.idempotent();
        match self.payload::<SessionDeleted>(ask).await {
            Err(error) if error.kind == RemoteErrorKind::NotFound => Ok(()),
            answer => answer.map(drop),
        }
    }
}

fn object(manifest: &Manifest) -> String {
    format!("upload of file {}", manifest.path_hash)
}
