//! The trait, and what its requests bring.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use hcfs_model::{FileId, FolderHash, FolderLabel, RemoteEntry, Revision, blob};
use hcfs_wire::{
    BatchLimits, BrokenRow, FolderEntry, Health, Manifest, RemoteFileEntry, RenameFailure, RenameFiles, Renamed, Row,
    SessionId, SessionOpen, SessionStatus, StateTag, capability,
};

use crate::{RemoteError, RemoteErrorKind};

/// An account on an HCFS server.
///
/// Every method may fail with the kinds of [`crate::RemoteErrorKind`] that any request can meet (not reachable, not
/// authorised, …); only those of its own are named. Dropping a future gives its request up.
#[async_trait]
pub trait Remote: Send + Sync {
    /// The server's version and capabilities.
    async fn health(&self) -> Result<Health, RemoteError>;

    /// Makes the folder known to the account; no error when it is known already.
    async fn register_folder(&self, label: &FolderLabel, device: &str) -> Result<(), RemoteError>;

    /// The folders of the account.
    async fn folders(&self) -> Result<Vec<FolderSummary>, RemoteError>;

    /// Deletes a folder with all its files, and says how many they were. `NotFound` when it is not registered.
    async fn unregister_folder(&self, folder: FolderHash) -> Result<u64, RemoteError>;

    /// One page of a folder's listing; [`crate::list_all`] reads them all. With the tag of a listing that was read
    /// completely, the first page may be answered with [`ListingPage::Unchanged`].
    async fn listing_page(
        &self,
        folder: FolderHash,
        offset: u64,
        limit: u32,
        tag: Option<&StateTag>,
    ) -> Result<ListingPage, RemoteError>;

    /// The current revision of a file; `None` only on a 404 `not_found` in a valid envelope.
    async fn probe(&self, folder: FolderHash, file: FileId) -> Result<Option<Revision>, RemoteError>;

    /// Starts to fetch a blob, or the bytes `bytes` of one. `Moved` when another revision or size is current,
    /// `RangeIgnored` when a part was asked for and the whole would come, `NotFound` when the file is gone.
    async fn download(
        &self,
        folder: FolderHash,
        file: FileId,
        expected: &Expected,
        bytes: Option<Range<u64>>,
    ) -> Result<Download, RemoteError>;

    /// Sends a whole blob in one request; for blobs up to [`blob::TRANSPORT_CHUNK`]. `Conflict`, `Stale`,
    /// `OverQuota`, or `Ambiguous`: then [`crate::confirm_upload`] tells what happened.
    async fn upload(&self, manifest: &Manifest, blob: Bytes) -> Result<Uploaded, RemoteError>;

    /// Opens an upload session.
    async fn open_session(&self, open: &SessionOpen) -> Result<OpenedSession, RemoteError>;

    /// Sends one part of a session's blob; sending it again is harmless. `NotFound` when the session is gone.
    async fn put_part(&self, session: &SessionId, index: u32, part: Bytes) -> Result<(), RemoteError>;

    /// Which parts of a session have arrived. `NotFound` when the session is gone.
    async fn session_status(&self, session: &SessionId) -> Result<SessionStatus, RemoteError>;

    /// Makes a session's blob the current revision of the manifest's file. Fails as [`Remote::upload`] does.
    async fn finalize(&self, session: &SessionId, manifest: &Manifest) -> Result<Uploaded, RemoteError>;

    /// Drops a session; no error when it is gone already.
    async fn abort_session(&self, session: &SessionId) -> Result<(), RemoteError>;

    /// Deletes a file if `expected` is its current revision; else `Conflict`.
    async fn delete(&self, folder: FolderHash, file: FileId, expected: Revision) -> Result<Deleted, RemoteError>;

    /// Renames files; each succeeds or fails on its own. `Ambiguous` when the answer was lost, or does not speak of
    /// exactly the files that were asked for.
    async fn rename(&self, request: &RenameFiles) -> Result<RenameOutcome, RemoteError>;

    /// What the server does beyond the protocol; asked for once and kept for a while. The methods below are for those
    /// extensions alone: without its extension each of them fails as `Local`, as those of a remote that knows none do.
    async fn extensions(&self) -> Result<Extensions, RemoteError> {
        Ok(Extensions::default())
    }

    /// What changed in a folder since the change `after`, or, while nothing did, what changes within `wait`. Without
    /// `after` nothing is sent and nothing waited for: `next` says where the feed stands.
    async fn changes(
        &self,
        folder: FolderHash,
        after: Option<u64>,
        wait: Duration,
    ) -> Result<FolderChanges, RemoteError> {
        let _ = (after, wait);
        Err(without_extension(format!("changes of folder {folder}")))
    }

