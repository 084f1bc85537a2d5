//! Upload sessions: a blob sent in parts, in any order.

use std::fmt;

use hcfs_model::CiphertextHash;
use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};

use crate::{Manifest, ManifestError, encoding, limits};

/// The server's name for an upload session: up to 128 characters that need no escape in a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SessionId(Box<str>);

impl SessionId {
    /// The longest accepted name, in bytes.
    pub const MAX_BYTES: usize = 128;

    /// Checks a name; `None` when it is empty, too long, or would need an escape in a URL.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=Self::MAX_BYTES).contains(&text.len());
        // A name of dots alone would be a step up in a URL.
        let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'));
        (fits && plain && !text.bytes().all(|b| b == b'.')).then(|| Self(text.into()))
    }

    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = encoding::text::<D, { Self::MAX_BYTES }>(deserializer)?;
        Self::new(&text).ok_or_else(|| de::Error::custom("the session's name cannot stand in a URL"))
    }
}

/// `POST /upload/session`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpen {
    /// The upload's manifest.
    pub manifest: Manifest,
    /// How many parts there will be.
    pub chunk_count: u32,
    /// Bytes of every part but the last.
    pub chunk_size: u64,
    /// Bytes of the blob.
    pub ciphertext_size: u64,
}

/// Why a session's layout was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Parts of no bytes, or of more than 16 MiB.
    #[error("chunk_size is not between 1 byte and 16 MiB")]
    ChunkSize,
    /// A count that does not follow from the two sizes, or is above [`limits::MAX_SESSION_CHUNKS`].
    #[error("chunk_count does not follow from chunk_size and ciphertext_size")]
    ChunkCount,
    /// The manifest, or the length it gives the blob.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

impl SessionOpen {
    /// Cuts a manifest's blob into parts of `chunk_size` bytes; `None` when that makes more parts than a session may
    /// have.
    #[must_use]
    pub fn cut(manifest: Manifest, chunk_size: u64) -> Option<Self> {
        let ciphertext_size = manifest.blob_len();
        let open = Self {
            chunk_count: u32::try_from(ciphertext_size.div_ceil(chunk_size.max(1))).ok()?,
            chunk_size,
            ciphertext_size,
            manifest,
        };
        open.check().is_ok().then_some(open)
    }

    /// Checks the layout and the manifest.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), LayoutError> {
        if !(1..=limits::MAX_SESSION_CHUNK).contains(&self.chunk_size) {
            return Err(LayoutError::ChunkSize);
        }
        self.manifest.check()?;
        self.manifest.check_blob_len(self.ciphertext_size)?;
        let count = self.ciphertext_size.div_ceil(self.chunk_size);
        if u64::from(self.chunk_count) != count || self.chunk_count > limits::MAX_SESSION_CHUNKS {
            return Err(LayoutError::ChunkCount);
        }
        Ok(())
    }

    /// The bytes of the blob that part `index` holds; `None` for a part that does not exist.
    #[must_use]
    pub fn part(&self, index: u32) -> Option<std::ops::Range<u64>> {
        if index >= self.chunk_count {
            return None;
        }
        let start = u64::from(index).checked_mul(self.chunk_size)?;
        let end = start.checked_add(self.chunk_size)?.min(self.ciphertext_size);
        (start < end).then_some(start..end)
    }
}

/// The answer to `POST /upload/session`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpened {
    /// The session's name.
    pub session_id: SessionId,
    /// When an idle session is dropped, in seconds since 1970.
    #[serde(default)]
    pub expires_at: i64,
}

/// The answer to `PUT /upload/session/{id}/chunk/{index}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkStored {
    /// Which part was stored.
    pub chunk_index: u32,
}

/// How far a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// Parts may be sent.
    Receiving,
    /// Its file is stored.
    Finalized,
    /// A state this version does not know.
    #[serde(other)]
    Unknown,
}

/// The answer to `GET /upload/session/{id}/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionStatus {
    /// The session's name.
    pub session_id: SessionId,
    /// How far it is.
    pub state: SessionState,
    /// How many parts it has.
    pub total_chunks: u32,
    /// Which parts have arrived.
    #[serde(deserialize_with = "encoding::list::<_, _, { limits::MAX_SESSION_CHUNKS as usize }>")]
    pub chunks_received: Vec<u32>,
    /// When an idle session is dropped, in seconds since 1970.
    #[serde(default)]
    pub expires_at: i64,
    /// The manifest's ciphertext hash.
    #[serde(with = "encoding::hex_text")]
    pub ciphertext_hash: CiphertextHash,
}

/// The answer to `DELETE /upload/session/{id}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionDeleted {
    /// Whether the session is gone.
    pub deleted: bool,
}
