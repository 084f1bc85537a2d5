//! From settings to a source.

use std::sync::Arc;

use hcfs_http::Client;

use crate::cid::CidSource;
use crate::download_task::DownloadTaskSource;
use crate::error::SourceError;
use crate::settings::{Settings, Tempo};
use crate::signed_url::SignedUrlSource;
use crate::source::Source;
use crate::storage_file::StorageFileSource;
use crate::url::UrlSource;

/// A source of `settings`; nothing is sent yet.
///
/// # Errors
/// [`SourceError::BadItem`] or [`SourceError::Address`] if an item cannot be one of this kind.
pub fn open(settings: Settings, client: Client, tempo: Tempo) -> Result<Arc<dyn Source>, SourceError> {
    Ok(match settings {
        Settings::Cid(settings) => Arc::new(CidSource::open(settings, client, tempo)?),
        Settings::StorageFile(settings) => Arc::new(StorageFileSource::open(settings, client, tempo)?),
        Settings::SignedUrl(settings) => Arc::new(SignedUrlSource::open(settings, client, tempo)?),
        Settings::DownloadTask(settings) => Arc::new(DownloadTaskSource::open(settings, client, tempo)?),
        Settings::Url(settings) => Arc::new(UrlSource::open(&settings, client, tempo)?),
    })
}
