//! One device's way to the server in memory.

use std::ops::Range;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use hcfs_model::{FileId, FolderHash, FolderLabel, Revision, blob};
use hcfs_wire::{
    ErrorCode, Failure, Fault as Meaning, Health, Manifest, RenameFiles, SessionId, SessionOpen, SessionStatus,
    StateTag, UploadResult, limits,
};

use super::call::{Call, Fault};
use super::server::MemoryServer;
use crate::body::exactly;
use crate::client::{not_wanted, outcome_of};
use crate::remote::{
    BatchBlob, BatchUpload, Deleted, Download, Expected, Extensions, FolderChanges, FolderSummary, ListingPage,
    OpenedSession, Remote, RenameOutcome, Uploaded, WantedBlob, without_extension,
};
use crate::{RemoteError, RemoteErrorKind};

/// The size of a download's pieces in bytes.
const PIECE: usize = 64 * 1024;

type Matcher = Box<dyn FnMut(&Call) -> bool + Send>;
type Action = Box<dyn FnOnce(&MemoryServer) + Send>;

/// A [`Remote`] that speaks to a [`MemoryServer`], records what it is asked for, and fails when it is told to. Clones
/// are the same device.
#[derive(Clone)]
pub struct MemoryRemote {
    server: MemoryServer,
    script: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    calls: Vec<Call>,
    faults: Vec<(Matcher, Fault)>,
    actions: Vec<(Matcher, Action)>,
    down: Option<RemoteErrorKind>,
}

impl MemoryRemote {
    /// A device of the server's account.
    #[must_use]
    pub fn new(server: &MemoryServer) -> Self {
        Self { server: server.clone(), script: Arc::default() }
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &MemoryServer {
        &self.server
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The requests since the last time this was asked, in their order.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.script().calls)
    }

    /// Lets the next request that matches fail; faults that match the same request are used up one request each, in
    /// the order given.
    pub fn fail_next(&self, matches: impl FnMut(&Call) -> bool + Send + 'static, fault: Fault) {
        self.script().faults.push((Box::new(matches), fault));
    }

    /// How many faults wait for their request.
    #[must_use]
    pub fn pending_faults(&self) -> usize {
        self.script().faults.len()
    }

    /// Lets something happen on the server right before the next request that matches, as if another device had been
    /// faster. Each `matches` is asked once for every request until it says yes.
    pub fn before_next(
        &self,
        matches: impl FnMut(&Call) -> bool + Send + 'static,
        act: impl FnOnce(&MemoryServer) + Send + 'static,
    ) {
        self.script().actions.push((Box::new(matches), Box::new(act)));
    }

    /// Lets every request fail, before the server sees it, until it is called with `None`.
    pub fn set_down(&self, kind: Option<RemoteErrorKind>) {
        self.script().down = kind;
    }

    /// Records a request, lets what was to happen first happen, and tells what is to go wrong.
    fn begin(&self, call: &Call) -> Result<Turn, RemoteError> {
        let actions = {
            let mut script = self.script();
            script.calls.push(call.clone());
            script.actions.extract_if(.., |(matches, _)| matches(call)).map(|(_, act)| act).collect::<Vec<_>>()
        };
        actions.into_iter().for_each(|act| act(&self.server));
        let mut script = self.script();
        let turn = Turn { object: format!("{call:?}").into(), changes: call.changes(), fault: None };
        if let Some(kind) = &script.down {
            return Err(turn.error(kind.clone(), "down"));
        }
        let found = script.faults.iter_mut().position(|(matches, _)| matches(call));
        let fault = found.map(|index| script.faults.remove(index).1);
        match fault {
            Some(Fault::Refused(kind)) => Err(turn.error(kind, "scripted")),
            fault => Ok(Turn { fault, ..turn }),
        }
    }

    /// Fails, unseen by the server, where the extension of a request is not announced.
    fn must_have(&self, announced: impl Fn(&Extensions) -> bool, call: &Call) -> Result<(), RemoteError> {
        if announced(&Extensions::of(&self.server.health())) {
            Ok(())
        } else {
            Err(without_extension(format!("{call:?}")))
        }
    }

