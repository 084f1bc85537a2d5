//! What tells one version of a file from another.

use serde::{Deserialize, Serialize};

/// What a service said of a file's version. All of it is optional, since each service gives another part.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Validators {
    /// The `ETag` as sent, quotes and weakness mark included.
    pub etag: Option<String>,
    /// The `Last-Modified` as sent.
    pub last_modified: Option<String>,
    /// The size in bytes.
    pub size: Option<u64>,
    /// The listing's own mark of the version.
    pub changed: Option<String>,
}
