//! Answering with a blob, or a part of one.

use std::ops::Range;

use axum::body::Body;
use axum::response::Response;
use hcfs_model::{CiphertextHash, blob};
use hcfs_wire::{ContentRange, ErrorCode, header, revision_tag};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, HeaderName, HeaderValue, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt;

use super::missing;
use crate::answer::{Answer, Failure};
use crate::blobs::BlobPlace;
use crate::condition::{Verdict, judge, range_applies};
use crate::metadata::{FileKey, FileRow, FolderKey};
use crate::range::{Wanted, wanted};
use crate::stores::Stores;

/// How often a row is read again whose blob was replaced between the row and the open.
const ATTEMPTS: usize = 3;

/// What is shown.
pub(super) enum Shown {
    /// A file of the account that asks.
    File(FileKey),
    /// A blob that its owner published.
    Published(CiphertextHash),
}

/// What is known of it before its blob is opened.
struct Found {
    row: Option<FileRow>,
    place: BlobPlace,
    /// How long the blob must be.
    length: u64,
    tag: String,
}

/// Answers a GET or HEAD with the blob, or with what the request's conditions and range make of it.
pub(super) async fn answer(stores: &Stores, shown: Shown, method: &Method, headers: &HeaderMap) -> Answer {
    for _ in 0..ATTEMPTS {
        let found = find(stores, &shown).await?;
        match judge(headers, &found.tag) {
            Verdict::Go => {}
            Verdict::NotModified => return not_modified(&shown, &found),
            Verdict::Failed => return Err(failed()),
        }
        let slot = match shown {
            Shown::File(_) => stores.transfer().await?,
            Shown::Published(_) => stores.public_transfer()?,
        };
        // From here on a deletion changes nothing for this download.
        let Some(blob) = stores.blobs.open(found.place).await? else { continue };
        if blob.length != found.length {
            break;
        }
        // A range is a matter of GET.
        let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
        let range = range.filter(|_| *method == Method::GET && range_applies(headers, &found.tag));
        let (status, part) = match wanted(range, blob.length) {
            Wanted::Whole => (StatusCode::OK, 0..blob.length),
            Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
            Wanted::Nothing => return Err(not_satisfiable(blob.length)),
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        describe(response.headers_mut(), &shown, &found, &part)?;
        if status == StatusCode::PARTIAL_CONTENT {
            let range = ContentRange { first: part.start, last: part.end - 1, total: Some(blob.length) };
            set(response.headers_mut(), CONTENT_RANGE, &range.to_string())?;
        }
        if *method == Method::GET {
            // The slot is given back with the body, however that ends.
            *response.body_mut() = Body::new(blob.body(part).map_frame(move |frame| {
                let _held = &slot;
                frame
            }));
        }
        return Ok(response);
    }
    match &shown {
        Shown::File(key) => tracing::error!(file = %key.file, "a file's blob is missing or has the wrong length"),
        Shown::Published(hash) => tracing::error!(%hash, "a published blob is missing or has the wrong length"),
    }
    Err(Failure::new(ErrorCode::StorageInconsistency, "the file's content is missing from the server's store"))
}

async fn find(stores: &Stores, shown: &Shown) -> Result<Found, Failure> {
    match shown {
        Shown::File(key) => {
            let row = stores.metadata.file(key.clone()).await?.ok_or_else(|| missing("file"))?;
            let is_plain = FolderKey::is_gateway(key.folder.folder);
            let length = if is_plain { row.size } else { blob::blob_len(row.size) };
            Ok(Found { row: Some(row), place: row.place, length, tag: revision_tag(row.revision.id) })
        }
        Shown::Published(hash) => {
            let place = stores.metadata.published(*hash).await?.ok_or_else(|| missing("published file"))?;
            Ok(Found { row: None, place, length: place.length, tag: format!("\"{hash}\"") })
        }
    }
}

fn describe(headers: &mut HeaderMap, shown: &Shown, found: &Found, part: &Range<u64>) -> Result<(), Failure> {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    identify(headers, shown, found)?;
    let (Shown::File(key), Some(row)) = (shown, &found.row) else { return Ok(()) };
    headers.insert(header::SIZE_BYTES, HeaderValue::from(row.size));
    headers.insert(header::REVISION_SEQ, HeaderValue::from(row.revision.seq));
    set(headers, HeaderName::from_static(header::REVISION_ID), &row.revision.id.to_hex())?;
    set(headers, HeaderName::from_static(header::FILE_ID), &key.file.to_hex())?;
    set(headers, HeaderName::from_static(header::SS58_ADDRESS), key.folder.account.as_str())?;
    let folder = key.folder.folder;
    let folder = if FolderKey::is_gateway(folder) { String::new() } else { folder.to_hex() };
    set(headers, HeaderName::from_static(header::FOLDER_HASH), &folder)
}

/// What a 304 has too: the tag, and who may keep the answer for how long.
fn identify(headers: &mut HeaderMap, shown: &Shown, found: &Found) -> Result<(), Failure> {
    let cache = match shown {
        Shown::File(_) => "private, no-cache",
        Shown::Published(_) => {
            // Anybody can publish anything: no browser shows it as a page of this server.
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
            headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
            "public, no-cache"
        }
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(cache));
    set(headers, ETAG, &found.tag)
}

fn not_modified(shown: &Shown, found: &Found) -> Answer {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    identify(response.headers_mut(), shown, found)?;
    Ok(response)
}

fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) -> Result<(), Failure> {
    let value = HeaderValue::from_str(text)
        .map_err(|_| Failure::new(ErrorCode::StorageInconsistency, "the file's description is damaged"))?;
    headers.insert(name, value);
    Ok(())
}

fn failed() -> Failure {
    Failure::other(StatusCode::PRECONDITION_FAILED, "precondition_failed", "another revision of the file is current")
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
