//! Upload sessions: a blob in parts, in any order, several at a time, over as many connections as it takes.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use hcfs_wire::{
    ChunkStored, ErrorCode, Manifest, SessionDeleted, SessionOpen, SessionOpened, SessionState, SessionStatus,
    UploadResult, limits,
};
use http::HeaderMap;

use super::account::check_quota;
use super::missing;
use super::upload::{admit, file_key, store};
use crate::answer::{Answer, Failure, success};
use crate::blobs::WriteError;
use crate::body::{self, read_json};
use crate::caller::{Caller, Segments};
use crate::metadata::{MetadataError, NewSession, SessionId, SessionRefusal, SessionRow, StoredRevision};
use crate::stores::{Stores, random};

pub(super) async fn open(State(stores): State<Arc<Stores>>, caller: Caller, headers: HeaderMap, body: Body) -> Answer {
    let request: SessionOpen = read_json(body, limits::MAX_MANIFEST_BODY).await?;
    request.check().map_err(|error| Failure::invalid(error.to_string()))?;
    admit(&stores, &caller, &request.manifest).await?;
    check_quota(&stores, &file_key(&request.manifest), request.manifest.size_bytes, &headers).await?;
    if !stores.blobs.has_room(request.ciphertext_size).await? {
        return Err(WriteError::Full.into());
    }
    let id = SessionId(random()?);
    let now = stores.clock.seconds();
    let expires_at = expiry(&stores);
    let manifest = serde_json::to_string(&request.manifest).map_err(|error| Failure::invalid(error.to_string()))?;
    let new = NewSession {
        id,
        account: caller.account,
        manifest,
        chunk_count: request.chunk_count,
        chunk_size: request.chunk_size,
        ciphertext_size: request.ciphertext_size,
        now,
        expires_at,
        max_sessions: stores.limits.sessions,
        max_bytes: stores.limits.session_bytes,
    };
    match stores.metadata.open_session(new).await? {
        Ok(()) => Ok(success(SessionOpened { session_id: wire_id(id)?, expires_at })),
        Err(refusal) => {
            let message = match refusal {
                SessionRefusal::TooMany => "the account has too many unfinished upload sessions",
                SessionRefusal::TooManyBytes => "the account's unfinished upload sessions are too large together",
            };
            Err(Failure::new(ErrorCode::RateLimited, message))
        }
    }
}

pub(super) async fn chunk(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments((id, index)): Segments<(String, String)>,
    mut body: Body,
) -> Answer {
    let id = read_id(&id)?;
    let index: u32 = index.parse().map_err(|_| Failure::invalid("the part's index is not a number"))?;
    let slot = stores.transfer().await?;
    // Before the row is read: a session that ends meanwhile seals this very file.
    let spool = stores.blobs.spool(id);
    let session = find(&stores, id, &caller).await?;
    if session.result.is_some() {
        return Err(finished());
    }
    let layout = layout(&session)?;
    let range = layout.part(index).ok_or_else(|| {
        Failure::invalid(format!("the session has {} parts, and none is number {index}", layout.chunk_count))
    })?;
    let length = range.end - range.start;
    check_length(&body, length)?;
    if stores.metadata.has_chunk(id, index).await? {
        // What came first stays; its bytes are fixed by the manifest's hash anyway.
        while body::next(&mut body).await?.is_some() {}
        return Ok(success(ChunkStored { chunk_index: index }));
    }
    let mut part = Arc::clone(&spool).part(index, range).await?;
    while let Some(bytes) = body::next(&mut body).await? {
        part.write(bytes).await?;
    }
    if !part.finish().await? {
        return Err(Failure::invalid(format!("part {index} is shorter than its {length} bytes")));
    }
    if !stores.metadata.mark_chunk(id, index, expiry(&stores)).await? {
        return Err(missing("upload session"));
    }
    drop(slot);
    Ok(success(ChunkStored { chunk_index: index }))
}