    /// A request whose answer is only read or lost.
    fn answer<T>(&self, call: &Call, act: impl FnOnce(&MemoryServer) -> Result<T, Failure>) -> Result<T, RemoteError> {
        let turn = self.begin(call)?;
        let answer = act(&self.server);
        if turn.loses_answer() {
            return Err(turn.lost());
        }
        answer.map_err(|failure| turn.failed(failure))
    }
}

/// A request that is being carried out.
struct Turn {
    object: Arc<str>,
    changes: bool,
    fault: Option<Fault>,
}

impl Turn {
    fn loses_answer(&self) -> bool {
        matches!(self.fault, Some(Fault::AnswerLost | Fault::CutAfter(_)))
    }

    fn error(&self, kind: RemoteErrorKind, message: &str) -> RemoteError {
        RemoteError::new(kind, &*self.object, message)
    }

    fn lost(&self) -> RemoteError {
        let kind = if self.changes { RemoteErrorKind::Ambiguous } else { RemoteErrorKind::Unavailable };
        self.error(kind, "the connection was cut")
    }

    fn failed(&self, failure: Failure) -> RemoteError {
        RemoteError::of_failure(failure, &*self.object, self.changes)
    }
}

#[async_trait]
impl Remote for MemoryRemote {
    async fn health(&self) -> Result<Health, RemoteError> {
        self.answer(&Call::Health, |server| Ok(server.health()))
    }

    async fn register_folder(&self, label: &FolderLabel, device: &str) -> Result<(), RemoteError> {
        let hash = FolderHash::of_label(label);
        self.answer(&Call::RegisterFolder(hash), |server| {
            server.register(hash, label.as_str(), device);
            Ok(())
        })
    }

    async fn folders(&self) -> Result<Vec<FolderSummary>, RemoteError> {
        self.answer(&Call::Folders, |server| Ok(server.list_folders().into_iter().map(Into::into).collect()))
    }

    async fn unregister_folder(&self, folder: FolderHash) -> Result<u64, RemoteError> {
        self.answer(&Call::UnregisterFolder(folder), |server| server.unregister(folder))
    }

    async fn listing_page(
        &self,
        folder: FolderHash,
        offset: u64,
        limit: u32,
        tag: Option<&StateTag>,
    ) -> Result<ListingPage, RemoteError> {
        let call = Call::ListingPage { folder, offset, limit, tagged: tag.is_some() };
        self.answer(&call, |server| {
            Ok(server.page(folder, offset, limit, tag).map_or(ListingPage::Unchanged, ListingPage::Rows))
        })
    }

    async fn probe(&self, folder: FolderHash, file: FileId) -> Result<Option<Revision>, RemoteError> {
        self.answer(&Call::Probe(file), |server| Ok(server.file(folder, file).map(|file| file.revision)))
    }

    async fn download(
        &self,
        folder: FolderHash,
        file: FileId,
        expected: &Expected,
        bytes: Option<Range<u64>>,
    ) -> Result<Download, RemoteError> {
        let turn = self.begin(&Call::Download { file, bytes: bytes.clone() })?;
        if turn.fault == Some(Fault::AnswerLost) {
            return Err(turn.lost());
        }
        let Some(stored) = self.server.file(folder, file) else {
            return Err(turn.failed(Failure::of_code(ErrorCode::NotFound, "no such file")));
        };
        let blob_len = blob::blob_len(expected.size.min(blob::MAX_PLAINTEXT));
        let bytes = bytes.unwrap_or(0..blob_len);
        if bytes.is_empty() || bytes.end > blob_len {
            return Err(turn.error(RemoteErrorKind::Local, "the bytes asked for are not in the blob"));
        }
        if stored.revision != expected.revision || stored.size != expected.size {
            return Err(turn.error(RemoteErrorKind::Moved { current: Some(stored.revision) }, ""));
        }
        if stored.blob.len() as u64 != blob_len {
            return Err(turn.error(RemoteErrorKind::Inconsistent, "the blob's length does not follow from its size"));
        }
        Ok(Download { blob_len, body: body(&stored.blob, &bytes, &turn), bytes })
    }

