//! From settings to a source.

use std::sync::Arc;

use hcfs_http::Client;

use crate::error::SourceError;
use crate::settings::{Settings, Tempo};
use crate::source::Source;
use crate::unopened::Unopened;

/// A source of `settings`; nothing is sent yet.
///
/// # Errors
/// [`SourceError::BadItem`] or [`SourceError::Address`] if an item cannot be one of this kind.
pub fn open(settings: Settings, client: Client, tempo: Tempo) -> Result<Arc<dyn Source>, SourceError> {
    let (_, _) = (client, tempo);
    let kind = settings.kind();
    drop(settings);
    Ok(Arc::new(Unopened(kind)))
}
