//! What a source is made of.

use std::time::Duration;

use hcfs_http::{BaseUrl, RetryPolicy};

use crate::credential::Credential;
use crate::kind::Kind;

/// How content is held against its CID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// What cannot be verified is refused.
    Required,
    /// What can be verified is; the rest is marked.
    #[default]
    WhenPossible,
    /// Nothing is.
    Off,
}

/// What to bring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Items {
    /// All that the service lists.
    All,
    /// These, by their ids.
    These(Vec<String>),
}

/// A decentralised storage: `POST {base}/api/v1/get?arg={CID}` with a bearer token.
#[derive(Clone)]
pub struct CidSettings {
    /// The service.
    pub base: BaseUrl,
    /// The token.
    pub credential: Credential,
    /// The CIDs.
    pub items: Vec<String>,
    /// Whether content is verified.
    pub verify: Verify,
}

/// A service of customer documents: `GET {base}/v2/storage/file/{id}`, the credential as it is in `Authorization`.
#[derive(Clone)]
pub struct StorageFileSettings {
    /// The service.
    pub base: BaseUrl,
    /// The value of `Authorization`.
    pub credential: Credential,
    /// The customer the files belong to.
    pub customer_id: Option<String>,
    /// The files.
    pub items: Items,
    /// `Accept` of the requests, `*/*` if absent; `application/json` makes the service send base64 in JSON.
    pub accept: Option<String>,
}

/// An organisation's files: a link is asked for with `X-API-Key`, and fetched without.
#[derive(Clone)]
pub struct SignedUrlSettings {
    /// The service.
    pub base: BaseUrl,
    /// The value of `X-API-Key`.
    pub credential: Credential,
    /// The organisation.
    pub organization: String,
    /// The ids of the files.
    pub items: Vec<String>,
}

/// A media downloader: `POST {base}/api/download`, wait, `GET {base}/api/download/{id}/file`.
#[derive(Clone)]
pub struct DownloadTaskSettings {
    /// The service.
    pub base: BaseUrl,
    /// The addresses of the media.
    pub items: Vec<String>,
    /// The quality to ask for, such as `720p`; the service's own choice if absent.
    pub quality: Option<String>,
    /// The longest wait for a task, counted anew by each run.
    pub deadline: Duration,
    /// Whether the task is removed from the service when the file is safe.
    pub cleanup: bool,
}

/// Any addresses; https, or http to this machine.
#[derive(Clone)]
pub struct UrlSettings {
    /// The addresses.
    pub items: Vec<String>,
}

/// The settings of a source.
#[derive(Clone)]
pub enum Settings {
    /// See [`CidSettings`].
    Cid(CidSettings),
    /// See [`StorageFileSettings`].
    StorageFile(StorageFileSettings),
    /// See [`SignedUrlSettings`].
    SignedUrl(SignedUrlSettings),
    /// See [`DownloadTaskSettings`].
    DownloadTask(DownloadTaskSettings),
    /// See [`UrlSettings`].
    Url(UrlSettings),
}

impl Settings {
    /// The kind of source they make.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Cid(_) => Kind::Cid,
            Self::StorageFile(_) => Kind::StorageFile,
            Self::SignedUrl(_) => Kind::SignedUrl,
            Self::DownloadTask(_) => Kind::DownloadTask,
            Self::Url(_) => Kind::Url,
        }
    }
}

/// How patient a source is.
#[derive(Debug, Clone, Copy)]
pub struct Tempo {
    /// Retries of one request, and of legs that bring nothing new.
    pub retry: RetryPolicy,
    /// The first wait between two looks at a task.
    pub poll: Duration,
    /// The longest one; it grows to this while nothing moves.
    pub poll_longest: Duration,
    /// The least time between two records [kept](crate::Watcher::keep).
    pub keep: Duration,
}

impl Default for Tempo {
    fn default() -> Self {
        Self {
            retry: RetryPolicy::default(),
            poll: Duration::from_secs(1),
            poll_longest: Duration::from_secs(30),
            keep: Duration::from_secs(2),
        }
    }
}
