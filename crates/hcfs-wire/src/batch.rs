//! Many small files in one request: the framing of a batch, and the results of its entries (`EXTENSIONS.md`).
//!
//! ```text
//! batch   "HCFB" 0x01 | count u32 LE | count entries
//! entry   head_len u32 LE | head (JSON) | body_len u32 LE | body
//! ```
//!
//! An upload's heads are manifests and its bodies blobs; a download's heads are [`EntryAnswer`]s. [`BatchReader`] takes
//! bytes as they come and never keeps more than one entry and what was pushed last.

use std::ops::Range;

use hcfs_model::{AccountAddress, FileId, FolderHash, Revision, RevisionId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{Envelope, Failure, encoding, limits, read_answer};

/// The `Content-Type` of a batch.
pub const BATCH_TYPE: &str = "application/vnd.hcfs.batch";
/// What a batch begins with: its name and its version.
const MAGIC: [u8; 5] = *b"HCFB\x01";
/// Bytes before the first entry.
const START: usize = MAGIC.len() + 4;
/// Bytes of a length.
const LENGTH: usize = 4;

/// How much one batch may hold, as a server announces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchLimits {
    /// Entries at most.
    pub max_entries: u32,
    /// Bytes of the whole batch at most, framing included; for a download, of its answer.
    pub max_bytes: u64,
    /// Bytes of one blob at most.
    pub max_blob: u64,
}

impl BatchLimits {
    /// What this implementation announces, and takes for announced where a server names no numbers.
    pub const USUAL: Self = Self {
        max_entries: limits::MAX_BATCH_ENTRIES,
        max_bytes: limits::MAX_BATCH_BYTES,
        max_blob: limits::MAX_BATCH_BLOB,
    };

    /// These limits, none of them above what this implementation works with.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self {
            max_entries: self.max_entries.min(Self::USUAL.max_entries),
            max_bytes: self.max_bytes.min(Self::USUAL.max_bytes),
            max_blob: self.max_blob.min(Self::USUAL.max_blob),
        }
    }
}

/// Why bytes are not a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Other first bytes.
    #[error("the batch does not begin as one")]
    Magic,
    /// More entries than are taken.
    #[error("the batch has {count} entries, and at most {limit} are taken")]
    Count {
        /// How many it says to have.
        count: u32,
        /// The bound.
        limit: u32,
    },
    /// A head that is too long.
    #[error("the head of entry {index} has {length} bytes, and at most {limit} are taken")]
    Head {
        /// Which entry, from 0.
        index: u32,
        /// Its length in bytes.
        length: u32,
        /// The bound in bytes.
        limit: usize,
    },
    /// A body that is too long.
    #[error("the body of entry {index} has {length} bytes, and at most {limit} are taken")]
    Body {
        /// Which entry, from 0.
        index: u32,
        /// Its length in bytes.
        length: u32,
        /// The bound in bytes.
        limit: u64,
    },
    /// The bytes ended before the last entry did.
    #[error("the batch ends before its last entry")]
    Truncated,
    /// Bytes after the last entry.
    #[error("bytes follow the last entry of the batch")]
    Trailing,
}

/// The bytes a batch of `count` entries begins with.
#[must_use]
pub fn batch_start(count: u32) -> Vec<u8> {
    [&MAGIC[..], &count.to_le_bytes()].concat()
}

/// The bytes of an entry before its body; `None` when a length does not fit.
#[must_use]
pub fn batch_entry(head: &[u8], body_len: usize) -> Option<Vec<u8>> {
    let head_len = u32::try_from(head.len()).ok()?;
    let body_len = u32::try_from(body_len).ok()?;
    Some([&head_len.to_le_bytes()[..], head, &body_len.to_le_bytes()].concat())
}

/// How many bytes an entry takes in a batch.
#[must_use]
pub fn batch_entry_len(head_len: usize, body_len: u64) -> u64 {
    (2 * LENGTH + head_len) as u64 + body_len
}

/// How many bytes a batch takes before its first entry.
pub const BATCH_START_LEN: u64 = START as u64;

/// One entry of a batch.
#[derive(Clone, PartialEq, Eq)]
pub struct BatchEntry {
    /// Its head: JSON, not read yet.
    pub head: Vec<u8>,
    /// Its body.
    pub body: Vec<u8>,
}

