//! What an account has, and whether it may have more.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use hcfs_model::blob;
use hcfs_wire::{CanUpload, CanUploadQuery, UserSummary, limits};
use http::StatusCode;

use crate::answer::{Answer, json, success};
use crate::blobs::WriteError;
use crate::body::read_json;
use crate::caller::{Caller, Segments};
use crate::stores::Stores;

/// Whether a file of this size would be taken: the format can hold it and the disk has room.
pub(super) async fn can_upload(State(stores): State<Arc<Stores>>, caller: Caller, body: Body) -> Answer {
    let request: CanUploadQuery = read_json(body, limits::MAX_SMALL_BODY).await?;
    caller.must_be(&request.ss58_address)?;
    let error = if request.size_bytes > blob::MAX_PLAINTEXT {
        Some("the file is larger than the format can hold".to_owned())
    } else if stores.blobs.has_room(blob::blob_len(request.size_bytes)).await? {
        None
    } else {
        Some(WriteError::Full.to_string())
    };
    Ok(json(StatusCode::OK, &CanUpload { result: error.is_none(), error }))
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
