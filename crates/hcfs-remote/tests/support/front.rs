//! The endpoints of the protocol before the server in memory, so that the client and the twin can be held to the same
//! contract.

use bytes::Bytes;
use futures_util::{FutureExt, stream};
use hcfs_model::{FileId, FolderHash};
use hcfs_remote::memory::MemoryServer;
use hcfs_remote::{Manifest, RenameFiles, SessionId, SessionOpen};
use hcfs_wire::{
    ContentRange, ErrorCode, Failure, GetState, RangeRequest, RegisterFolder, StateTag, UnregisterFolder, header,
    limits, parse_json, parse_revision_tag,
};
use serde::Serialize;
use serde_json::json;

use super::TOKEN;
use super::front_extensions::{changes, download_batch, upload_batch};
use super::http::{Reply, Seen};

pub fn answer(server: &MemoryServer, seen: &Seen) -> Reply {
    if seen.path() == "/health" {
        return Reply::json(200, &server.health());
    }
    if seen.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return Reply::error(401, "unauthorized");
    }
    match (seen.method.as_str(), seen.segments().as_slice()) {
        ("POST", ["register_folder"]) => {
            let body: RegisterFolder = body(seen);
            server.register(body.folder_hash, &body.label, &body.device_name.unwrap_or_default());
            Reply::success(&json!({"status": "registered"}))
        }
        ("GET", ["list_folders", account]) => {
            Reply::success(&json!({"base_address": account, "folders": server.list_folders()}))
        }
        ("DELETE", ["unregister_folder"]) => {
            let count = server.unregister(body::<UnregisterFolder>(seen).folder_hash);
            reply(count.map(|count| json!({"status": "unregistered", "files_deleted": count})))
        }
        ("GET", ["get_state", _, folder]) => listing(server, seen, FolderHash::from_hex(folder).unwrap()),
        ("GET", ["download", _, folder, file]) => download(server, seen, folder, file),
        ("DELETE", ["delete", account, folder, file]) => {
            let expected = seen.header(header::IF_MATCH).map(|tag| parse_revision_tag(tag).unwrap());
            let done = server.delete(FolderHash::from_hex(folder).unwrap(), FileId::from_hex(file).unwrap(), expected);
            reply(done.map(
                |()| json!({"status": "deleted", "file_id": file, "ss58_address": account, "folder_hash": folder}),
            ))
        }
        ("POST", ["rename_files"]) => reply(server.rename(&body::<RenameFiles>(seen))),
        ("POST", ["upload"]) => {
            let (manifest, blob) = multipart(seen);
            reply(server.upload(&manifest, blob))
        }
        ("POST", ["upload", "session"]) => reply(server.open_session(&body::<SessionOpen>(seen))),
        ("GET", ["changes", _, folder]) => changes(server, seen, FolderHash::from_hex(folder).unwrap()),
        ("POST", ["upload_batch"]) => upload_batch(server, seen),
        ("POST", ["download_batch"]) => download_batch(server, seen),
        (method, ["upload", "session", id, rest @ ..]) => {
            session(server, seen, method, &SessionId::new(id).unwrap(), rest)
        }
        _ => Reply::error(404, "not_found"),
    }
}

pub fn body<T: serde::de::DeserializeOwned>(seen: &Seen) -> T {
    assert_eq!(seen.header("content-type"), Some("application/json"));
    parse_json(&seen.body, limits::MAX_RENAME_BODY).unwrap()
}

pub fn reply<T: Serialize>(outcome: Result<T, Failure>) -> Reply {
    let failure = match outcome {
        Ok(payload) => return Reply::success(&payload),
        Err(failure) => failure,
    };
    let code = failure.code.unwrap();
    match (code, failure.status) {
        (ErrorCode::Conflict, status) => {
            Reply::json(status, &json!({"Conflict": hcfs_wire::ConflictBody::new(&failure.message, failure.current)}))
        }
        (code, 402) => Reply::json(402, &json!({"error": code, "message": failure.message})),
        (code, status) => Reply::error(status, code.as_str()),
    }
}

