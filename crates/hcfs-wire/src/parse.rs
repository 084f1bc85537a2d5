//! Reading JSON whose sender is not trusted.

use serde::Deserialize;

use crate::encoding;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// More bytes than the endpoint's bodies may have.
    #[error("the body has {length} bytes, and at most {limit} are read")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The bound in bytes.
        limit: usize,
    },
    /// Not JSON, or JSON of another shape.
    #[error("the body is not the expected JSON: {reason}")]
    Shape {
        /// Which rule was broken, and where.
        reason: String,
    },
}

/// Reads one JSON value from a body of at most `limit` bytes; unknown fields are ignored, trailing bytes are not.
///
/// # Errors
/// A body that is too long, is no JSON, or has another shape.
pub fn parse_json<'a, T: Deserialize<'a>>(body: &'a [u8], limit: usize) -> Result<T, ParseError> {
    if body.len() > limit {
        return Err(ParseError::TooLong { length: body.len(), limit });
    }
    serde_json::from_slice(body).map_err(|error| ParseError::Shape { reason: reason(&error) })
}

/// A parser's message, cut: it may quote what it met.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    encoding::printable(&error.to_string(), 160)
}
