//! One file, brought now, by whoever asks: without a folder, a ledger or a daemon.

use std::fs::File;
use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use hcfs_api::{ApiError, ErrorCode, SourceSpec};
use hcfs_engine::{Clock as _, SystemClock};
use hcfs_sources::{
    Client, ClientConfig, Fetched, Item, Items, Job, Part, Progress, RateLimit, Resume, Verified, Watcher,
};
use tokio_util::sync::CancellationToken;

use super::reason::Reason;
use super::service;
use crate::config::{Environment, Service, read_spec};
use crate::error::DaemonError;

/// A file that was brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneFile {
    /// The name its service gives it: one safe component of a path.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The BLAKE3 of its content, in hexadecimal.
    pub hash: String,
    /// Whether the content was checked against its id.
    pub verified: bool,
}

struct Told<'p>(&'p (dyn Fn(u64, Option<u64>) + Send + Sync));

#[async_trait]
impl Watcher for Told<'_> {
    fn progress(&self, progress: Progress) {
        (self.0)(progress.bytes, progress.total);
    }

    async fn keep(&self, _resume: &Resume) -> io::Result<()> {
        Ok(())
    }
}

/// Brings the one item of `spec` into `file`, which is empty and open to read and write; tells how many bytes are there,
/// and of how many. `download` is a limit in bytes a second, 0 for none. The file is not synced.
///
/// # Errors
/// The spec is none or names not exactly one item, the credential is not to be had, or the service's. The file's content
/// is then of no use.
pub async fn fetch_one(
    spec: &SourceSpec,
    env: &Environment,
    file: File,
    download: u64,
    progress: &(dyn Fn(u64, Option<u64>) + Send + Sync),
) -> Result<OneFile, DaemonError> {
    let told = |reason: Reason| DaemonError::Told(reason.to_api());
    let spec = read_spec(spec)?;
    let item = Item::new(only_item(&spec)?);
    let limits = ClientConfig { download: RateLimit::new(download), ..ClientConfig::default() };
    let client = Client::new(limits).map_err(|error| told(hcfs_sources::SourceError::from(error).into()))?;
    let source = service::open(&spec, &Arc::clone(env), client).await.map_err(told)?;
    let mut part = Part::new(file);
    let watcher = Told(progress);
    let cancel = CancellationToken::new();
    let job = Job { known: None, part: &mut part, watcher: &watcher, cancel, now: SystemClock.now() };
    match source.fetch(&item, job).await.map_err(|error| told(error.into()))? {
        Fetched::Done(done) => {
            if let Err(error) = source.finish(&item, &part.resume).await {
                tracing::info!(code = error.code(), "the service could not be told that the file is safe");
            }
            let verified = done.verified == Verified::Yes;
            Ok(OneFile { name: done.name, size: done.size, hash: done.hash.to_string(), verified })
        }
        Fetched::NotModified => Err(ApiError::new(ErrorCode::Damaged, "the service sent nothing", "try again").into()),
    }
}

fn only_item(service: &Service) -> Result<&str, ApiError> {
    let items: &[String] = match service {
        Service::Cid { items, .. }
        | Service::SignedUrl { items, .. }
        | Service::DownloadTask { items, .. }
        | Service::Url { items }
        | Service::StorageFile { items: Items::These(items), .. } => items,
        Service::StorageFile { items: Items::All, .. } => &[],
    };
    match items {
        [only] => Ok(only),
        _ => Err(ApiError::new(ErrorCode::BadRequest, "one file is fetched at a time", "name exactly one item")),
    }
}
