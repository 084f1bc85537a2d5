//! Servers that give prepared answers, and the answers of a well-behaved one.

use hcfs_model::{Revision, RevisionId};
use hcfs_remote::{Expected, Remote, RemoteError, RemoteErrorKind, Uploaded};
use hcfs_wire::header;
use serde_json::json;

use super::http::{Reply, Server};
use super::{account, folder, upload};

pub const REVISION: Revision = Revision { seq: 4, id: RevisionId([0xcd; 32]) };
pub const SIZE: u64 = 100;

pub fn expected() -> Expected {
    Expected { revision: REVISION, size: SIZE }
}

pub fn health(capabilities: &[&str]) -> Reply {
    Reply::json(200, &json!({"status": "healthy", "version": "1", "capabilities": capabilities}))
}

/// A server without capabilities that gives one answer to everything.
pub async fn always(reply: Reply) -> Server {
    Server::start(move |seen| if seen.path() == "/health" { health(&[]) } else { reply.clone() }).await
}

/// A server that gives one answer after the other, and the last one for ever.
pub async fn in_turn(capabilities: &'static [&'static str], replies: Vec<Reply>) -> Server {
    let mut left = replies.into_iter().peekable();
    Server::start(move |seen| {
        if seen.path() == "/health" {
            return health(capabilities);
        }
        let reply = left.next().unwrap();
        if left.peek().is_none() {
            left = vec![reply.clone()].into_iter().peekable();
        }
        reply
    })
    .await
}

/// The head of a download of the expected revision.
pub fn download_of(status: u16, body: impl Into<bytes::Bytes>) -> Reply {
    Reply::new(status, body)
        .header(header::SIZE_BYTES, SIZE.to_string())
        .header(header::REVISION_ID, REVISION.id.to_hex())
        .header(header::REVISION_SEQ, REVISION.seq.to_string())
}

pub fn page(rows: &[u8], total: u64, has_more: bool) -> Reply {
    let row = |id: u8| {
        json!({"path_hash": vec![id; 32], "salted_hash": vec![2; 32], "size_bytes": 5, "revision_seq": 1,
               "revision_id": vec![4; 32], "encrypted_path": [], "created_at": 0, "updated_at": 0})
    };
    let rows: Vec<_> = rows.iter().map(|id| row(*id)).collect();
    Reply::success(&json!({"ss58_address": account().as_str(), "folder_hash": folder().to_hex(), "files": rows,
                           "total_count": total, "has_more": has_more, "offset": 0, "limit": 5000}))
}

pub fn success() -> Reply {
    Reply::success(&json!({"upload_id": "u", "timestamp": 1, "revision_id": vec![0xcd; 32], "updated_at": 9}))
}

pub async fn try_upload(server: &Server) -> Result<Uploaded, RemoteError> {
    let (manifest, blob) = upload("a", SIZE, 1, None);
    server.client(3).upload(&manifest, blob).await
}

pub fn kind<T: std::fmt::Debug>(outcome: Result<T, RemoteError>) -> RemoteErrorKind {
    outcome.unwrap_err().kind
}
