//! What an account has, and whether it may have more.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use hcfs_model::{AccountAddress, blob};
use hcfs_wire::{CanUpload, CanUploadQuery, UserSummary, header, limits};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::answer::{Answer, Failure, json, success};
use crate::blobs::WriteError;
use crate::body::read_json;
use crate::caller::{Caller, Segments};
use crate::metadata::FileKey;
use crate::stores::Stores;

/// Whether a file of this size would be taken: the format can hold it, the disk has room, and the quota allows it.
pub(super) async fn can_upload(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let request: CanUploadQuery = read_json(body, limits::MAX_SMALL_BODY).await?;
    caller.must_be(&request.ss58_address)?;
    let error = if request.size_bytes > blob::MAX_PLAINTEXT {
        Some("the file is larger than the format can hold".to_owned())
    } else if !stores.blobs.has_room(blob::blob_len(request.size_bytes)).await? {
        Some(WriteError::Full.to_string())
    } else {
        over_quota(&stores, &request.ss58_address, request.size_bytes, 0, &headers).await?
    };
    Ok(json(StatusCode::OK, &CanUpload { result: error.is_none(), error }))
}

/// Says why `size` more bytes of files, in the place of `replaced`, are more than the account may have.
async fn over_quota(
    stores: &Stores,
    account: &AccountAddress,
    size: u64,
    replaced: u64,
    headers: &HeaderMap,
) -> Result<Option<String>, Failure> {
    let bypass = headers.get(header::BILLING_BYPASS).map(HeaderValue::as_bytes);
    if stores.access.lifts_quota(bypass) {
        return Ok(None);
    }
    let usage = stores.metadata.usage(account.clone(), stores.clock.seconds()).await?;
    let Some(quota) = usage.quota.or(stores.access.policy.quota_bytes) else { return Ok(None) };
    let wanted = usage.stored.saturating_add(usage.announced).saturating_add(size).saturating_sub(replaced);
    Ok((wanted > quota).then(|| format!("the account may have {quota} bytes, and this would make {wanted}")))
}

/// Refuses a file of `size` bytes that is more than its account may have (402).
pub(super) async fn check_quota(stores: &Stores, key: &FileKey, size: u64, headers: &HeaderMap) -> Result<(), Failure> {
    let replaced = stores.metadata.file(key.clone()).await?.map_or(0, |row| row.size);
    match over_quota(stores, &key.folder.account, size, replaced, headers).await? {
        None => Ok(()),
        Some(message) => Err(Failure::over_quota(message)),
    }
}

pub(super) async fn summary(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments(ss58): Segments<String>,
) -> Answer {
    let account = caller.account(&ss58)?;
    let summary = stores.metadata.summary(account.clone()).await?;
    Ok(success(UserSummary {
        ss58_address: account,
        total_bytes: summary.total_bytes,
        file_count: summary.file_count,
        created_at: summary.created_at,
        updated_at: summary.updated_at,
    }))
}
