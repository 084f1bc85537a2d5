//! Listing, fetching, deleting and renaming files.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use futures_util::StreamExt;
use hcfs_http::{HeaderMap, Method, Response, StatusCode};
use hcfs_model::{FileId, FolderHash, Revision, blob};
use hcfs_wire::{
    DeletedFile, DownloadHead, GetState, RangeRequest, RemoteFileEntry, RenameFiles, RenameResult, Row, StateTag,
    capability, header, limits, read_answer, revision_tag,
};

use super::{Ask, HcfsRemote, refusal};
use crate::body::exactly;
use crate::remote::{Deleted, Download, Expected, ListingPage, RenameOutcome, Rows};
use crate::{RemoteError, RemoteErrorKind};

/// How often an unconditional deletion is begun.
const DELETE_ATTEMPTS: u32 = 3;
/// The part of an answer to a probe that is read so that its connection can be used again.
const PROBE_BODY: u64 = 64;

impl HcfsRemote {
    fn about_file(
        &self,
        method: Method,
        endpoint: &str,
        what: &str,
        folder: FolderHash,
        file: FileId,
    ) -> Result<Ask, RemoteError> {
        let path = [endpoint, self.account.as_str(), &folder.to_hex(), &file.to_hex()];
        self.ask(method, &path, format!("{what} of file {file}"))
    }

    pub(super) async fn get_state(
        &self,
        folder: FolderHash,
        offset: u64,
        limit: u32,
        tag: Option<&StateTag>,
    ) -> Result<ListingPage, RemoteError> {
        // Elsewhere a proxy may have made the tags, and those differ from page to page.
        let has_tags = self.has(capability::STATE_ETAG).await?;
        let object = format!("listing of folder {folder}");
        let path = ["get_state", self.account.as_str(), &folder.to_hex()];
        let (offset, limit) = (offset.to_string(), limit.min(limits::MAX_PAGE_ROWS).to_string());
        let url = self
            .url(&path, &object)?
            .with_query([("offset", offset.as_str()), ("limit", limit.as_str())])
            .map_err(|error| RemoteError::new(RemoteErrorKind::Local, object.as_str(), error.to_string()))?;
        let mut ask = self.ask_at(Method::GET, url, object).at_most(limits::MAX_PAGE_BODY);
        let tag = tag.filter(|_| has_tags);
        if let Some(tag) = tag {
            ask = ask.header(header::IF_NONE_MATCH, &tag.to_string())?;
        }
        let answer = self.answer(&ask).await?;
        if answer.status == StatusCode::NOT_MODIFIED && tag.is_some() {
            return Ok(ListingPage::Unchanged);
        }
        let page: GetState<Row<RemoteFileEntry>> = read_answer(answer.status.as_u16(), &answer.body, ask.limit)
            .map_err(|failure| ask.failed(failure, &answer.headers))?;
        self.check_account(&page.ss58_address, &ask.object)?;
        if page.folder_hash != folder {
            return Err(ask.inconsistent("the answer is about another folder"));
        }
        let tag =
            if has_tags { text(&answer.headers, header::ETAG).and_then(|tag| StateTag::parse(tag).ok()) } else { None };
        Ok(ListingPage::Rows(Rows {
            rows: page.files.into_iter().map(Into::into).collect(),
            has_more: page.has_more,
            total_count: page.total_count,
            tag,
        }))
    }

    pub(super) async fn current_revision(
        &self,
        folder: FolderHash,
        file: FileId,
    ) -> Result<Option<Revision>, RemoteError> {
        let ask = self.about_file(Method::GET, "download", "look", folder, file)?;
        let ask = ask.header("range", &RangeRequest::Between(0, 0).to_string())?;
        let response = self.send(&ask.request).await.map_err(|error| ask.lost(error))?;
        if !response.status.is_success() {
            let error = refusal(&ask, response).await;
            return if error.kind == RemoteErrorKind::NotFound { Ok(None) } else { Err(error) };
        }
        let head = head(&ask, &response, folder, file)?;
        // What is wrong with the body says nothing about the revision.
        drop(response.body.collect_bounded(PROBE_BODY).await);
        Ok(Some(head.revision))
    }

    pub(super) async fn fetch(
        &self,
        folder: FolderHash,
        file: FileId,
        expected: &Expected,
        bytes: Option<Range<u64>>,
    ) -> Result<Download, RemoteError> {
        let mut ask = self.about_file(Method::GET, "download", "download", folder, file)?;
        if expected.size > blob::MAX_PLAINTEXT {
            return Err(ask.local("the file is larger than the format can hold"));
        }
        let blob_len = blob::blob_len(expected.size);
        let whole = 0..blob_len;
        let bytes = bytes.unwrap_or_else(|| whole.clone());
        if bytes.is_empty() || bytes.end > blob_len {
            return Err(ask.local("the bytes asked for are not in the blob"));
        }
        if bytes != whole {
            ask = ask.header("range", &RangeRequest::Between(bytes.start, bytes.end - 1).to_string())?;
        }
        let response = self.send(&ask.request).await.map_err(|error| ask.lost(error))?;
        if response.status == StatusCode::RANGE_NOT_SATISFIABLE {
            let message = "the blob has no such bytes any more";
            return Err(RemoteError::new(RemoteErrorKind::Moved { current: None }, &*ask.object, message));
        }
        if !response.status.is_success() {
            return Err(refusal(&ask, response).await);
        }
        let head = head(&ask, &response, folder, file)?;
        if head.revision != expected.revision || head.size != expected.size {
            let kind = RemoteErrorKind::Moved { current: Some(head.revision) };
            return Err(RemoteError::new(kind, &*ask.object, ""));
        }
        check_range(&ask, response.status, &head, &bytes, blob_len)?;
        let object = Arc::clone(&ask.object);
        let pieces = response.body.map(move |piece| piece.map_err(|error| ask.lost(error)));
        let body = exactly(pieces, bytes.end - bytes.start, object);
        Ok(Download { blob_len, bytes, body })
    }

