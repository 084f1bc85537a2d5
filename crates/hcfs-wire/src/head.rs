//! The headers of a download, and of a part of one.

use std::fmt;

use hcfs_model::{FileId, FolderHash, Revision, RevisionId, blob};

use crate::header;

/// Why the headers of a download were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A header the protocol requires is missing.
    #[error("the download has no {0} header")]
    Missing(&'static str),
    /// A header that cannot be read, or holds an impossible value.
    #[error("the download's {0} header cannot be read")]
    Malformed(&'static str),
}

/// What the headers of a download say of the file (protocol §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadHead {
    /// Plaintext length in bytes.
    pub size: u64,
    /// Which revision the body is.
    pub revision: Revision,
    /// The file's id, echoed.
    pub file_id: Option<FileId>,
    /// The folder, echoed; `None` also for a gateway file.
    pub folder: Option<FolderHash>,
    /// Bytes of the body; may be unknown.
    pub content_length: Option<u64>,
    /// Which bytes of the blob the body holds, when it is a part.
    pub content_range: Option<ContentRange>,
}

impl DownloadHead {
    /// Reads the headers of a download through a function that gives a header's value.
    ///
    /// # Errors
    /// A required header is missing, or one cannot be read.
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self, HeadError> {
        let required = |name| get(name).ok_or(HeadError::Missing(name));
        let size: u64 = number(header::SIZE_BYTES, required(header::SIZE_BYTES)?)?;
        if size > blob::MAX_PLAINTEXT {
            return Err(HeadError::Malformed(header::SIZE_BYTES));
        }
        let id = RevisionId::from_hex(required(header::REVISION_ID)?.trim())
            .map_err(|_| HeadError::Malformed(header::REVISION_ID))?;
        let seq = number(header::REVISION_SEQ, required(header::REVISION_SEQ)?)?;
        let file_id = get(header::FILE_ID)
            .map(|text| FileId::from_hex(text.trim()).map_err(|_| HeadError::Malformed(header::FILE_ID)))
            .transpose()?;
        let folder = get(header::FOLDER_HASH)
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(|text| FolderHash::from_hex(text).map_err(|_| HeadError::Malformed(header::FOLDER_HASH)))
            .transpose()?;
        let content_length = get("content-length").map(|text| number("content-length", text)).transpose()?;
        let content_range = get("content-range")
            .map(|text| ContentRange::parse(text).ok_or(HeadError::Malformed("content-range")))
            .transpose()?;
        Ok(Self { size, revision: Revision { seq, id }, file_id, folder, content_length, content_range })
    }
}

fn number(name: &'static str, text: &str) -> Result<u64, HeadError> {
    digits(text.trim()).ok_or(HeadError::Malformed(name))
}

/// Digits alone: `parse` would take a sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The value of a `Content-Range` header: which bytes of the blob a body holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// The first byte.
    pub first: u64,
    /// The last byte, itself included.
    pub last: u64,
    /// Bytes of the whole blob, where known.
    pub total: Option<u64>,
}

impl ContentRange {
    /// Reads `bytes a-b/c` or `bytes a-b/*`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (digits(first.trim())?, digits(last.trim())?);
        let total = if total.trim() == "*" { None } else { Some(digits(total.trim())?) };
        (first <= last && total.is_none_or(|total| last < total)).then_some(Self { first, last, total })
    }

    /// How many bytes it holds.
    #[must_use]
    pub fn length(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

impl fmt::Display for ContentRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes {}-{}/", self.first, self.last)?;
        match self.total {
            Some(total) => write!(f, "{total}"),
            None => f.write_str("*"),
        }
    }
}

/// The value of a `Range` header of the two forms the protocol knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeRequest {
    /// `bytes=a-`: everything from a byte on.
    From(u64),
    /// `bytes=a-b`: a byte to another, both included.
    Between(u64, u64),
}

impl RangeRequest {
    /// Reads a `Range` header; `None` for other units, several ranges, suffixes, and ranges that run backwards, which
    /// a server answers with the whole body.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
        let first = digits(first.trim()).filter(|_| !first.trim().is_empty())?;
        if last.trim().is_empty() {
            return Some(Self::From(first));
        }
        let last = digits(last.trim())?;
        (first <= last).then_some(Self::Between(first, last))
    }

    /// The bytes of a blob of `length` bytes that are asked for; `None` when there are none (416).
    #[must_use]
    pub fn within(self, length: u64) -> Option<std::ops::Range<u64>> {
        let (first, end) = match self {
            Self::From(first) => (first, length),
            Self::Between(first, last) => (first, last.saturating_add(1).min(length)),
        };
        (first < end).then_some(first..end)
    }
}

impl fmt::Display for RangeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::From(first) => write!(f, "bytes={first}-"),
            Self::Between(first, last) => write!(f, "bytes={first}-{last}"),
        }
    }
}
