//! Blobs that everybody may fetch: published by their owner, by the hash of their content.

use std::sync::Arc;

use axum::extract::State;
use hcfs_model::CiphertextHash;
use hcfs_wire::{ErrorCode, Published};
use http::{HeaderMap, Method};

use super::content::{self, Shown};
use super::missing;
use crate::answer::{Answer, Failure, success};
use crate::caller::{Caller, Segments};
use crate::metadata::FileKey;
use crate::stores::Stores;

/// Publishes a file's current content, until it is withdrawn, changed or deleted.
pub(super) async fn publish(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments((ss58, folder_hash, file_id)): Segments<(String, String, String)>,
) -> Answer {
    let key = caller.file(&ss58, &folder_hash, &file_id)?;
    open(&stores, key).await
}

pub(super) async fn withdraw(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments((ss58, folder_hash, file_id)): Segments<(String, String, String)>,
) -> Answer {
    let key = caller.file(&ss58, &folder_hash, &file_id)?;
    close(&stores, key).await
}

pub(super) async fn open(stores: &Stores, key: FileKey) -> Answer {
    let file_id = key.file;
    let hash = stores.metadata.publish(key, stores.clock.seconds()).await?;
    let ciphertext_hash = hash.ok_or_else(|| missing("file"))?;
    Ok(success(Published { status: "published".to_owned(), file_id, ciphertext_hash }))
}

pub(super) async fn close(stores: &Stores, key: FileKey) -> Answer {
    let file_id = key.file;
    let ciphertext_hash = stores.metadata.withdraw(key).await?.ok_or_else(|| missing("publication"))?;
    Ok(success(Published { status: "withdrawn".to_owned(), file_id, ciphertext_hash }))
}

pub(super) async fn download(
    State(stores): State<Arc<Stores>>,
    Segments(hash): Segments<String>,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    let hash = CiphertextHash::from_hex(&hash)
        .map_err(|_| Failure::new(ErrorCode::InvalidFileId, "the hash is not 64 hexadecimal characters"))?;
    content::answer(&stores, Shown::Published(hash), &method, &headers).await
}