    async fn upload(&self, manifest: &Manifest, blob: Bytes) -> Result<Uploaded, RemoteError> {
        let call = Call::Upload { file: manifest.file_id(), length: blob.len() as u64 };
        let result = self.answer(&call, |server| server.upload(manifest, blob))?;
        Ok(Uploaded { revision: manifest.revision(result.revision_id), updated_at: result.updated_at })
    }

    async fn open_session(&self, open: &SessionOpen) -> Result<OpenedSession, RemoteError> {
        let opened = self.answer(&Call::OpenSession(open.manifest.file_id()), |server| server.open_session(open))?;
        Ok(OpenedSession { id: opened.session_id, expires_at: opened.expires_at })
    }

    async fn put_part(&self, session: &SessionId, index: u32, part: Bytes) -> Result<(), RemoteError> {
        let call = Call::PutPart { session: session.clone(), index, length: part.len() as u64 };
        self.answer(&call, |server| server.put_part(session, index, part))
    }

    async fn session_status(&self, session: &SessionId) -> Result<SessionStatus, RemoteError> {
        self.answer(&Call::SessionStatus(session.clone()), |server| server.session_status(session))
    }

    async fn finalize(&self, session: &SessionId, manifest: &Manifest) -> Result<Uploaded, RemoteError> {
        let result = self.answer(&Call::Finalize(manifest.file_id()), |server| server.finalize(session))?;
        Ok(Uploaded { revision: manifest.revision(result.revision_id), updated_at: result.updated_at })
    }

    async fn abort_session(&self, session: &SessionId) -> Result<(), RemoteError> {
        self.answer(&Call::AbortSession(session.clone()), |server| match server.abort_session(session) {
            Err(failure) if failure.fault == Meaning::NotFound => Ok(()),
            answer => answer,
        })
    }

    async fn delete(&self, folder: FolderHash, file: FileId, expected: Revision) -> Result<Deleted, RemoteError> {
        self.answer(&Call::Delete(file), |server| match server.delete(folder, file, Some(expected.id)) {
            Ok(()) => Ok(Deleted::Done),
            Err(failure) if failure.fault == Meaning::NotFound => Ok(Deleted::WasGone),
            Err(failure) => Err(failure),
        })
    }

    async fn rename(&self, request: &RenameFiles) -> Result<RenameOutcome, RemoteError> {
        let result = self.answer(&Call::Rename { count: request.renames.len() }, |server| server.rename(request))?;
        outcome_of(request, result, "renaming of files")
    }

    async fn extensions(&self) -> Result<Extensions, RemoteError> {
        Ok(Extensions::of(&self.server.health()))
    }

    async fn changes(
        &self,
        folder: FolderHash,
        after: Option<u64>,
        wait: Duration,
    ) -> Result<FolderChanges, RemoteError> {
        let call = Call::Changes { folder, after, wait };
        self.must_have(|extensions| extensions.feed, &call)?;
        let turn = self.begin(&call)?;
        let until = tokio::time::Instant::now() + wait.min(Duration::from_secs(limits::MAX_FEED_WAIT));
        loop {
            let bell = self.server.bell(folder);
            let mut rung = pin!(bell.notified());
            rung.as_mut().enable();
            let page = self.server.changes(folder, after, limits::MAX_PAGE_ROWS);
            let is_silent = matches!(&page, Ok(page) if page.changes.is_empty() && after == Some(page.next));
            if is_silent && tokio::time::timeout_at(until, rung).await.is_ok() {
                continue;
            }
            if turn.loses_answer() {
                return Err(turn.lost());
            }
            return match page {
                Ok(page) => Ok(FolderChanges::Changed(page)),
                Err(failure) if failure.code == Some(ErrorCode::FeedReset) => Ok(FolderChanges::Reset),
                Err(failure) => Err(turn.failed(failure)),
            };
        }
    }

