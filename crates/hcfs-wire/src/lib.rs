//! The JSON types, headers, signed texts and error codes of the HCFS protocol, for both of its sides.
//!
//! Every body that crosses the network is one of these types, in terms of the vocabulary of `hcfs-model`. Invariants:
//! bytes from outside are read through [`parse_json`] or [`read_answer`], which bound the body; every list and text
//! inside is bounded too ([`limits`]); unknown fields are ignored; byte fields are written as arrays of integers and
//! read as those or as hexadecimal text; no type that can hold a path prints it in its `Debug` form.
//!
//! Deliberately absent: sockets, secret keys, and any decision about what an answer means for a folder.

mod batch;
mod browse;
mod code;
mod encoding;
mod envelope;
mod fault;
mod feed;
mod files;
mod folders;
mod head;
pub mod header;
pub mod limits;
mod login;
mod manifest;
mod parse;
mod rename;
mod session;
mod signing;
mod tag;

pub use batch::{
    BATCH_START_LEN, BATCH_TYPE, BatchDownload, BatchEntry, BatchError, BatchFile, BatchLimits, BatchReader,
    BatchUploaded, BatchWanted, EntryAnswer, EntryOutcome, batch_entry, batch_entry_len, batch_start,
};
pub use browse::{
    Browse, BrowseFolder, BrowseQuery, CanUpload, CanUploadQuery, FileTypeSummary, SearchFiles, SearchHit, SearchQuery,
    SourceSummary, UserSummary,
};
pub use code::{DeleteStatus, ErrorCode, PathReason, RenameReason};
pub use envelope::{ConflictBody, Envelope, ErrorBody, QuotaBody};
pub use fault::{Failure, Fault, read_answer, read_failure};
pub use feed::{Feed, FeedChange, FeedError, FeedQuery, ReadFeed};
pub use files::{
    BrokenRow, DeleteError, DeleteFiles, DeletedEntry, DeletedFile, DeletedFiles, FolderEntries, GetState, PageQuery,
    PathEntry, PathError, Published, RegisterPaths, RegisteredPaths, RemoteFileEntry, Row,
};
pub use folders::{FolderEntry, Health, ListFolders, RegisterFolder, Registered, UnregisterFolder, Unregistered};
pub use head::{ContentRange, DownloadHead, HeadError, RangeRequest};
pub use login::{
    Challenge, ChallengeRequest, LoggedIn, Login, TokenEntry, TokenRevoked, Tokens, login_text, verify_login,
};
pub use manifest::{Manifest, ManifestError, UploadResult, UploadSource};
pub use parse::{ParseError, parse_json};
pub use rename::{Rename, RenameFailure, RenameFiles, RenameResult, Renamed};
pub use session::{
    ChunkStored, LayoutError, SessionDeleted, SessionId, SessionOpen, SessionOpened, SessionState, SessionStatus,
};
pub use signing::{SignatureError, rename_text, upload_text, verify_rename, verify_upload};
pub use tag::{StateTag, TagError, parse_revision_tag, revision_tag};

/// Capabilities that a server lists in its answer to `GET /health`; `EXTENSIONS.md` says what each promises.
pub mod capability {
    /// `GET /get_state` answers carry an `ETag` of the folder's change counter; `If-None-Match` on the first page is
    /// answered with 304 when nothing changed. Pages of one listing that show different tags are skewed.
    pub const STATE_ETAG: &str = "state-etag";
    /// `DELETE /delete/…` honours `If-Match` with a revision id, and answers 409 when another revision is current.
    pub const CONDITIONAL_DELETE: &str = "conditional-delete";
    /// `POST /auth/challenge` and `POST /auth/login` give a bearer token for a signature by the account's key.
    pub const LOGIN: &str = "login";
    /// `POST` and `DELETE /publish/{ss58}/{folder_hash}/{file_id}` open a file's blob to `GET /public/download/{hash}`,
    /// and close it again.
    pub const PUBLISH: &str = "publish";
    /// `GET /changes/…` tells what changed in a folder, and waits for it.
    pub const CHANGE_FEED: &str = "change-feed";
    /// `POST /upload_batch` takes many small files in one request.
    pub const BATCH_UPLOAD: &str = "batch-upload";
    /// `POST /download_batch` sends many small files in one answer.
    pub const BATCH_DOWNLOAD: &str = "batch-download";
}