    /// Sends whole blobs in one request, and gives what [`Remote::upload`] would give for each, in their order. When
    /// the request as a whole fails, nothing was stored, but for `Ambiguous`: then
    /// [`crate::confirm_uploads`] tells what happened.
    async fn upload_batch(&self, uploads: &[BatchUpload]) -> Result<Vec<Result<Uploaded, RemoteError>>, RemoteError> {
        Err(without_extension(format!("upload of {} files", uploads.len())))
    }

    /// Fetches blobs in one request, or the first `first_bytes` bytes of each, in their order. An entry fails as
    /// [`Remote::download`] does, or as `TooLarge` when it has no room in the answer: then it is asked for alone.
    async fn download_batch(
        &self,
        folder: FolderHash,
        files: &[WantedBlob],
        first_bytes: Option<u64>,
    ) -> Result<Vec<Result<BatchBlob, RemoteError>>, RemoteError> {
        let _ = (files, first_bytes);
        Err(without_extension(format!("download of files of folder {folder}")))
    }
}

/// The failure of a request that only an extension knows, where it is not announced.
pub(crate) fn without_extension(object: String) -> RemoteError {
    RemoteError::new(RemoteErrorKind::Local, object, "the server does not announce the extension that this needs")
}

/// What a server does beyond the protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extensions {
    /// [`Remote::changes`].
    pub feed: bool,
    /// [`Remote::upload_batch`], and how much one may hold.
    pub upload_batch: Option<BatchLimits>,
    /// [`Remote::download_batch`], and how much one answer may hold.
    pub download_batch: Option<BatchLimits>,
}

impl Extensions {
    /// What a server's announcement promises.
    #[must_use]
    pub fn of(health: &Health) -> Self {
        let limits = health.batch.unwrap_or(BatchLimits::USUAL).bounded();
        Self {
            feed: health.has(capability::CHANGE_FEED),
            upload_batch: health.has(capability::BATCH_UPLOAD).then_some(limits),
            download_batch: health.has(capability::BATCH_DOWNLOAD).then_some(limits),
        }
    }
}

/// What a feed says of a folder. A hint: a removal is no proof of absence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderChanges {
    /// Changes, in the order in which they were made.
    Changed(ChangePage),
    /// The feed does not reach back so far: only a full listing tells.
    Reset,
}

/// Changes of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePage {
    /// The last change of each file that changed; may be empty.
    pub changes: Vec<FileChange>,
    /// What to give as `after` next time.
    pub next: u64,
    /// Whether changes follow that did not fit.
    pub has_more: bool,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChange {
    /// The file is now listed so.
    Listed(ListedFile),
    /// The file is not listed any more.
    Removed(FileId),
}

/// One upload of a batch.
#[derive(Debug, Clone)]
pub struct BatchUpload {
    /// Its description.
    pub manifest: Manifest,
    /// The whole blob.
    pub blob: Bytes,
}

/// One file of a batch download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantedBlob {
    /// The file.
    pub file: FileId,
    /// The version; `None` for whichever is current.
    pub expected: Option<Expected>,
}

/// A blob of a batch download, or its first bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct BatchBlob {
    /// The version.
    pub found: Expected,
    /// The bytes, as many as were asked for. Nothing of them is authenticated yet.
    pub bytes: Bytes,
}

impl std::fmt::Debug for BatchBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchBlob").field("found", &self.found).field("length", &self.bytes.len()).finish()
    }
}

impl BatchBlob {
    /// Checks what came against what was wanted, as [`Remote::download`] does; `object` names the file.
    pub(crate) fn checked(
        self,
        wanted: &WantedBlob,
        first_bytes: Option<u64>,
        object: &str,
    ) -> Result<Self, RemoteError> {
        let error = |kind, message: &str| Err(RemoteError::new(kind, object, message));
        if wanted.expected.is_some_and(|expected| expected != self.found) {
            return error(RemoteErrorKind::Moved { current: Some(self.found.revision) }, "");
        }
        if self.found.size > blob::MAX_PLAINTEXT {
            return error(RemoteErrorKind::Inconsistent, "the file is larger than the format can hold");
        }
        let whole = blob::blob_len(self.found.size);
        if self.bytes.len() as u64 != first_bytes.map_or(whole, |first| first.min(whole)) {
            return error(RemoteErrorKind::Inconsistent, "the blob's length does not follow from the file's size");
        }
        Ok(self)
    }
}

/// One folder of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderSummary {
    /// The folder's hash.
    pub folder: FolderHash,
    /// What people call it.
    pub label: String,
    /// How many files it has.
    pub files: u64,
    /// Their plaintext bytes.
    pub bytes: u64,
    /// Which device registered it; may be empty.
    pub device: String,
    /// When it was registered, in seconds since 1970.
    pub created_at: i64,
    /// When a file in it last changed, in seconds since 1970.
    pub updated_at: i64,
}

