//! Uploads in one request: the manifest, then the ciphertext, streamed to the disk while it is hashed.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::State;
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use hcfs_model::RevisionId;
use hcfs_wire::{ErrorCode, Manifest, UploadResult, limits, verify_upload};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::Body as _;
use multer::{Field, Multipart};

use super::account::check_quota;
use crate::answer::{Answer, Failure, success};
use crate::blobs::{Received, WriteError};
use crate::body::{BodyError, unreadable};
use crate::caller::Caller;
use crate::metadata::{Committed, FileKey, FolderKey, NewRevision, SessionId, StoredRevision};
use crate::stores::{Stores, random};

/// Bytes the multipart reader is given at a time.
const PACE: usize = 64 * 1024;
/// Bytes that a body may have besides the ciphertext: the manifest, boundaries and part headers, and what the reader
/// takes ahead of them. Bounds the reader's buffer.
const OVERHEAD: u64 = 2 << 20;

/// The largest number a revision may start with. Far below 2^63, so that renames always find a next one.
const MAX_SEQ: u64 = 1 << 62;

pub(super) async fn upload(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let boundary = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| multer::parse_boundary(text).ok())
        .ok_or_else(|| Failure::new(ErrorCode::MissingField, "an upload is multipart/form-data with a boundary"))?;
    let slot = stores.transfer().await?;
    let allowed = Arc::new(AtomicU64::new(OVERHEAD));
    let mut parts = Multipart::new(Paced::new(body, Arc::clone(&allowed)), boundary);

    let first = next_part(&mut parts).await?;
    let manifest = match first.name() {
        Some("manifest") => read_manifest(first).await?,
        Some("account_ss58") => {
            return Err(Failure::invalid("this server takes encrypted uploads only, not the gateway's plaintext form"));
        }
        _ => return Err(Failure::new(ErrorCode::MissingField, "the first part is not the manifest")),
    };
    admit(&stores, &caller, &manifest).await?;
    check_quota(&stores, &file_key(&manifest), manifest.size_bytes, &headers).await?;
    let length = manifest.blob_len();
    if !stores.blobs.has_room(length).await? {
        return Err(WriteError::Full.into());
    }

    allowed.fetch_add(length, Ordering::Relaxed);
    let second = next_part(&mut parts).await?;
    if second.name() != Some("ciphertext") {
        return Err(Failure::new(ErrorCode::MissingField, "the second part is not the ciphertext"));
    }
    let received = receive(&stores, second, length).await?;
    let result = store(&stores, received, manifest, None).await?;
    drop(slot);
    Ok(success(result))
}

/// What can be refused before the blob is received: a contradiction, another account, a wrong signature, a revision
/// that is not the next.
pub(super) async fn admit(stores: &Stores, caller: &Caller, manifest: &Manifest) -> Result<(), Failure> {
    check(caller, manifest)?;
    let key = file_key(manifest);
    match stores.metadata.precheck(key, manifest.base_revision_id, manifest.revision_seq).await? {
        None => Ok(()),
        Some(refused) => Err(refusal(&refused)),
    }
}

/// What can be said of a manifest without the stores.
pub(super) fn check(caller: &Caller, manifest: &Manifest) -> Result<(), Failure> {
    manifest.check().map_err(|error| Failure::invalid(error.to_string()))?;
    if manifest.revision_seq > MAX_SEQ {
        return Err(Failure::invalid("revision_seq is out of range"));
    }
    caller.must_be(&manifest.ss58_address)?;
    Ok(verify_upload(manifest)?)
}

/// Whether a blob is the one its manifest describes.
pub(super) fn check_blob(received: &Received, manifest: &Manifest) -> Result<(), Failure> {
    if received.length != manifest.blob_len() {
        return Err(Failure::invalid(format!(
            "the ciphertext has {} bytes, and {} follow from size_bytes",
            received.length,
            manifest.blob_len()
        )));
    }
    if received.hash != manifest.ciphertext_hash {
        return Err(Failure::invalid("the ciphertext does not have the hash that the manifest names"));
    }
    Ok(())
}

/// Stores a blob that was received, and makes it the file's current revision. Leaves nothing when that fails.
pub(super) async fn store(
    stores: &Arc<Stores>,
    received: Received,
    manifest: Manifest,
    session: Option<SessionId>,
) -> Result<UploadResult, Failure> {
    check_blob(&received, &manifest)?;
    let upload_id = session.map_or_else(|| random().map(SessionId), Ok)?.to_hex();
    let new = new_revision(manifest, RevisionId(random()?), session, stores.clock.seconds());
    let work = {
        let stores = Arc::clone(stores);
        async move {
            match stores.commit(received, new).await? {
                Committed::Stored(stored) => Ok(stored),
                refused => Err(refusal(&refused)),
            }
        }
    };
    let stored = stores.to_the_end(work).await?;
    Ok(result(stored, upload_id))
}

