//! Uploads in one request: the manifest, then the ciphertext, streamed to the disk while it is hashed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use bytes::BytesMut;
use hcfs_model::RevisionId;
use hcfs_wire::{ErrorCode, Manifest, UploadResult, limits, verify_upload};
use http::HeaderMap;
use multer::Field;

use super::account::check_quota;
use super::gateway;
use super::parts::{Parts, next_bytes, too_large};
use crate::answer::{Answer, Failure, success};
use crate::blobs::{Received, WriteError};
use crate::caller::Caller;
use crate::metadata::{Committed, FileKey, FolderKey, NewRevision, SessionId, StoredRevision};
use crate::stores::{Stores, random};

/// The largest number a revision may start with. Far below 2^63, so that renames always find a next one.
const MAX_SEQ: u64 = 1 << 62;

pub(super) async fn upload(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let largest = stores.limits.upload_bytes;
    let mut parts = Parts::new(&headers, body, largest)?;
    let slot = stores.transfer().await?;
    let first = parts.next().await?;
    let manifest = match first.name() {
        Some("manifest") => read_manifest(first).await?,
        Some("account_ss58") => return gateway::upload(&stores, &caller, &headers, first, parts).await,
        _ => return Err(Failure::new(ErrorCode::MissingField, "the first part is not the manifest")),
    };
    admit(&stores, &caller, &manifest).await?;
    check_quota(&stores, &file_key(&manifest), manifest.size_bytes, &headers).await?;
    let length = manifest.blob_len();
    if length > largest {
        return Err(too_large(largest));
    }
    if !stores.blobs.has_room(length).await? {
        return Err(WriteError::Full.into());
    }

    parts.allow(length);
    let second = parts.next().await?;
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
    if FolderKey::is_gateway(manifest.folder_hash) {
        return Err(Failure::invalid("this folder holds the gateway's files"));
    }
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
    Ok(result(commit(stores, received, new).await?, upload_id))
}

/// Commits a revision, to the end even if the client goes away.
pub(super) async fn commit(
    stores: &Arc<Stores>,
    received: Received,
    new: NewRevision,
) -> Result<StoredRevision, Failure> {
    let work = {
        let stores = Arc::clone(stores);
        async move {
            match stores.commit(received, new).await? {
                Committed::Stored(stored) => Ok(stored),
                refused => Err(refusal(&refused)),
            }
        }
    };
    stores.to_the_end(work).await
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

async fn read_manifest(mut part: Field<'_>) -> Result<Manifest, Failure> {
    let mut text = BytesMut::new();
    while let Some(bytes) = next_bytes(&mut part).await? {
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
    while let Some(bytes) = next_bytes(&mut part).await? {
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