pub(super) async fn status(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Answer {
    let id = read_id(&id)?;
    let session = find(&stores, id, &caller).await?;
    let (state, chunks_received) = match session.result {
        Some(_) => (SessionState::Finalized, (0..session.chunk_count).collect()),
        None => (SessionState::Receiving, stores.metadata.chunks(id).await?),
    };
    Ok(success(SessionStatus {
        session_id: wire_id(id)?,
        state,
        total_chunks: session.chunk_count,
        chunks_received,
        expires_at: session.expires_at,
        ciphertext_hash: manifest(&session)?.ciphertext_hash,
    }))
}

/// Makes a session's file the current revision; a second time, answers as the first.
pub(super) async fn finalize(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments(id): Segments<String>,
) -> Answer {
    let id = read_id(&id)?;
    let slot = stores.transfer().await?;
    let work = {
        let stores = Arc::clone(&stores);
        async move {
            let result = finalize_one(&stores, &caller, id).await;
            drop(slot);
            result
        }
    };
    Ok(success(stores.to_the_end(work).await?))
}

async fn finalize_one(stores: &Arc<Stores>, caller: &Caller, id: SessionId) -> Result<UploadResult, Failure> {
    let spool = stores.blobs.spool(id);
    let _alone = spool.finalizing().lock().await;
    let session = find(stores, id, caller).await?;
    if let Some(stored) = session.result {
        return Ok(answered(id, stored));
    }
    let received = stores.metadata.chunks(id).await?.len();
    if received != session.chunk_count as usize {
        let message = format!("{received} of the {} parts have arrived", session.chunk_count);
        return Err(Failure::new(ErrorCode::UploadConflict, message));
    }
    let manifest = manifest(&session)?;
    if let Err(refused) = admit(stores, caller, &manifest).await {
        return give_up(stores, caller, id, refused).await;
    }
    let sealed = match Arc::clone(&spool).seal(session.chunk_count, session.ciphertext_size).await {
        Ok(sealed) => sealed,
        Err(WriteError::PartsLost) => {
            spool.unseal();
            if let Some(stored) = find(stores, id, caller).await?.result {
                return Ok(answered(id, stored));
            }
            stores.metadata.forget_chunks(id).await?;
            return Err(Failure::new(ErrorCode::UploadConflict, WriteError::PartsLost.to_string()));
        }
        Err(error) => {
            spool.unseal();
            return Err(error.into());
        }
    };
    match store(stores, sealed, manifest, Some(id)).await {
        Ok(result) => {
            stores.remove_spool(id).await;
            Ok(result)
        }
        Err(failure) if failure.is_final() => give_up(stores, caller, id, failure).await,
        Err(failure) => {
            spool.unseal();
            Err(failure)
        }
    }
}

/// Ends a session whose file can never become current: its base has passed, or its bytes are not what was announced.
/// If another server has finalized it meanwhile, answers as that did.
async fn give_up(
    stores: &Arc<Stores>,
    caller: &Caller,
    id: SessionId,
    failure: Failure,
) -> Result<UploadResult, Failure> {
    if !failure.is_final() {
        return Err(failure);
    }
    if let Some(stored) = find(stores, id, caller).await?.result {
        return Ok(answered(id, stored));
    }
    end(stores, id).await?;
    Err(failure)
}

/// What the finalize of a session answers.
fn answered(id: SessionId, stored: StoredRevision) -> UploadResult {
    UploadResult {
        upload_id: id.to_hex(),
        timestamp: stored.updated_at,
        revision_id: stored.id,
        created_at: stored.created_at,
        updated_at: stored.updated_at,
    }
}

pub(super) async fn close(State(stores): State<Arc<Stores>>, caller: Caller, Segments(id): Segments<String>) -> Answer {
    let id = read_id(&id)?;
    find(&stores, id, &caller).await?;
    let work = {
        let stores = Arc::clone(&stores);
        async move { Ok(end(&stores, id).await?) }
    };
    let deleted = stores.to_the_end(work).await?;
    Ok(success(SessionDeleted { deleted }))
}

/// Removes a session and what it received; whether there was one.
async fn end(stores: &Arc<Stores>, id: SessionId) -> Result<bool, MetadataError> {
    let spool = stores.blobs.spool(id);
    spool.close();
    let closed = stores.metadata.close_session(id).await;
    match closed {
        Ok(_) => stores.remove_spool(id).await,
        Err(_) => spool.unseal(),
    }
    closed
}

async fn find(stores: &Stores, id: SessionId, caller: &Caller) -> Result<SessionRow, Failure> {
    let session = stores.metadata.session(id, caller.account.clone(), stores.clock.seconds()).await?;
    session.ok_or_else(|| missing("upload session"))
}

fn expiry(stores: &Stores) -> i64 {
    let lifetime = i64::try_from(stores.limits.session_lifetime.as_secs()).unwrap_or(i64::MAX);
    stores.clock.seconds().saturating_add(lifetime)
}

/// Refuses a part whose announced length is wrong before it is received.
fn check_length(body: &Body, length: u64) -> Result<(), Failure> {
    let Some(announced) = http_body::Body::size_hint(body).exact() else { return Ok(()) };
    if announced > limits::MAX_SESSION_CHUNK {
        return Err(Failure::new(ErrorCode::PayloadTooLarge, "a part has at most 16 MiB"));
    }
    if announced != length {
        return Err(Failure::invalid(format!("the part has {announced} bytes, and {length} are expected")));
    }
    Ok(())
}

fn layout(session: &SessionRow) -> Result<SessionOpen, Failure> {
    Ok(SessionOpen {
        manifest: manifest(session)?,
        chunk_count: session.chunk_count,
        chunk_size: session.chunk_size,
        ciphertext_size: session.ciphertext_size,
    })
}

fn manifest(session: &SessionRow) -> Result<Manifest, Failure> {
    let text = session.manifest.as_bytes();
    // It was a manifest when it was stored; JSON written here may be longer than what came.
    hcfs_wire::parse_json(text, 2 * limits::MAX_MANIFEST_BODY)
        .map_err(|_| MetadataError::Impossible("a session's manifest").into())
}

fn finished() -> Failure {
    Failure::new(ErrorCode::UploadConflict, "the upload session is finished")
}

fn read_id(text: &str) -> Result<SessionId, Failure> {
    SessionId::from_hex(text).ok_or_else(|| missing("upload session"))
}

fn wire_id(id: SessionId) -> Result<hcfs_wire::SessionId, Failure> {
    hcfs_wire::SessionId::new(&id.to_hex()).ok_or_else(|| missing("upload session"))
}