impl std::fmt::Debug for BatchEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchEntry")
            .field("head", &self.head.len())
            .field("body", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Reads a batch from bytes that come in any pieces.
#[derive(Debug)]
pub struct BatchReader {
    limits: BatchLimits,
    buffer: Vec<u8>,
    at: usize,
    count: Option<u32>,
    taken: u32,
}

impl BatchReader {
    /// A reader that takes entries and blobs up to `limits`. The whole length is for the caller to bound.
    #[must_use]
    pub fn new(limits: BatchLimits) -> Self {
        Self { limits, buffer: Vec::new(), at: 0, count: None, taken: 0 }
    }

    /// Adds bytes. To keep the memory bounded, [`BatchReader::take`] is called until it wants more before the next push.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.at);
        self.at = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// How many entries the batch says to have; `None` before that came.
    #[must_use]
    pub fn count(&self) -> Option<u32> {
        self.count
    }

    /// The next entry; `None` while its bytes are not all here, and after the last one.
    ///
    /// # Errors
    /// The bytes are no batch, or one beyond the limits. Then the reader is of no more use.
    pub fn take(&mut self) -> Result<Option<BatchEntry>, BatchError> {
        let count = match self.count {
            Some(count) => count,
            None => match self.start()? {
                Some(count) => count,
                None => return Ok(None),
            },
        };
        let index = self.taken;
        if index == count {
            return if self.at == self.buffer.len() { Ok(None) } else { Err(BatchError::Trailing) };
        }
        let Some(head_len) = self.length(self.at) else { return Ok(None) };
        let limit = limits::MAX_MANIFEST_BODY;
        if head_len as usize > limit {
            return Err(BatchError::Head { index, length: head_len, limit });
        }
        let head = self.at + LENGTH..self.at + LENGTH + head_len as usize;
        let Some(body_len) = self.length(head.end) else { return Ok(None) };
        let limit = self.limits.max_blob;
        if u64::from(body_len) > limit {
            return Err(BatchError::Body { index, length: body_len, limit });
        }
        let body = head.end + LENGTH..head.end + LENGTH + body_len as usize;
        let Some(bytes) = self.buffer.get(body.clone()) else { return Ok(None) };
        let entry = BatchEntry { head: self.piece(head), body: bytes.to_vec() };
        self.at = body.end;
        self.taken += 1;
        Ok(Some(entry))
    }

    /// Says that no more bytes come.
    ///
    /// # Errors
    /// Entries are missing.
    pub fn finish(&self) -> Result<(), BatchError> {
        if self.count == Some(self.taken) && self.at == self.buffer.len() { Ok(()) } else { Err(BatchError::Truncated) }
    }

    fn start(&mut self) -> Result<Option<u32>, BatchError> {
        let here = self.buffer.len().min(MAGIC.len());
        if self.buffer[..here] != MAGIC[..here] {
            return Err(BatchError::Magic);
        }
        let Some(count) = self.length(MAGIC.len()) else { return Ok(None) };
        let limit = self.limits.max_entries;
        if count > limit {
            return Err(BatchError::Count { count, limit });
        }
        self.count = Some(count);
        self.at = START;
        Ok(Some(count))
    }

    fn length(&self, at: usize) -> Option<u32> {
        let bytes = self.buffer.get(at..at + LENGTH)?;
        bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn piece(&self, place: Range<usize>) -> Vec<u8> {
        self.buffer.get(place).unwrap_or_default().to_vec()
    }
}

/// What became of one entry, as a server writes it: the status and the answer the same request alone would have had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryAnswer<T> {
    /// The file.
    #[serde(with = "encoding::hex_text")]
    pub file_id: FileId,
    /// The HTTP status.
    pub status: u16,
    /// The envelope.
    pub answer: Envelope<T>,
}

/// What became of one entry, as a client reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryOutcome<T> {
    /// The file.
    pub file_id: FileId,
    /// What the same request alone would have brought.
    pub outcome: Result<T, Failure>,
}

/// Only from JSON text: the answer is read once its status is known, wherever that stands.
impl<'de, T: DeserializeOwned> Deserialize<'de> for EntryOutcome<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(with = "encoding::hex_text")]
            file_id: FileId,
            status: u16,
            #[serde(borrow)]
            answer: &'a RawValue,
        }

        let Raw { file_id, status, answer } = Raw::deserialize(deserializer)?;
        Ok(Self { file_id, outcome: read_answer(status, answer.get().as_bytes(), limits::MAX_ERROR_BODY) })
    }
}

/// The answer to `POST /upload_batch`: one entry for each of the request, in its order. A writer uses
/// `EntryAnswer<UploadResult>` as `E`, a reader `EntryOutcome<UploadResult>`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "E: Deserialize<'de>"))]
pub struct BatchUploaded<E> {
    /// What became of the uploads.
    #[serde(deserialize_with = "encoding::list::<_, _, { limits::MAX_BATCH_ENTRIES as usize }>")]
    pub results: Vec<E>,
}

/// `POST /download_batch`. The answer is a batch with one entry for each file, in their order: an [`EntryAnswer`] of
/// [`BatchFile`], then the blob, or nothing where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchDownload {
    /// The account.
    #[serde(with = "encoding::address")]
    pub ss58_address: AccountAddress,
    /// The folder.
    #[serde(with = "encoding::folder")]
    pub folder_hash: FolderHash,
    /// Which files, at most [`limits::MAX_BATCH_ENTRIES`].
    #[serde(deserialize_with = "encoding::list::<_, _, { limits::BATCH_SLACK }>")]
    pub files: Vec<BatchWanted>,
    /// How many bytes from the start of each blob are wanted; `None` for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_bytes: Option<u64>,
}

/// One file of a batch download.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchWanted {
    /// Its id, in hexadecimal.
    #[serde(with = "encoding::hex_text")]
    pub file_id: FileId,
    /// The revision that is wanted, in hexadecimal: of another one no bytes are sent. `None` for whichever is current.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "encoding::hex_option")]
    pub revision_id: Option<RevisionId>,
}

/// What a batch download says of a file it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchFile {
    /// Plaintext bytes.
    pub size_bytes: u64,
    /// Sequence number of the revision that follows.
    pub revision_seq: u64,
    /// Id of the revision that follows, in hexadecimal.
    #[serde(with = "encoding::hex_text")]
    pub revision_id: RevisionId,
}

impl BatchFile {
    /// The revision that follows.
    #[must_use]
    pub fn revision(&self) -> Revision {
        Revision { seq: self.revision_seq, id: self.revision_id }
    }
}
