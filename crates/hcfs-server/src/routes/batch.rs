//! Many small files in one request.
//!
//! A batch of uploads is received whole before anything of it is stored: it is small enough to be held, and a client that
//! leaves in the middle leaves nothing. Then its blobs go into one pack and its rows into one transaction, and each entry
//! is answered as it would have been alone. A batch of downloads is sent while it is read.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream;
use hcfs_model::{FileId, RevisionId, blob};
use hcfs_wire::{
    BATCH_START_LEN, BATCH_TYPE, BatchDownload, BatchEntry, BatchError, BatchFile, BatchLimits, BatchReader,
    BatchUploaded, BatchWanted, EntryAnswer, Envelope, ErrorCode, Manifest, UploadResult, batch_entry, batch_entry_len,
    batch_start, limits, parse_json,
};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt;

use super::account::Room;
use super::missing;
use super::upload::{check, check_blob, file_key, new_revision, refusal, result};
use crate::answer::{Answer, Failure, success};
use crate::blobs::{BlobStore, Received, WriteError};
use crate::body::{next, read_json};
use crate::caller::Caller;
use crate::metadata::{Committed, FileKey, FileRow, FolderKey};
use crate::stores::{Stores, random};

/// What one batch may hold; announced to clients.
const LIMITS: BatchLimits = BatchLimits::USUAL;
/// Blobs of a download that are read at the same time.
const READ_AHEAD: usize = 8;
/// Bytes of an entry's head in a download at most.
const HEAD: usize = 1024;

/// Stores many uploads; always a success once the batch itself could be read, with what became of each.
pub(super) async fn upload(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    if headers.get(CONTENT_TYPE).is_none_or(|value| value != BATCH_TYPE) {
        return Err(Failure::new(ErrorCode::MissingField, format!("a batch has the content type {BATCH_TYPE}")));
    }
    let slot = stores.batch().await?;
    let (entries, length) = receive(body).await?;
    if !stores.blobs.has_room(length).await? {
        return Err(WriteError::Full.into());
    }
    let work = {
        let stores = Arc::clone(&stores);
        async move {
            let _held = slot;
            let room = Room::of(&stores, &caller.account, &headers).await?;
            let checked = check_all(Arc::clone(&stores), caller, entries).await?;
            let checked = within_quota(&stores, room, checked).await;
            Ok(store(&stores, checked).await)
        }
    };
    let results = stores.to_the_end(work).await?;
    Ok(success(BatchUploaded { results }))
}

/// The entries of a batch, and its bytes.
async fn receive(mut body: Body) -> Result<(Vec<BatchEntry>, u64), Failure> {
    let (mut reader, mut entries, mut length) = (BatchReader::new(LIMITS), Vec::new(), 0_u64);
    while let Some(bytes) = next(&mut body).await? {
        length += bytes.len() as u64;
        if length > LIMITS.max_bytes {
            let message = format!("the batch has more than {} bytes, the most that is read", LIMITS.max_bytes);
            return Err(Failure::new(ErrorCode::PayloadTooLarge, message));
        }
        reader.push(&bytes);
        while let Some(entry) = reader.take().map_err(|error| malformed(&error))? {
            entries.push(entry);
        }
    }
    reader.finish().map_err(|error| malformed(&error))?;
    Ok((entries, length))
}

fn malformed(error: &BatchError) -> Failure {
    let code = match error {
        BatchError::Count { .. } => ErrorCode::BatchTooLarge,
        BatchError::Head { .. } | BatchError::Body { .. } => ErrorCode::PayloadTooLarge,
        BatchError::Magic | BatchError::Truncated | BatchError::Trailing => ErrorCode::InvalidManifest,
    };
    Failure::new(code, error.to_string())
}

/// An entry that may be stored, or why it may not.
type Checked = (FileId, Result<(Manifest, Received), Failure>);

/// Checks what can be said without the stores: shapes, signatures, lengths, hashes.
async fn check_all(stores: Arc<Stores>, caller: Caller, entries: Vec<BatchEntry>) -> Result<Vec<Checked>, Failure> {
    // A thousand signatures are too long for a thread that serves connections.
    let work = move || entries.into_iter().map(|entry| check_one(stores.blobs.as_ref(), &caller, entry)).collect();
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Failure::new(ErrorCode::Unavailable, "the server failed; see its log"))
}

fn check_one(blobs: &dyn BlobStore, caller: &Caller, entry: BatchEntry) -> Checked {
    let manifest: Manifest = match parse_json(&entry.head, limits::MAX_MANIFEST_BODY) {
        Ok(manifest) => manifest,
        Err(error) => return (FileId([0; 32]), Err(error.into())),
    };
    let file = manifest.path_hash;
    let admitted = check(caller, &manifest).and_then(|()| {
        let received = blobs.small(entry.body.into());
        check_blob(&received, &manifest).map(|()| received)
    });
    (file, admitted.map(|received| (manifest, received)))
}

/// Refuses the entries that are more than the account may have, one after the other.
async fn within_quota(stores: &Stores, mut room: Room, checked: Vec<Checked>) -> Vec<Checked> {
    let mut within = Vec::with_capacity(checked.len());
    for (file, entry) in checked {
        let entry = match entry {
            Ok((manifest, received)) => {
                room.take_file(stores, file_key(&manifest), manifest.size_bytes).await.map(|()| (manifest, received))
            }
            Err(failure) => Err(failure),
        };
        within.push((file, entry));
    }
    within
}

