//! The extensions before the server in memory.

use hcfs_model::{FileId, FolderHash};
use hcfs_remote::memory::MemoryServer;
use hcfs_remote::{FileChange, ListedFile, Manifest};
use hcfs_wire::{
    BATCH_TYPE, BatchDownload, BatchFile, BatchLimits, BatchReader, ConflictBody, EntryAnswer, Envelope, ErrorBody,
    ErrorCode, Failure, batch_entry, batch_start, limits, parse_json,
};
use serde_json::json;

use super::front::{body, reply};
use super::http::{Reply, Seen};

pub fn changes(server: &MemoryServer, seen: &Seen, folder: FolderHash) -> Reply {
    let after = seen.query("after").map(|after| after.parse().unwrap());
    let limit = seen.query("limit").unwrap().parse().unwrap();
    let numbers = |page: &hcfs_remote::ChangePage| {
        let first = page.next - page.changes.len() as u64 + 1;
        (first..).take(page.changes.len()).collect::<Vec<_>>()
    };
    reply(server.changes(folder, after, limit).map(|page| {
        let rows = page.changes.iter().zip(numbers(&page)).map(|(change, seq)| match change {
            FileChange::Listed(ListedFile::File(row)) => {
                let id = row.entry.file_id;
                json!({"seq": seq, "file": server.file(folder, id).unwrap().entry(id)})
            }
            FileChange::Listed(ListedFile::Broken(row)) => {
                json!({"seq": seq, "file": {"path_hash": row.file_id.unwrap().0}})
            }
            FileChange::Removed(id) => json!({"seq": seq, "removed": id.to_hex()}),
        });
        json!({
            "ss58_address": server.account().as_str(),
            "folder_hash": folder.to_hex(),
            "changes": rows.collect::<Vec<_>>(),
            "next": page.next,
            "has_more": page.has_more,
        })
    }))
}

pub fn upload_batch(server: &MemoryServer, seen: &Seen) -> Reply {
    assert_eq!(seen.header("content-type"), Some(BATCH_TYPE));
    let mut reader = BatchReader::new(BatchLimits::USUAL);
    reader.push(&seen.body);
    let mut uploads: Vec<(Manifest, bytes::Bytes)> = Vec::new();
    while let Some(entry) = reader.take().unwrap() {
        uploads.push((parse_json(&entry.head, limits::MAX_MANIFEST_BODY).unwrap(), entry.body.into()));
    }
    reader.finish().unwrap();
    reply(server.upload_batch(&uploads).map(|results| {
        let entries = uploads.iter().zip(results).map(|((manifest, _), result)| answer(manifest.file_id(), result));
        json!({"results": entries.collect::<Vec<_>>()})
    }))
}

pub fn download_batch(server: &MemoryServer, seen: &Seen) -> Reply {
    let asked: BatchDownload = body(seen);
    let files: Vec<_> = asked.files.iter().map(|wanted| (wanted.file_id, wanted.revision_id)).collect();
    let blobs = match server.download_batch(asked.folder_hash, &files, asked.first_bytes) {
        Ok(blobs) => blobs,
        Err(failure) => return reply::<()>(Err(failure)),
    };
    let mut bytes = batch_start(u32::try_from(files.len()).unwrap());
    for ((file, _), blob) in files.iter().zip(blobs) {
        let (head, body) = match blob {
            Ok(blob) => {
                let revision = blob.found.revision;
                let file =
                    BatchFile { size_bytes: blob.found.size, revision_seq: revision.seq, revision_id: revision.id };
                (Ok(file), blob.bytes)
            }
            Err(failure) => (Err(failure), bytes::Bytes::new()),
        };
        let head = serde_json::to_vec(&answer(*file, head)).unwrap();
        bytes.extend(batch_entry(&head, body.len()).unwrap());
        bytes.extend(body);
    }
    Reply::new(200, bytes).header("content-type", BATCH_TYPE)
}

fn answer<T>(file_id: FileId, outcome: Result<T, Failure>) -> EntryAnswer<T> {
    match outcome {
        Ok(payload) => EntryAnswer { file_id, status: 200, answer: Envelope::Success(payload) },
        Err(failure) => {
            let code = failure.code.unwrap();
            let answer = match code {
                ErrorCode::Conflict => Envelope::Conflict(ConflictBody::new(&failure.message, failure.current)),
                error => Envelope::Error(ErrorBody { error, message: failure.message }),
            };
            EntryAnswer { file_id, status: failure.status, answer }
        }
    }
}