fn listing(server: &MemoryServer, seen: &Seen, folder: FolderHash) -> Reply {
    let number = |name| seen.query(name).unwrap().parse::<u64>().unwrap();
    let (offset, limit) = (number("offset"), number("limit"));
    let tag = seen.header(header::IF_NONE_MATCH).map(|tag| StateTag::parse(tag).unwrap());
    let Some(page) = server.page(folder, offset, u32::try_from(limit).unwrap(), tag.as_ref()) else {
        return Reply::new(304, "");
    };
    let files = page.rows.iter().map(|row| match row {
        hcfs_remote::ListedFile::File(row) => {
            let id = row.entry.file_id;
            serde_json::to_value(server.file(folder, id).unwrap().entry(id)).unwrap()
        }
        hcfs_remote::ListedFile::Broken(row) => json!({"path_hash": row.file_id.unwrap().0}),
    });
    let body = GetState {
        ss58_address: server.account(),
        folder_hash: folder,
        files: files.collect(),
        total_count: page.total_count,
        has_more: page.has_more,
        offset,
        limit,
    };
    let reply = Reply::success(&body);
    match page.tag {
        Some(tag) => reply.header("etag", tag.to_string()),
        None => reply,
    }
}

fn download(server: &MemoryServer, seen: &Seen, folder: &str, file: &str) -> Reply {
    let Some(stored) = server.file(FolderHash::from_hex(folder).unwrap(), FileId::from_hex(file).unwrap()) else {
        return Reply::error(404, "not_found");
    };
    let length = stored.blob.len() as u64;
    let reply = match seen.header("range").map(|range| RangeRequest::parse(range).unwrap().within(length)) {
        None => Reply::new(200, stored.blob),
        Some(None) => return Reply::new(416, ""),
        Some(Some(bytes)) => {
            let range = ContentRange { first: bytes.start, last: bytes.end - 1, total: Some(length) };
            let part = usize::try_from(bytes.start).unwrap()..usize::try_from(bytes.end).unwrap();
            Reply::new(206, stored.blob.slice(part)).header("content-range", range.to_string())
        }
    };
    reply
        .header(header::SIZE_BYTES, stored.size.to_string())
        .header(header::REVISION_ID, stored.revision.id.to_hex())
        .header(header::REVISION_SEQ, stored.revision.seq.to_string())
        .header(header::FILE_ID, file)
        .header(header::FOLDER_HASH, folder)
}

fn session(server: &MemoryServer, seen: &Seen, method: &str, id: &SessionId, rest: &[&str]) -> Reply {
    match (method, rest) {
        ("PUT", ["chunk", index]) => {
            let index = index.parse().unwrap();
            reply(server.put_part(id, index, seen.body.clone()).map(|()| json!({"chunk_index": index})))
        }
        ("GET", ["status"]) => reply(server.session_status(id)),
        ("POST", ["finalize"]) => {
            assert_eq!(seen.header("content-length"), Some("0"));
            reply(server.finalize(id))
        }
        ("DELETE", []) => reply(server.abort_session(id).map(|()| json!({"deleted": true}))),
        _ => Reply::error(404, "not_found"),
    }
}

/// Reads the body of an upload as the protocol prescribes it: the manifest, then the blob.
pub fn multipart(seen: &Seen) -> (Manifest, Bytes) {
    let boundary = multer::parse_boundary(seen.header("content-type").unwrap()).unwrap();
    let pieces = stream::iter([Ok::<_, std::io::Error>(seen.body.clone())]);
    let mut form = multer::Multipart::new(pieces, boundary);
    let mut next = |name: &str, content_type: &str| {
        let field = form.next_field().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!((field.name(), field.content_type().unwrap().as_ref()), (Some(name), content_type));
        field.bytes().now_or_never().unwrap().unwrap()
    };
    let manifest = next("manifest", "application/json");
    let blob = next("ciphertext", "application/octet-stream");
    assert!(form.next_field().now_or_never().unwrap().unwrap().is_none());
    (parse_json(&manifest, limits::MAX_MANIFEST_BODY).unwrap(), blob)
}
