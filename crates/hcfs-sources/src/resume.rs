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
    /// The service's task, where there is one.
    pub(crate) task: Option<String>,
    /// How often in a row the service found the file locked.
    pub(crate) locked: u32,
}

impl Resume {
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
