//! From settings to a source.

use std::sync::Arc;

use hcfs_http::Client;

use crate::cid::CidSource;
use crate::error::SourceError;
use crate::settings::{Settings, Tempo};
use crate::source::Source;
use crate::unopened::Unopened;

/// A source of `settings`; nothing is sent yet.
///
/// # Errors
/// [`SourceError::BadItem`] or [`SourceError::Address`] if an item cannot be one of this kind.
pub fn open(settings: Settings, client: Client, tempo: Tempo) -> Result<Arc<dyn Source>, SourceError> {
    Ok(match settings {
        Settings::Cid(settings) => Arc::new(CidSource::open(settings, client, tempo)?),
        other => Arc::new(Unopened(other.kind())),
    })
}
