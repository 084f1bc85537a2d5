//! The listing of a folder, page by page.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use hcfs_wire::{ErrorCode, GetState, PageQuery, RemoteFileEntry, StateTag, limits};
use http::header::{ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::answer::{Answer, Failure, success};
use crate::caller::{Caller, Parameters, Segments};
use crate::metadata::ListedFile;
use crate::stores::Stores;

/// A page of a folder. Every page carries the tag of the folder's state, so a reader sees when it changed between two
/// pages; on the first page, the tag of the current state is answered with 304.
pub(super) async fn get_state(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments((ss58, folder_hash)): Segments<(String, String)>,
    Parameters(page): Parameters<PageQuery>,
    headers: HeaderMap,
) -> Answer {
    let key = caller.folder(&ss58, &folder_hash)?;
    let offset = page.offset.unwrap_or(0);
    let limit = u64::from(page.limit.unwrap_or(limits::DEFAULT_PAGE_ROWS).clamp(1, limits::MAX_PAGE_ROWS));
    if offset == 0
        && let Some(known) = known_tags(&headers)
        && let tag = stores.metadata.state_tag(key.clone()).await?
        && known.contains(&tag)
    {
        let mut unchanged = Response::new(Body::empty());
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged.headers_mut().insert(ETAG, header(&tag)?);
        return Ok(unchanged);
    }
    let listing = stores.metadata.listing(key.clone(), offset, limit).await?;
    let tag = header(&listing.tag)?;
    let write = move || {
        let received = listing.files.len() as u64;
        success(GetState {
            ss58_address: key.account,
            folder_hash: key.folder,
            total_count: listing.total,
            has_more: received > 0 && offset.saturating_add(received) < listing.total,
            files: listing.files.into_iter().map(entry).collect(),
            offset,
            limit,
        })
    };
    // A page of 5,000 rows is some megabytes of JSON: too long for a thread that serves connections.
    let mut response = tokio::task::spawn_blocking(write)
        .await
        .map_err(|_| Failure::new(ErrorCode::DatabaseError, "the server failed; see its log"))?;
    response.headers_mut().insert(ETAG, tag);
    Ok(response)
}

fn header(tag: &StateTag) -> Result<HeaderValue, Failure> {
    HeaderValue::try_from(tag.to_string()).map_err(|_| Failure::new(ErrorCode::DatabaseError, "the state has no tag"))
}

/// The tags of `If-None-Match`; none when one of them cannot be read.
fn known_tags(headers: &HeaderMap) -> Option<Vec<StateTag>> {
    let text = headers.get(IF_NONE_MATCH)?.to_str().ok()?;
    text.split(',').map(|tag| StateTag::parse(tag).ok()).collect()
}

pub(super) fn entry(file: ListedFile) -> RemoteFileEntry {
    RemoteFileEntry {
        path_hash: file.file,
        salted_hash: file.salted_hash,
        size_bytes: file.size,
        revision_seq: file.revision.seq,
        revision_id: file.revision.id,
        encrypted_path: file.encrypted_path,
        file_name: file.file_name,
        relative_path: file.relative_path,
        arion_hash: Some(file.ciphertext.to_hex()),
        chunk_hashes: None,
        uploaded_by: None,
        created_at: file.created_at,
        updated_at: file.updated_at,
    }
}
