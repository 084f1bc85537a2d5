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
        Room::of(&stores, &request.ss58_address, &headers).await?.take(request.size_bytes, 0)
    };
    Ok(json(StatusCode::OK, &CanUpload { result: error.is_none(), error }))
}

/// What an account has and may have; counts what a request adds.
pub(super) struct Room {
    used: u64,
    /// `None` for as many as the disk holds.
    quota: Option<u64>,
}

impl Room {
    pub(super) async fn of(stores: &Stores, account: &AccountAddress, headers: &HeaderMap) -> Result<Self, Failure> {
        let bypass = headers.get(header::BILLING_BYPASS).map(HeaderValue::as_bytes);
        if stores.access.lifts_quota(bypass) {
            return Ok(Self { used: 0, quota: None });
        }
        let usage = stores.metadata.usage(account.clone(), stores.clock.seconds()).await?;
        let quota = usage.quota.or(stores.access.policy.quota_bytes);
        Ok(Self { used: usage.stored.saturating_add(usage.announced), quota })
    }

    /// Takes `size` bytes in the place of `replaced`; says why they are more than the account may have.
    fn take(&mut self, size: u64, replaced: u64) -> Option<String> {
        let wanted = self.used.saturating_add(size).saturating_sub(replaced);
        if let Some(quota) = self.quota.filter(|quota| wanted > *quota) {
            return Some(format!("the account may have {quota} bytes, and this would make {wanted}"));
        }
        self.used = wanted;
        None
    }

    /// Takes a file of `size` bytes.
    ///
    /// # Errors
    /// It is more than the account may have (402).
    pub(super) async fn take_file(&mut self, stores: &Stores, key: FileKey, size: u64) -> Result<(), Failure> {
        // The file it replaces matters only where there is a quota.
        let replaced = match self.quota {
            Some(_) => stores.metadata.file(key).await?.map_or(0, |row| row.size),
            None => 0,
        };
        self.take(size, replaced).map_or(Ok(()), |message| Err(Failure::over_quota(message)))
    }
}

/// Refuses a file of `size` bytes that is more than its account may have (402).
pub(super) async fn check_quota(stores: &Stores, key: &FileKey, size: u64, headers: &HeaderMap) -> Result<(), Failure> {
    Room::of(stores, &key.folder.account, headers).await?.take_file(stores, key.clone(), size).await
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