    async fn upload_batch(&self, uploads: &[BatchUpload]) -> Result<Vec<Result<Uploaded, RemoteError>>, RemoteError> {
        let call = Call::UploadBatch(uploads.iter().map(|upload| upload.manifest.file_id()).collect());
        self.must_have(|extensions| extensions.upload_batch.is_some(), &call)?;
        let entries: Vec<_> = uploads.iter().map(|upload| (upload.manifest.clone(), upload.blob.clone())).collect();
        let results = self.answer(&call, |server| server.upload_batch(&entries))?;
        let answer = |(upload, result): (&BatchUpload, Result<UploadResult, Failure>)| {
            let manifest = &upload.manifest;
            let object = || format!("upload of file {}", manifest.path_hash);
            let stored = result.map_err(|failure| RemoteError::of_failure(failure, object(), true))?;
            Ok(Uploaded { revision: manifest.revision(stored.revision_id), updated_at: stored.updated_at })
        };
        Ok(uploads.iter().zip(results).map(answer).collect())
    }

    async fn download_batch(
        &self,
        folder: FolderHash,
        files: &[WantedBlob],
        first_bytes: Option<u64>,
    ) -> Result<Vec<Result<BatchBlob, RemoteError>>, RemoteError> {
        let call = Call::DownloadBatch { files: files.iter().map(|wanted| wanted.file).collect(), first_bytes };
        self.must_have(|extensions| extensions.download_batch.is_some(), &call)?;
        let turn = self.begin(&call)?;
        let wanted: Vec<_> =
            files.iter().map(|wanted| (wanted.file, wanted.expected.map(|expected| expected.revision.id))).collect();
        let blobs = self.server.download_batch(folder, &wanted, first_bytes);
        if turn.loses_answer() {
            return Err(turn.lost());
        }
        let answer = |(wanted, blob): (&WantedBlob, Result<BatchBlob, Failure>)| {
            let object = format!("download of file {}", wanted.file);
            match blob {
                Ok(blob) => blob.checked(wanted, first_bytes, &object),
                Err(failure) => Err(not_wanted(RemoteError::of_failure(failure, object, false))),
            }
        };
        let mut blobs: Vec<_> = files.iter().zip(blobs.map_err(|failure| turn.failed(failure))?).map(answer).collect();
        if let Some(Fault::Flipped(at)) = turn.fault {
            flip(&mut blobs, at);
        }
        Ok(blobs)
    }
}

/// The first blob that came, with a flipped bit.
fn flip(blobs: &mut [Result<BatchBlob, RemoteError>], at: u64) {
    let Some(blob) = blobs.iter_mut().find_map(|blob| blob.as_mut().ok()) else { return };
    let mut altered = blob.bytes.to_vec();
    if let Some(byte) = usize::try_from(at).ok().and_then(|at| altered.get_mut(at)) {
        *byte ^= 1;
    }
    blob.bytes = Bytes::from(altered);
}

/// The bytes of a blob as they would arrive.
fn body(blob: &Bytes, bytes: &Range<u64>, turn: &Turn) -> crate::BodyStream {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(blob.len());
    let mut part = blob.slice(place(bytes.start)..place(bytes.end));
    let mut end = None;
    match turn.fault {
        Some(Fault::Flipped(at)) => {
            let mut altered = part.to_vec();
            if let Some(byte) = usize::try_from(at).ok().and_then(|at| altered.get_mut(at)) {
                *byte ^= 1;
            }
            part = Bytes::from(altered);
        }
        Some(Fault::CutAfter(length)) => {
            part.truncate(usize::try_from(length).unwrap_or(usize::MAX));
            end = Some(Err(turn.lost()));
        }
        _ => {}
    }
    let mut pieces = Vec::with_capacity(part.len() / PIECE + 2);
    while !part.is_empty() {
        pieces.push(Ok(part.split_to(part.len().min(PIECE))));
    }
    pieces.extend(end);
    exactly(stream::iter(pieces).boxed(), bytes.end - bytes.start, Arc::clone(&turn.object))
}
