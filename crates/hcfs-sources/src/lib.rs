//! Files brought from other download services: pull sources.
//!
//! Purpose: [`open`] turns [`Settings`] into a [`Source`], which lists its items and fetches one into a [`Part`], a
//! staged file that the caller owns. What the file is called, where it lies and when it is fetched is the caller's.
//!
//! Invariants:
//! - A fetch writes to the part's file alone; nothing of what came is right before [`Fetched::Done`].
//! - Everything a later run needs to go on is in [`Resume`], a value the caller stores. A record that does not fit the
//!   file is found out, and the fetch begins anew.
//! - A name is one safe component of a path, whatever a service sends.
//! - A credential goes to the origin it is configured for and nowhere else, and into no message.
//! - Memory is bounded, whatever the size of a file, an answer or a listing.
//!
//! Deliberately absent: schedules, storage of what was brought, keys, and the names of the folder's files.

mod answer;
mod cid;
mod credential;
mod download_task;
mod error;
mod item;
mod kind;
mod name;
mod open;
mod part;
#[doc(hidden)]
pub mod raw;
mod resume;
mod settings;
mod signed_url;
mod source;
mod stage;
mod storage_file;
mod url;
mod validators;

pub use credential::{Credential, CredentialError};
pub use error::SourceError;
pub use hcfs_http::{BaseUrl, Client, ClientConfig, HttpError, RateLimit, RetryPolicy, Url, UrlError};
pub use kind::{Kind, UnknownKind};
pub use name::{distinct, safe_name};
pub use open::open;
pub use part::Part;
pub use resume::Resume;
pub use settings::{
    CidSettings, DownloadTaskSettings, Items, Settings, SignedUrlSettings, StorageFileSettings, Tempo, UrlSettings,
    Verify,
};
pub use source::{Brought, ContentHash, Fetched, Item, Job, Progress, Source, Stage, Unwatched, Verified, Watcher};
pub use validators::Validators;

/// Stops a fetch; see [`Job::cancel`].
pub use tokio_util::sync::CancellationToken;
