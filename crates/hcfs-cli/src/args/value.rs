//! Values of options that have a form of their own.

use std::fmt;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use hcfs_api::{FolderMode, Resolution};
use hcfs_model::{FolderLabel, RelPath};

/// A year: far beyond any wait, and far from what a clock cannot count.
const TIMEOUT_MAX: u64 = 365 * 24 * 3600;

/// A part of a file's plaintext, in bytes from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteRange {
    /// `A-B`: both included.
    Between(u64, u64),
    /// `A-`: to the end.
    From(u64),
    /// `-N`: the last N.
    Last(u64),
}

impl ByteRange {
    /// Reads `A-B`, `A-` or `-N`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "give A-B (both included), A- (to the end) or -N (the last N bytes)".to_owned();
        let (first, last) = text.split_once('-').ok_or_else(wrong)?;
        let number = |text: &str| {
            // `parse` would take a plus sign.
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<u64>().ok().filter(|_| digits).ok_or_else(wrong)
        };
        match (first, last) {
            ("", last) => match number(last)? {
                0 => Err("the last 0 bytes are nothing".to_owned()),
                count => Ok(Self::Last(count)),
            },
            (first, "") => Ok(Self::From(number(first)?)),
            (first, last) => match (number(first)?, number(last)?) {
                (first, last) if first <= last => Ok(Self::Between(first, last)),
                _ => Err("the range ends before it starts".to_owned()),
            },
        }
    }
}

/// The value of a `Range` header.
impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Between(first, last) => write!(f, "bytes={first}-{last}"),
            Self::From(first) => write!(f, "bytes={first}-"),
            Self::Last(count) => write!(f, "bytes=-{count}"),
        }
    }
}

/// A folder's label.
pub(super) fn label(text: &str) -> Result<FolderLabel, hcfs_model::LabelError> {
    FolderLabel::new(text)
}

/// A file in a folder.
pub(super) fn remote_path(text: &str) -> Result<RelPath, hcfs_model::PathError> {
    RelPath::new(text)
}

/// A directory in a folder: shells complete directories with a slash behind them.
pub(super) fn remote_directory(text: &str) -> Result<RelPath, hcfs_model::PathError> {
    RelPath::new(text.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(text))
}

/// Seconds to wait at most.
pub(super) fn seconds() -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(..=TIMEOUT_MAX)
}

/// Which directions changes take, in the words of the socket.
pub(super) fn mode() -> impl TypedValueParser<Value = FolderMode> {
    PossibleValuesParser::new(["sync", "send-only", "receive-only"])
        .try_map(|text| serde_json::from_value::<FolderMode>(text.into()))
}

/// What becomes of a conflict, in the words of the socket.
pub(super) fn resolution() -> impl TypedValueParser<Value = Resolution> {
    PossibleValuesParser::new(["keep-local", "accept-remote", "keep-both", "skip"])
        .try_map(|text| serde_json::from_value::<Resolution>(text.into()))
}