    pub(super) async fn delete_revision(
        &self,
        folder: FolderHash,
        file: FileId,
        expected: Revision,
    ) -> Result<Deleted, RemoteError> {
        if self.has(capability::CONDITIONAL_DELETE).await? {
            // Safe to send again: nothing but the expected revision can be deleted by it.
            let ask = self
                .about_file(Method::DELETE, "delete", "deletion", folder, file)?
                .header(header::IF_MATCH, &revision_tag(expected.id))?
                .idempotent();
            return deleted(self.payload(ask).await);
        }
        let mut last = None;
        for _ in 0..DELETE_ATTEMPTS {
            match self.current_revision(folder, file).await? {
                None => return Ok(Deleted::WasGone),
                Some(current) if current != expected => {
                    let object = format!("deletion of file {file}");
                    return Err(RemoteError::new(RemoteErrorKind::Conflict { current: Some(current) }, object, ""));
                }
                Some(_) => {}
            }
            let ask = self.about_file(Method::DELETE, "delete", "deletion", folder, file)?.changing();
            match deleted(self.payload(ask).await) {
                // Only what the file's current revision is tells whether to go on.
                Err(error) if error.kind == RemoteErrorKind::Ambiguous => last = Some(error),
                outcome => return outcome,
            }
        }
        Err(last.unwrap_or_else(|| RemoteError::new(RemoteErrorKind::Ambiguous, "deletion of a file", "")))
    }

    pub(super) async fn rename_files(&self, request: &RenameFiles) -> Result<RenameOutcome, RemoteError> {
        let object = format!("renaming of {} files in folder {}", request.renames.len(), request.folder_hash);
        let ask = self
            .ask(Method::POST, &["rename_files"], object)?
            .json(request)?
            .changing()
            .at_most(limits::MAX_RENAME_BODY);
        let object = Arc::clone(&ask.object);
        let result: RenameResult = self.payload(ask).await?;
        outcome_of(request, result, &object)
    }
}

fn deleted(answer: Result<DeletedFile, RemoteError>) -> Result<Deleted, RemoteError> {
    match answer {
        Ok(_) => Ok(Deleted::Done),
        Err(error) if error.kind == RemoteErrorKind::NotFound => Ok(Deleted::WasGone),
        Err(error) => Err(error),
    }
}

/// Checks that an answer to a batch of renames speaks of each of them, once.
pub(crate) fn outcome_of(
    request: &RenameFiles,
    result: RenameResult,
    object: &str,
) -> Result<RenameOutcome, RemoteError> {
    let mut open: BTreeSet<(FileId, FileId)> = request.pairs().into_iter().collect();
    let of = |old: FileId| request.renames.iter().find(|rename| rename.old_path_hash == old);
    let made = result.successes.iter().all(|made| open.remove(&(made.old_path_hash, made.new_path_hash)));
    let failed = result.failures.iter().all(|failure| {
        of(failure.old_path_hash).is_some_and(|rename| open.remove(&(rename.old_path_hash, rename.new_path_hash)))
    });
    if made && failed && open.is_empty() {
        return Ok(RenameOutcome { successes: result.successes, failures: result.failures });
    }
    let message = "the answer does not speak of the files that were asked for";
    Err(RemoteError::new(RemoteErrorKind::Ambiguous, object, message))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The head of a download; one of a proxy's page has none of its headers.
fn head(ask: &Ask, response: &Response, folder: FolderHash, file: FileId) -> Result<DownloadHead, RemoteError> {
    let head = DownloadHead::read(|name| text(&response.headers, name)).map_err(|error| {
        let mut error = RemoteError::new(RemoteErrorKind::NotHcfs, &*ask.object, error.to_string());
        error.status = Some(response.status.as_u16());
        error
    })?;
    if head.file_id.is_some_and(|echoed| echoed != file) || head.folder.is_some_and(|echoed| echoed != folder) {
        return Err(ask.inconsistent("the answer is about another file"));
    }
    Ok(head)
}

/// Checks that the body holds exactly the bytes asked for.
fn check_range(
    ask: &Ask,
    status: StatusCode,
    head: &DownloadHead,
    bytes: &Range<u64>,
    blob_len: u64,
) -> Result<(), RemoteError> {
    let (whole, length) = (*bytes == (0..blob_len), bytes.end - bytes.start);
    match (status, &head.content_range) {
        (StatusCode::PARTIAL_CONTENT, Some(range)) => {
            let asked = range.first == bytes.start && range.last == bytes.end - 1;
            if !asked || range.total.is_some_and(|total| total != blob_len) {
                return Err(ask.inconsistent(format!("the server sent \"{range}\" for bytes {bytes:?} of {blob_len}")));
            }
        }
        (StatusCode::PARTIAL_CONTENT, None) => return Err(ask.inconsistent("a part came without its range")),
        _ if !whole => return Err(RemoteError::new(RemoteErrorKind::RangeIgnored, &*ask.object, "")),
        _ => {}
    }
    match head.content_length {
        Some(said) if said != length => {
            Err(ask.inconsistent(format!("the body has {said} bytes, and {length} follow from the file's size")))
        }
        _ => Ok(()),
    }
}
