//! Many small files in one request.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use hcfs_http::{BodyStream, Deadlines, HeaderValue, Method};
use hcfs_model::FolderHash;
use hcfs_wire::{
    BATCH_START_LEN, BATCH_TYPE, BatchDownload, BatchEntry, BatchFile, BatchLimits, BatchReader, BatchUploaded,
    BatchWanted, EntryOutcome, UploadResult, batch_entry, batch_entry_len, batch_start, limits, parse_json,
};

use super::{Ask, HcfsRemote, SLOW_ANSWER, refusal};
use crate::remote::{BatchBlob, BatchUpload, Expected, Uploaded, WantedBlob, without_extension};
use crate::{RemoteError, RemoteErrorKind};

const BATCH: HeaderValue = HeaderValue::from_static(BATCH_TYPE);

impl HcfsRemote {
    pub(super) async fn send_batch(
        &self,
        uploads: &[BatchUpload],
    ) -> Result<Vec<Result<Uploaded, RemoteError>>, RemoteError> {
        let object = format!("upload of {} files", uploads.len());
        if self.known_extensions().await?.upload_batch.is_none() {
            return Err(without_extension(object));
        }
        let ask = self.ask(Method::POST, &["upload_batch"], object)?.changing().at_most(limits::MAX_BATCH_ANSWER);
        let body = body_of(uploads).map_err(|message| ask.local(message))?;
        let mut ask = ask.bytes(body, BATCH);
        ask.request = ask.request.deadlines(Deadlines { first_byte: SLOW_ANSWER, ..Deadlines::default() });
        let object = Arc::clone(&ask.object);
        let answer: BatchUploaded<EntryOutcome<UploadResult>> = self.extended(self.payload(ask).await)?;
        let is_about =
            |(upload, result): (&BatchUpload, &EntryOutcome<UploadResult>)| upload.manifest.file_id() == result.file_id;
        let results = answer.results;
        if results.len() != uploads.len() || !uploads.iter().zip(&results).all(is_about) {
            let message = "the answer does not speak of the files that were sent";
            return Err(RemoteError::new(RemoteErrorKind::Ambiguous, &*object, message));
        }
        Ok(uploads.iter().zip(results).map(|(upload, result)| uploaded(upload, result)).collect())
    }

    pub(super) async fn fetch_batch(
        &self,
        folder: FolderHash,
        files: &[WantedBlob],
        first_bytes: Option<u64>,
    ) -> Result<Vec<Result<BatchBlob, RemoteError>>, RemoteError> {
        let object = format!("download of {} files of folder {folder}", files.len());
        let Some(limits) = self.known_extensions().await?.download_batch else {
            return Err(without_extension(object));
        };
        let request = BatchDownload {
            ss58_address: self.account.clone(),
            folder_hash: folder,
            files: files.iter().map(wanted).collect(),
            first_bytes,
        };
        let ask = self.ask(Method::POST, &["download_batch"], object)?.json(&request)?.idempotent();
        let response = self.send(&ask.request).await.map_err(|error| ask.lost(error))?;
        if !response.status.is_success() {
            return self.extended(Err(refusal(&ask, response).await));
        }
        if response.headers.get("content-type") != Some(&BATCH) {
            return Err(RemoteError::new(RemoteErrorKind::NotHcfs, &*ask.object, "the answer is no batch"));
        }
        let entries = read_batch(&ask, response.body, limits).await?;
        if entries.len() != files.len() {
            return Err(ask.inconsistent("the answer has another number of files than were asked for"));
        }
        files.iter().zip(entries).map(|(wanted, entry)| blob_of(&ask, wanted, entry, first_bytes)).collect()
    }
}

/// The body of a batch upload. The blobs are not copied.
fn body_of(uploads: &[BatchUpload]) -> Result<hcfs_http::Body, String> {
    let count = u32::try_from(uploads.len()).map_err(|_| "too many files".to_owned())?;
    let mut parts = Vec::with_capacity(1 + 2 * uploads.len());
    parts.push(Bytes::from(batch_start(count)));
    for upload in uploads {
        let head = serde_json::to_vec(&upload.manifest).map_err(|error| error.to_string())?;
        let head = batch_entry(&head, upload.blob.len()).ok_or_else(|| "a file is too large for a batch".to_owned())?;
        parts.extend([Bytes::from(head), upload.blob.clone()]);
    }
    let length = parts.iter().map(|part| part.len() as u64).sum();
    Ok(hcfs_http::Body::stream(Some(length), move || {
        stream::iter(parts.clone().into_iter().map(io::Result::Ok)).boxed()
    }))
}

fn uploaded(upload: &BatchUpload, result: EntryOutcome<UploadResult>) -> Result<Uploaded, RemoteError> {
    let manifest = &upload.manifest;
    match result.outcome {
        Ok(stored) => Ok(Uploaded { revision: manifest.revision(stored.revision_id), updated_at: stored.updated_at }),
        Err(failure) => Err(RemoteError::of_failure(failure, format!("upload of file {}", manifest.path_hash), true)),
    }
}

fn wanted(wanted: &WantedBlob) -> BatchWanted {
    BatchWanted { file_id: wanted.file, revision_id: wanted.expected.map(|expected| expected.revision.id) }
}

/// Reads a batch to its end, in memory: at most what was announced, framing included.
async fn read_batch(ask: &Ask, mut body: BodyStream, limits: BatchLimits) -> Result<Vec<BatchEntry>, RemoteError> {
    let (mut reader, mut entries) = (BatchReader::new(limits), Vec::new());
    let mut length = BATCH_START_LEN;
    while let Some(piece) = body.next().await {
        reader.push(&piece.map_err(|error| ask.lost(error))?);
        while let Some(entry) = reader.take().map_err(|error| ask.inconsistent(error.to_string()))? {
            length = length.saturating_add(batch_entry_len(entry.head.len(), entry.body.len() as u64));
            if length > limits.max_bytes {
                return Err(ask.inconsistent("the batch is larger than the server said it would be"));
            }
            entries.push(entry);
        }
    }
    // With an unknown length the connection's end looks like the batch's.
    reader.finish().map_err(|error| RemoteError::new(RemoteErrorKind::Unavailable, &*ask.object, error.to_string()))?;
    Ok(entries)
}

fn blob_of(
    ask: &Ask,
    wanted: &WantedBlob,
    entry: BatchEntry,
    first_bytes: Option<u64>,
) -> Result<Result<BatchBlob, RemoteError>, RemoteError> {
    let head: EntryOutcome<BatchFile> = parse_json(&entry.head, limits::MAX_MANIFEST_BODY)
        .map_err(|error| ask.inconsistent(format!("a file's head: {error}")))?;
    if head.file_id != wanted.file {
        return Err(ask.inconsistent("the answer is about other files than were asked for"));
    }
    let object = format!("download of file {}", wanted.file);
    Ok(match head.outcome {
        Ok(file) => {
            let found = Expected { revision: file.revision(), size: file.size_bytes };
            BatchBlob { found, bytes: entry.body.into() }.checked(wanted, first_bytes, &object)
        }
        Err(failure) => Err(not_wanted(RemoteError::of_failure(failure, object, false))),
    })
}

/// A conflict over a revision that was only asked for is one that has moved.
pub(crate) fn not_wanted(mut error: RemoteError) -> RemoteError {
    if let RemoteErrorKind::Conflict { current } = error.kind {
        error.kind = RemoteErrorKind::Moved { current };
    }
    error
}
