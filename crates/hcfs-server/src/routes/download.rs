//! Downloads: a blob, or a part of it.

use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use hcfs_model::blob;
use hcfs_wire::{ContentRange, ErrorCode, header, revision_tag};
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_RANGE, RANGE,
};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;

use super::missing;
use crate::answer::{Answer, Failure};
use crate::blobs::OpenBlob;
use crate::caller::{Caller, Segments};
use crate::metadata::{FileKey, FileRow};
use crate::range::{Wanted, wanted};
use crate::stores::Stores;

/// How often a row is read again whose blob was replaced between the row and the open.
const ATTEMPTS: usize = 3;

pub(super) async fn download(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments((ss58, folder_hash, file_id)): Segments<(String, String, String)>,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    let key = caller.file(&ss58, &folder_hash, &file_id)?;
    let slot = stores.transfer().await?;
    let (row, blob) = find(&stores, &key).await?;
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
    // A range is a matter of GET, and of the revision the client has the rest of.
    let range = range.filter(|_| method == Method::GET && same_revision(&headers, &row));
    let (status, part) = match wanted(range, blob.length) {
        Wanted::Whole => (StatusCode::OK, 0..blob.length),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wanted::Nothing => return Err(not_satisfiable(blob.length)),
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    describe(response.headers_mut(), &key, &row, &part)?;
    if status == StatusCode::PARTIAL_CONTENT {
        let range = ContentRange { first: part.start, last: part.end - 1, total: Some(blob.length) };
        set(response.headers_mut(), CONTENT_RANGE, &range.to_string())?;
    }
    if method == Method::GET {
        // The slot is given back with the body, however that ends.
        *response.body_mut() = Body::new(blob.body(part).map_frame(move |frame| {
            let _held = &slot;
            frame
        }));
    }
    Ok(response)
}

/// The row of a file and its blob, open: from here on a deletion changes nothing for this download.
async fn find(stores: &Stores, key: &FileKey) -> Result<(FileRow, OpenBlob), Failure> {
    for _ in 0..ATTEMPTS {
        let row = stores.metadata.file(key.clone()).await?.ok_or_else(|| missing("file"))?;
        let open = stores.blobs.open(row.place).await?;
        if let Some(open) = open {
            if open.length == blob::blob_len(row.size) {
                return Ok((row, open));
            }
            break;
        }
    }
    tracing::error!(file = %key.file, "a file's blob is missing or has the wrong length");
    Err(Failure::new(ErrorCode::StorageInconsistency, "the file's content is missing from the server's store"))
}

fn same_revision(headers: &HeaderMap, row: &FileRow) -> bool {
    headers.get(IF_RANGE).is_none_or(|tag| tag.as_bytes() == revision_tag(row.revision.id).as_bytes())
}

fn describe(headers: &mut HeaderMap, key: &FileKey, row: &FileRow, part: &Range<u64>) -> Result<(), Failure> {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    headers.insert(header::SIZE_BYTES, HeaderValue::from(row.size));
    headers.insert(header::REVISION_SEQ, HeaderValue::from(row.revision.seq));
    set(headers, ETAG, &revision_tag(row.revision.id))?;
    set(headers, HeaderName::from_static(header::REVISION_ID), &row.revision.id.to_hex())?;
    set(headers, HeaderName::from_static(header::FILE_ID), &key.file.to_hex())?;
    set(headers, HeaderName::from_static(header::SS58_ADDRESS), key.folder.account.as_str())?;
    set(headers, HeaderName::from_static(header::FOLDER_HASH), &key.folder.folder.to_hex())
}

fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) -> Result<(), Failure> {
    let value = HeaderValue::from_str(text)
        .map_err(|_| Failure::new(ErrorCode::StorageInconsistency, "the file's description is damaged"))?;
    headers.insert(name, value);
    Ok(())
}

fn not_satisfiable(length: u64) -> Failure {
    let failure = Failure::other(
        StatusCode::RANGE_NOT_SATISFIABLE,
        "range_not_satisfiable",
        format!("the range holds none of the {length} bytes"),
    );
    match HeaderValue::try_from(format!("bytes */{length}")) {
        Ok(value) => failure.with_header(CONTENT_RANGE, value),
        Err(_) => failure,
    }
}
