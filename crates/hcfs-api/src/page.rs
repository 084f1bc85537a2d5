//! The page on loopback, and the limits it and the command line change.

use serde::{Deserialize, Serialize};

use crate::UnixMillis;

/// The answer of `POST /v1/page`: a way into the page that works once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageLink {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// What a browser opens. Whoever opens it first is let in, so it goes into no log and no argument.
    pub url: String,
    /// When it stops working.
    pub expires_at: UnixMillis,
}

impl std::fmt::Debug for PageLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PageLink").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// `GET` and `POST /v1/limits`: what the daemon may use. A change is written to the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// [`crate::SCHEMA`].
    pub schema: u32,
    /// Bytes a second to the server; 0 for no limit.
    pub upload: u64,
    /// Bytes a second from the server and from services; 0 for no limit.
    pub download: u64,
    /// Files in flight at once, in each folder: 1 to [`Limits::TRANSFERS_MAX`].
    pub transfers: u64,
}

impl Limits {
    /// Files in flight at once, at most.
    pub const TRANSFERS_MAX: u64 = 64;
}
