//! Deletion, of one file or many.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use hcfs_model::{FileId, RevisionId};
use hcfs_wire::{
    DeleteError, DeleteFiles, DeleteStatus, DeletedEntry, DeletedFile, DeletedFiles, ErrorCode, limits,
    parse_revision_tag,
};
use http::HeaderMap;
use http::header::IF_MATCH;

use super::missing;
use crate::answer::{Answer, Failure, success};
use crate::body::read_json;
use crate::caller::{Caller, Segments};
use crate::metadata::{FileKey, FolderKey, Removal};
use crate::stores::Stores;

/// Deletes a file; with `If-Match`, only the revision it names: another one is a conflict.
pub(super) async fn delete(
    State(stores): State<Arc<Stores>>,
    caller: Caller,
    Segments((ss58, folder_hash, file_id)): Segments<(String, String, String)>,
    headers: HeaderMap,
) -> Answer {
    let key = caller.file(&ss58, &folder_hash, &file_id)?;
    let only = wanted_revision(&headers)?;
    let answer = DeletedFile {
        status: DeleteStatus::Deleted,
        file_id: key.file,
        ss58_address: key.folder.account.clone(),
        folder_hash: key.folder.folder.to_hex(),
    };
    remove(&stores, key, only).await?;
    Ok(success(answer))
}

/// Removes a file, if `only` names its current revision or nothing.
pub(super) async fn remove(stores: &Arc<Stores>, key: FileKey, only: Option<RevisionId>) -> Result<(), Failure> {
    let work = {
        let stores = Arc::clone(stores);
        async move {
            match stores.metadata.remove(key, only, stores.clock.seconds()).await? {
                Removal::Removed => Ok(()),
                Removal::NotFound => Err(missing("file")),
                Removal::Changed(current) => Err(Failure::conflict(Some(current))),
            }
        }
    };
    stores.to_the_end(work).await
}

/// Deletes up to 1,000 files; always a success, with what became of each.
pub(super) async fn delete_files(State(stores): State<Arc<Stores>>, caller: Caller, body: Body) -> Answer {
    let request: DeleteFiles = read_json(body, limits::MAX_SMALL_BODY).await?;
    caller.must_be(&request.ss58_address)?;
    if request.file_ids.len() > limits::MAX_DELETE_IDS {
        let message =
            format!("{} ids were sent, and at most {} are taken", request.file_ids.len(), limits::MAX_DELETE_IDS);
        return Err(Failure::new(ErrorCode::BatchTooLarge, message));
    }
    let mut answer = DeletedFiles::default();
    let mut files = Vec::new();
    for text in request.file_ids {
        match FileId::from_hex(&text) {
            Ok(file) => files.push(file),
            Err(_) => {
                answer.errors.push(DeleteError { file_id: text, error: ErrorCode::InvalidFileId.as_str().to_owned() });
            }
        }
    }
    let folder = FolderKey { account: request.ss58_address, folder: request.folder_hash };
    let work = {
        let (stores, files) = (Arc::clone(&stores), files.clone());
        async move { Ok(stores.metadata.remove_all(folder, files, stores.clock.seconds()).await?) }
    };
    for (file_id, removal) in files.into_iter().zip(stores.to_the_end(work).await?) {
        let status = match removal {
            Removal::Removed => DeleteStatus::Deleted,
            Removal::NotFound | Removal::Changed(_) => DeleteStatus::AlreadyDeleted,
        };
        answer.files_deleted += u64::from(status == DeleteStatus::Deleted);
        if !request.quiet {
            answer.deleted.push(DeletedEntry { file_id, status });
        }
    }
    Ok(success(answer))
}

pub(super) fn wanted_revision(headers: &HeaderMap) -> Result<Option<RevisionId>, Failure> {
    let Some(header) = headers.get(IF_MATCH) else { return Ok(None) };
    let text = header.to_str().unwrap_or_default();
    if text.trim() == "*" {
        return Ok(None);
    }
    let id = parse_revision_tag(text)
        .map_err(|_| Failure::invalid("If-Match is not one revision id of 64 hexadecimal characters in quotes"))?;
    Ok(Some(id))
}
