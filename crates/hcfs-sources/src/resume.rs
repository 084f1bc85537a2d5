//! Where a fetch stopped.

use serde::{Deserialize, Serialize};

use crate::source::ContentHash;
use crate::validators::Validators;

/// Where a fetch stopped: what a later run needs to go on with the same part. A small value the caller stores, as
/// [text](Self::to_text) of some hundred bytes. It holds no secret. The default is the beginning.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resume {
    /// Bytes at the start of the part's file that count.
    pub(crate) len: u64,
    /// The BLAKE3 of those bytes: a file that lost some of them is found out.
    pub(crate) prefix: Option<ContentHash>,
    /// The version those bytes are of.
    pub(crate) validators: Validators,
    /// Whether its `Last-Modified` tells versions apart.
    pub(crate) settled: bool,
    /// The length of the body they come from.
    pub(crate) total: Option<u64>,
    /// The archive they lie in, if they do.
    pub(crate) packing: Option<Packing>,
    /// The name they were given.
    pub(crate) name: Option<String>,
    /// The service's task, where there is one.
    pub(crate) task: Option<String>,
    /// How often in a row the service found the file locked.
    pub(crate) locked: u32,
}

/// A file in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Packing {
    pub(crate) name: String,
    pub(crate) size: u64,
    /// Where its content begins in the archive.
    pub(crate) offset: u64,
}

impl Resume {
    /// Leaves what belongs to the service, and begins the content anew.
    pub(crate) fn forget_content(&mut self) {
        *self = Self { task: self.task.take(), locked: self.locked, ..Self::default() };
    }

    /// Bytes that are there already.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// The record as one line of text.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Never fails: there are no maps with other keys than text.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The record of a text; the beginning if the text is none.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}
