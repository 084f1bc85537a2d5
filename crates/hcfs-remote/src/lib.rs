//! The HCFS endpoints behind one trait.
//!
//! [`Remote`] is what the engine speaks to: the account's folders, their listings, and the transfer of blobs.
//! [`HcfsRemote`] speaks to a server over HTTP, [`memory::MemoryRemote`] to a server in memory with the same rules.
//! [`list_all`], [`confirm_upload`] and [`confirm_uploads`] put the trait's requests together where one is not enough.
//! What only some servers do ([`Extensions`]) is asked for before it is used.
//!
//! Invariants:
//! - Nothing is taken for gone unless a valid envelope said 404 `not_found`: a proxy's page is [`RemoteErrorKind::NotHcfs`].
//! - Bytes of a body are handed on only while its headers name the expected revision and size, and its length is exact.
//! - A request that changes something is never sent twice without asking; a lost answer is
//!   [`RemoteErrorKind::Ambiguous`].
//! - The token goes to the configured server only, and into no message, log or `Debug` output.
//!
//! Deliberately absent: keys, plaintext, paths, and any decision about what to do with an answer.

mod body;
mod client;
mod confirm;
mod error;
mod listing;
pub mod memory;
mod multipart;
mod remote;

pub use client::{HcfsRemote, LoginError, Token, TokenError};
pub use confirm::{confirm_upload, confirm_uploads};
pub use error::{RemoteError, RemoteErrorKind};
pub use hcfs_http::{BaseUrl, Client, ClientConfig, ConnectFailure, RateLimit};
pub use hcfs_wire::{
    BatchLimits, BrokenRow, ErrorCode, Health, Manifest, Rename, RenameFailure, RenameFiles, RenameReason, Renamed,
    SessionId, SessionOpen, SessionState, SessionStatus, StateTag as ListingTag, UploadSource, capability, rename_text,
    upload_text,
};
pub use listing::{Listing, list_all};
pub use remote::{
    BatchBlob, BatchUpload, BodyStream, ChangePage, Deleted, Download, Expected, Extensions, FileChange, FileRow,
    FolderChanges, FolderSummary, ListedFile, ListingPage, OpenedSession, Remote, RenameOutcome, Rows, Uploaded,
    WantedBlob,
};
