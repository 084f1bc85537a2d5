//! A relative path as a blob: the `encrypted_path` of a manifest and of a listing (protocol §5).

use hcfs_model::{FileId, PathError, RelPath, blob};

use crate::blob::{open_blob, seal_blob};
use crate::frame::{BaseNonce, FrameError};
use crate::phrase::EncryptionKey;

/// Why a listed path cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathSealError {
    /// The blob does not open.
    #[error("the encrypted path does not open")]
    Frame(#[from] FrameError),
    /// The blob is longer than one frame: a file's blob in the place of a path's.
    #[error("the encrypted path has {bytes} bytes, more than one frame")]
    NotOneFrame {
        /// Length of the blob, in bytes.
        bytes: usize,
    },
    /// The bytes are not a relative path.
    #[error("the encrypted path is not a relative path")]
    Path(#[from] PathError),
    /// The path of another file.
    #[error("the encrypted path belongs to another file")]
    OtherFile,
}

/// The blob of a path.
///
/// # Errors
/// None that a valid path can cause.
pub fn seal_path(key: &EncryptionKey, nonce: BaseNonce, path: &RelPath) -> Result<Vec<u8>, FrameError> {
    seal_blob(key, nonce, path.as_str().as_bytes())
}

/// The path in a blob, which must be the one that `id` is the hash of.
///
/// The id is the hash of the bytes as they were sealed, which need not be NFC; the path returned is.
///
/// # Errors
/// A blob that does not open or has more than one frame, bytes that are not a relative path, or another file's path.
pub fn open_path(key: &EncryptionKey, sealed: &[u8], id: &FileId) -> Result<RelPath, PathSealError> {
    if sealed.len() as u64 > blob::blob_len(blob::CHUNK) {
        return Err(PathSealError::NotOneFrame { bytes: sealed.len() });
    }
    let bytes = open_blob(key, sealed, None)?;
    if blake3::hash(&bytes) != id.0 {
        return Err(PathSealError::OtherFile);
    }
    Ok(RelPath::from_bytes(&bytes)?)
}

#[cfg(test)]
mod tests;
