//! The kinds of sources.

use std::fmt;
use std::str::FromStr;

/// Which service a source speaks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A decentralised storage: files named by their content.
    Cid,
    /// A service of customer documents: files named by an id.
    StorageFile,
    /// An organisation's files, behind links that are signed for an hour.
    SignedUrl,
    /// A media downloader: a task is started, waited for and fetched.
    DownloadTask,
    /// Any address.
    Url,
}

/// The text names no kind of source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no kind of source called \"{0}\"")]
pub struct UnknownKind(String);

impl Kind {
    /// All kinds, in the order of their texts' introduction.
    pub const ALL: [Self; 5] = [Self::Cid, Self::StorageFile, Self::SignedUrl, Self::DownloadTask, Self::Url];

    /// The stable text, as in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cid => "cid",
            Self::StorageFile => "storage_file",
            Self::SignedUrl => "signed_url",
            Self::DownloadTask => "download_task",
            Self::Url => "url",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| UnknownKind(text.to_owned()))
    }
}