impl From<FolderEntry> for FolderSummary {
    fn from(entry: FolderEntry) -> Self {
        Self {
            folder: entry.folder_hash,
            label: entry.label,
            files: entry.file_count,
            bytes: entry.total_bytes,
            device: entry.device_name,
            created_at: entry.created_at,
            updated_at: entry.updated_at,
        }
    }
}

/// A page of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListingPage {
    /// Nothing in the folder changed since the listing with the given tag.
    Unchanged,
    /// Rows.
    Rows(Rows),
}

/// The rows of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// The rows, in the server's order.
    pub rows: Vec<ListedFile>,
    /// Whether rows follow.
    pub has_more: bool,
    /// How many rows the whole listing has.
    pub total_count: u64,
    /// The tag of the folder's state this page shows, where the server has tags.
    pub tag: Option<StateTag>,
}

/// A row of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListedFile {
    /// A file.
    File(FileRow),
    /// A row that makes no sense; it still stands for a file.
    Broken(BrokenRow),
}

impl ListedFile {
    /// The file's id, where it could be read.
    #[must_use]
    pub fn file_id(&self) -> Option<FileId> {
        match self {
            Self::File(row) => Some(row.entry.file_id),
            Self::Broken(row) => row.file_id,
        }
    }
}

/// A file of a listing.
#[derive(Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Id, revision, salted hash and plaintext length.
    pub entry: RemoteEntry,
    /// The path's bytes, sealed as a blob; may be empty.
    pub encrypted_path: Vec<u8>,
    /// The path in plaintext, where the server knows it. Not checked.
    pub relative_path: Option<String>,
    /// The name in plaintext, where the server knows it. Not checked.
    pub file_name: Option<String>,
    /// When the file last changed, in seconds since 1970, by the server's clock.
    pub updated_at: i64,
}

impl std::fmt::Debug for FileRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileRow").field("entry", &self.entry).finish_non_exhaustive()
    }
}

impl From<Row<RemoteFileEntry>> for ListedFile {
    fn from(row: Row<RemoteFileEntry>) -> Self {
        let row = match row {
            Row::Read(row) => row,
            Row::Broken(broken) => return Self::Broken(broken),
        };
        let reason = if row.revision_seq == 0 || i64::try_from(row.revision_seq).is_err() {
            "revision_seq is out of range"
        } else if row.size_bytes > blob::MAX_PLAINTEXT {
            "size_bytes is above what the format can hold"
        } else {
            return Self::File(FileRow {
                entry: row.entry(),
                encrypted_path: row.encrypted_path,
                relative_path: row.relative_path,
                file_name: row.file_name,
                updated_at: row.updated_at,
            });
        };
        Self::Broken(BrokenRow { file_id: Some(row.path_hash), reason: reason.to_owned() })
    }
}

/// The version of a file that a download is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Its revision.
    pub revision: Revision,
    /// Its plaintext length in bytes.
    pub size: u64,
}

impl From<&RemoteEntry> for Expected {
    fn from(entry: &RemoteEntry) -> Self {
        Self { revision: entry.revision, size: entry.size }
    }
}

/// The bytes of a blob as they arrive. It ends without error only after exactly the promised number of bytes, and
/// after an error it is over.
pub type BodyStream = BoxStream<'static, Result<Bytes, RemoteError>>;

/// A blob, or a part of one, on its way.
pub struct Download {
    /// Bytes of the whole blob: what follows from the plaintext's length, and what the server said if it said it.
    pub blob_len: u64,
    /// Which bytes of the blob the body holds.
    pub bytes: Range<u64>,
    /// The bytes. Nothing of them is authenticated yet.
    pub body: BodyStream,
}

impl std::fmt::Debug for Download {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Download").field("blob_len", &self.blob_len).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// An upload that became current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uploaded {
    /// The new revision.
    pub revision: Revision,
    /// When the file last changed, in seconds since 1970, by the server's clock.
    pub updated_at: i64,
}

/// An upload session that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedSession {
    /// Its name.
    pub id: SessionId,
    /// When it is dropped if idle, in seconds since 1970, by the server's clock.
    pub expires_at: i64,
}

/// What became of a file that was to be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It was deleted.
    Done,
    /// It was not there, or an earlier attempt whose answer was lost had deleted it.
    WasGone,
}

/// What became of a batch of renames: every rename is in exactly one of the lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenameOutcome {
    /// The renames that were made.
    pub successes: Vec<Renamed>,
    /// The renames that were not made.
    pub failures: Vec<RenameFailure>,
}
