//! JSON of the protocol, both ways, and batches.

use hcfs_wire::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::kind;
use crate::Target;

const WORDS: &[&str] = &[
    "{\"Success\":{",
    "\"Conflict\":{",
    "\"Error\":{",
    "\"error\":",
    "\"message\":",
    "\"files\":[",
    "\"path_hash\":",
    "\"salted_hash\":",
    "\"size_bytes\":",
    "\"revision_seq\":",
    "\"revision_id\":",
    "\"encrypted_path\":",
    "\"relative_path\":",
    "\"ss58_address\":",
    "\"user_id\":",
    "\"folder_hash\":",
    "\"has_more\":true",
    "\"changes\":[",
    "\"capabilities\":[",
    "\"renames\":[",
    "\"entries\":[",
    "\"signature\":",
    "null",
    "18446744073709551615",
    "-1",
    "1e9",
    "[0,",
    "\\u0000",
    "\"hcfs-",
    "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY",
    "37a8eec1ce19687d",
];

pub(super) const ANSWERS: Target = Target { name: "wire_answers", words: WORDS, run: answers };
pub(super) const REQUESTS: Target = Target { name: "wire_requests", words: WORDS, run: requests };
pub(super) const BATCH: Target = Target { name: "wire_batch", words: WORDS, run: batch };

const STATUS: [u16; 10] = [200, 201, 304, 400, 401, 402, 404, 409, 429, 503];

/// What was read can be written, and is read again as the same.
fn back<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(body: &[u8]) -> Option<T> {
    let read: T = parse_json(body, limits::MAX_PAGE_BODY).ok()?;
    let written = serde_json::to_vec(&read).unwrap();
    let again: T = parse_json(&written, limits::MAX_PAGE_BODY).expect("what was written is read");
    assert_eq!(read, again);
    Some(read)
}

/// An answer in an envelope, or what is wrong with it.
fn answer<T: DeserializeOwned>(status: u16, body: &[u8]) -> Option<T> {
    match read_answer(status, body, limits::MAX_PAGE_BODY) {
        Ok(read) => Some(read),
        Err(failure) => {
            assert!(failure.message.len() <= 4 * limits::MAX_MESSAGE, "{} bytes of message", failure.message.len());
            None
        }
    }
}

fn answers(input: &[u8]) {
    let (which, rest) = kind(input);
    let (status, body) = kind(rest);
    let status = STATUS[usize::from(status) % STATUS.len()];
    match which % 20 {
        0 => {
            if let Some(page) = answer::<GetState<Row<RemoteFileEntry>>>(status, body) {
                assert!(page.files.len() <= limits::MAX_PAGE_ROWS as usize);
            }
        }
        1 => drop(back::<GetState>(body)),
        2 => drop(answer::<ReadFeed>(status, body)),
        3 => drop(back::<Feed>(body).map(|feed| feed.check(Some(3)))),
        4 => drop(back::<Health>(body)),
        5 => drop(answer::<ListFolders<Row<FolderEntry>>>(status, body)),
        6 => drop(back::<UploadResult>(body)),
        7 => drop(back::<SessionOpened>(body)),
        8 => drop(back::<SessionStatus>(body)),
        9 => drop(back::<RenameResult>(body)),
        10 => drop(back::<DeletedFiles>(body)),
        11 => drop(back::<DeletedFile>(body)),
        12 => drop(back::<Browse>(body)),
        13 => drop(back::<SearchFiles>(body)),
        14 => drop(back::<FolderEntries>(body)),
        15 => drop(back::<RegisteredPaths>(body)),
        16 => drop(back::<CanUpload>(body)),
        17 => drop(back::<Challenge>(body)),
        18 => drop(back::<Tokens>(body)),
        _ => {
            let failure = read_failure(status, body);
            assert!(failure.message.len() <= 4 * limits::MAX_MESSAGE, "{} bytes of message", failure.message.len());
        }
    }
}

fn requests(input: &[u8]) {
    let (which, body) = kind(input);
    match which % 10 {
        0 | 1 => {
            if let Some(manifest) = back::<Manifest>(body)
                && manifest.check().is_ok()
            {
                assert!(manifest.blob_len() >= manifest.size_bytes);
                let _ = verify_upload(&manifest);
            }
        }
        2 => {
            if let Some(request) = back::<RenameFiles>(body) {
                assert!(request.renames.len() <= limits::MAX_RENAMES);
                assert_eq!(request.pairs().len(), request.renames.len());
                for rename in &request.renames {
                    let _ = rename.check();
                }
                let _ = verify_rename(&request);
            }
        }
        3 => drop(back::<RegisterFolder>(body)),
        4 => drop(back::<UnregisterFolder>(body)),
        5 => drop(back::<DeleteFiles>(body)),
        6 => drop(back::<RegisterPaths>(body)),
        7 => drop(back::<SessionOpen>(body)),
        8 => drop(back::<BatchDownload>(body)),
        _ => drop(back::<Login>(body)),
    }
}

/// In whatever pieces a batch comes, it is the same.
fn batch(input: &[u8]) {
    let (size, bytes) = kind(input);
    let limits = BatchLimits { max_entries: 64, max_bytes: 1 << 20, max_blob: 1 << 16 };
    let whole = entries(limits, &[bytes]);
    let pieces: Vec<&[u8]> = bytes.chunks(usize::from(size).max(1)).collect();
    assert_eq!(whole, entries(limits, &pieces));
}

/// The head and the body of an entry.
type Entry = (Vec<u8>, Vec<u8>);

/// The entries, and whether the batch came to its end.
fn entries(limits: BatchLimits, pieces: &[&[u8]]) -> (Vec<Entry>, bool) {
    let mut reader = BatchReader::new(limits);
    let mut found = Vec::new();
    for piece in pieces {
        reader.push(piece);
        loop {
            match reader.take() {
                Ok(Some(entry)) => found.push((entry.head.to_vec(), entry.body.to_vec())),
                Ok(None) => break,
                Err(_) => return (found, false),
            }
        }
    }
    assert!(reader.count().is_none_or(|count| count <= 64));
    (found, reader.finish().is_ok())
}
