//! Why a download ended early.

use crate::body::Response;
use crate::error::HttpError;
use crate::range::RangeError;

/// Why a download ended early.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The requests in a row that brought nothing new are used up, or an error will not pass.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The server answered with another status; its body is still to be read.
    #[error("the server answered {}", .0.status)]
    Status(Box<Response>),
    /// The server sent another range than the one asked for.
    #[error("the server sent another range than bytes {from}-{}", Shown(*.to))]
    WrongRange {
        /// The first byte asked for.
        from: u64,
        /// The end asked for, exclusive.
        to: Option<u64>,
        /// What is wrong with `Content-Range`, where it cannot be read.
        #[source]
        source: Option<RangeError>,
    },
    /// The whole has another length than before.
    #[error("the length of the body was {was} bytes and is {is} now")]
    TotalChanged {
        /// As known before.
        was: u64,
        /// As answered now.
        is: u64,
    },
    /// The server ignored the range, and the download may not begin anew.
    #[error("the server does not serve ranges")]
    RangeIgnored,
    /// More bytes came than were announced.
    #[error("the body is longer than the {0} bytes announced")]
    TooLong(u64),
    /// The body has changed since its first bytes were given, and the download may not begin anew.
    #[error("the body has changed meanwhile")]
    Changed,
    /// The body is encoded although that was not asked for; its bytes are not those of the file.
    #[error("the body is encoded as {0:?}")]
    Encoded(String),
}

struct Shown(Option<u64>);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.map_or(Ok(()), |to| write!(f, "{}", to.saturating_sub(1)))
    }
}