/// Stores what may be stored, and answers every entry.
async fn store(stores: &Stores, checked: Vec<Checked>) -> Vec<EntryAnswer<UploadResult>> {
    let now = stores.clock.seconds();
    let (mut files, mut batch) = (Vec::new(), Vec::new());
    for (file, entry) in checked {
        let admitted = entry.and_then(|(manifest, received)| {
            let new = new_revision(manifest, RevisionId(random()?), None, now);
            Ok((received, new))
        });
        match admitted {
            Ok(entry) => {
                batch.push(entry);
                files.push((file, None));
            }
            Err(failure) => files.push((file, Some(failure))),
        }
    }
    let mut stored = stores.commit_all(batch).await.into_iter();
    let mut answer = |(file, early): (FileId, Option<Failure>)| {
        let outcome = early.map_or_else(|| stored.next().unwrap_or_else(|| Err(missing("answer"))), Err);
        match outcome {
            Ok(Committed::Stored(stored)) => {
                let upload_id = stored.id.to_hex();
                EntryAnswer { file_id: file, status: 200, answer: Envelope::Success(result(stored, upload_id)) }
            }
            Ok(refused) => refusal(&refused).entry(file),
            Err(failure) => failure.entry(file),
        }
    };
    files.into_iter().map(&mut answer).collect()
}

/// Sends the blobs of many files, or the first bytes of each.
pub(super) async fn download(State(stores): State<Arc<Stores>>, caller: Caller, body: Body) -> Answer {
    let request: BatchDownload = read_json(body, limits::MAX_SMALL_BODY).await?;
    caller.must_be(&request.ss58_address)?;
    let count = u32::try_from(request.files.len()).unwrap_or(u32::MAX);
    if count > LIMITS.max_entries {
        let message = format!("the batch has {count} entries, and at most {} are taken", LIMITS.max_entries);
        return Err(Failure::new(ErrorCode::BatchTooLarge, message));
    }
    let slot = stores.transfer().await?;
    let folder = FolderKey { account: request.ss58_address, folder: request.folder_hash };
    let ids = request.files.iter().map(|wanted| wanted.file_id).collect();
    let rows = stores.metadata.files(folder.clone(), ids).await?;
    let mut room = LIMITS.max_bytes.saturating_sub(BATCH_START_LEN);
    let first_bytes = request.first_bytes;
    let wanted: Vec<_> = request
        .files
        .into_iter()
        .zip(rows)
        .map(|(wanted, row)| (wanted.file_id, choose(&wanted, row, first_bytes, &mut room)))
        .collect();
    let read = move |(file, chosen)| {
        let (stores, key) = (Arc::clone(&stores), FileKey { folder: folder.clone(), file });
        async move { read_entry(&stores, key, chosen).await }
    };
    let start = stream::iter([Bytes::from(batch_start(count))]);
    let entries = stream::iter(wanted).map(read).buffered(READ_AHEAD);
    let pieces = start.chain(entries).map(move |piece| {
        // The slot is given back with the body, however that ends.
        let _held = &slot;
        Ok::<_, std::convert::Infallible>(piece)
    });
    let mut response = Response::new(Body::from_stream(pieces));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(BATCH_TYPE));
    Ok(response)
}

/// The row to send and how many bytes of its blob, if there is room for them in the answer.
fn choose(
    wanted: &BatchWanted,
    row: Option<FileRow>,
    first_bytes: Option<u64>,
    room: &mut u64,
) -> Result<(FileRow, u64), Failure> {
    let row = row.ok_or_else(|| missing("file"))?;
    if wanted.revision_id.is_some_and(|revision| revision != row.revision.id) {
        return Err(Failure::conflict(Some(row.revision)));
    }
    let whole = blob::blob_len(row.size);
    let length = first_bytes.map_or(whole, |first| first.min(whole));
    let taken = batch_entry_len(HEAD, length);
    if length > LIMITS.max_blob || taken > *room {
        return Err(Failure::new(ErrorCode::PayloadTooLarge, "the answer has no room for the file"));
    }
    *room -= taken;
    Ok((row, length))
}

/// One entry of the answer: its head and the bytes of its blob.
async fn read_entry(stores: &Stores, key: FileKey, chosen: Result<(FileRow, u64), Failure>) -> Bytes {
    let file = key.file;
    let read = match chosen {
        Ok((row, length)) => read_blob(stores, &row, length).await.map(|bytes| (row, bytes)),
        Err(failure) => Err(failure),
    };
    let (answer, bytes) = match read {
        Ok((row, bytes)) => {
            let (seq, id) = (row.revision.seq, row.revision.id);
            let file = BatchFile { size_bytes: row.size, revision_seq: seq, revision_id: id };
            (EntryAnswer { file_id: key.file, status: 200, answer: Envelope::Success(file) }, bytes)
        }
        Err(failure) => (failure.entry(file), Bytes::new()),
    };
    // A head is one of the wire's types, which have text keys and no failing field, and a few hundred bytes long.
    let head = serde_json::to_vec(&answer).unwrap_or_default();
    let mut entry = BytesMut::from(&batch_entry(&head, bytes.len()).unwrap_or_default()[..]);
    entry.extend_from_slice(&bytes);
    entry.freeze()
}

async fn read_blob(stores: &Stores, row: &FileRow, length: u64) -> Result<Bytes, Failure> {
    if length == 0 {
        return Ok(Bytes::new());
    }
    let gone = || Failure::new(ErrorCode::StorageInconsistency, "the file's content is not there any more");
    let open = stores.blobs.open(row.place).await?.ok_or_else(gone)?;
    let bytes = open.body(0..length).collect().await.map_err(|_| gone())?.to_bytes();
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(gone()) }
}