/// What an uploader is told of a stored revision.
pub(super) fn result(stored: StoredRevision, upload_id: String) -> UploadResult {
    UploadResult {
        upload_id,
        timestamp: stored.updated_at,
        revision_id: stored.id,
        created_at: stored.created_at,
        updated_at: stored.updated_at,
    }
}

pub(super) fn refusal(committed: &Committed) -> Failure {
    match committed {
        Committed::Conflict(current) => Failure::conflict(*current),
        Committed::Stale(current) => Failure::new(
            ErrorCode::StaleSequence,
            format!("revision_seq is not above the current one, which is {}", current.seq),
        ),
        // Never asked for a refusal of what was stored.
        Committed::Stored(_) => Failure::conflict(None),
    }
}

pub(super) fn file_key(manifest: &Manifest) -> FileKey {
    let folder = FolderKey { account: manifest.ss58_address.clone(), folder: manifest.folder_hash };
    FileKey { folder, file: manifest.path_hash }
}

pub(super) fn new_revision(manifest: Manifest, id: RevisionId, session: Option<SessionId>, now: i64) -> NewRevision {
    NewRevision {
        key: file_key(&manifest),
        salted_hash: manifest.salted_hash,
        size: manifest.size_bytes,
        revision: manifest.revision(id),
        base: manifest.base_revision_id,
        ciphertext: manifest.ciphertext_hash,
        encrypted_path: manifest.encrypted_path,
        file_name: manifest.file_name,
        relative_path: manifest.relative_path,
        source: manifest.source.map(|source| source.as_str().to_owned()),
        session,
        now,
    }
}

async fn next_part<'r>(parts: &mut Multipart<'r>) -> Result<Field<'r>, Failure> {
    let part = parts.next_field().await.map_err(|error| malformed(&error))?;
    part.ok_or_else(|| Failure::new(ErrorCode::MissingField, "a part of the upload is missing"))
}

async fn read_manifest(mut part: Field<'_>) -> Result<Manifest, Failure> {
    let mut text = BytesMut::new();
    while let Some(bytes) = part.chunk().await.map_err(|error| malformed(&error))? {
        if text.len() + bytes.len() > limits::MAX_MANIFEST_BODY {
            return Err(Failure::new(ErrorCode::PayloadTooLarge, "the manifest is too long"));
        }
        text.extend_from_slice(&bytes);
    }
    Ok(hcfs_wire::parse_json(&text, limits::MAX_MANIFEST_BODY)?)
}

async fn receive(stores: &Stores, mut part: Field<'_>, length: u64) -> Result<Received, Failure> {
    let mut writer = stores.blobs.receive(length).await?;
    let mut found: u64 = 0;
    while let Some(bytes) = part.chunk().await.map_err(|error| malformed(&error))? {
        found += bytes.len() as u64;
        if found > length {
            return Err(Failure::invalid(format!(
                "the ciphertext has more than the {length} bytes that follow from size_bytes"
            )));
        }
        writer.write(bytes).await?;
    }
    Ok(writer.finish().await?)
}

fn malformed(error: &multer::Error) -> Failure {
    match error {
        multer::Error::StreamReadFailed(source) => unreadable(source.as_ref()),
        error => Failure::invalid(format!("the multipart body is malformed: {error}")),
    }
}

/// A body given to the multipart reader one small piece at a time: the reader takes whatever is ready into its buffer,
/// so without this a fast client would fill the memory. It ends with an error once more came than is allowed.
struct Paced {
    body: Body,
    piece: Bytes,
    seen: u64,
    allowed: Arc<AtomicU64>,
    rests: bool,
}

impl Paced {
    fn new(body: Body, allowed: Arc<AtomicU64>) -> Self {
        Self { body, piece: Bytes::new(), seen: 0, allowed, rests: false }
    }
}

impl Stream for Paced {
    type Item = Result<Bytes, axum::BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.seen > self.allowed.load(Ordering::Relaxed) {
            return Poll::Ready(Some(Err(BodyError::TooLarge.into())));
        }
        while self.piece.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                // Trailers say nothing here.
                Some(Ok(frame)) => self.piece = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => return Poll::Ready(None),
            }
        }
        let length = self.piece.len().min(PACE);
        self.seen += length as u64;
        self.rests = true;
        Poll::Ready(Some(Ok(self.piece.split_to(length))))
    }
}
