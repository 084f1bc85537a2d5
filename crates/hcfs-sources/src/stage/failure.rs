//! What kept a body from arriving.

use hcfs_http::DownloadError;

use super::decode::{DecodeError, Decoder};
use crate::error::SourceError;

/// Why a body did not arrive, and what becomes of what did.
pub(super) enum Trouble {
    /// The bytes so far are good.
    Kept(SourceError),
    /// They are not, or it cannot be known.
    Spoiled(SourceError),
    /// The thread that writes has ended; it knows why.
    WriterGone,
}

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Self {
        Self::Kept(error)
    }
}

pub(super) fn of_download(error: DownloadError, item: &str) -> Trouble {
    let item = item.to_owned();
    let unsteady = |error: &DownloadError| SourceError::Unsteady { item: item.clone(), reason: error.to_string() };
    match error {
        DownloadError::Http(error) => Trouble::Kept(SourceError::Http(error)),
        DownloadError::TotalChanged { was, is } => {
            Trouble::Spoiled(SourceError::WrongSize { item, expected: was, got: is })
        }
        DownloadError::TooLong(end) => {
            Trouble::Spoiled(SourceError::WrongSize { item, expected: end, got: end.saturating_add(1) })
        }
        error => Trouble::Spoiled(unsteady(&error)),
    }
}

pub(super) fn of_decoder(error: DecodeError, decoder: &Decoder, item: &str) -> Trouble {
    let item = item.to_owned();
    Trouble::Spoiled(match error {
        DecodeError::Io(source) => return Trouble::Kept(SourceError::Part { item, source }),
        DecodeError::Tar(error) => SourceError::Archive { item, reason: error.to_string() },
        DecodeError::Json(error) => match decoder.json().and_then(|file| file.error()) {
            Some(message) => SourceError::WrongContent {
                item,
                expected: "a file in JSON",
                got: "an error".to_owned(),
                message: Some(message.to_owned()),
            },
            None => SourceError::Undecodable { item, reason: error.to_string() },
        },
    })
}
