//! The headers of a ranged answer.

use http::HeaderMap;
use http::header::CONTENT_RANGE;

/// Why a `Content-Range` cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// There is none, or more than one.
    #[error("the answer has no Content-Range")]
    Missing,
    /// It is not of the form `bytes a-b/total` or `bytes */total`.
    #[error("the answer's Content-Range is malformed")]
    Malformed,
}

/// A `Content-Range` in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    /// First and last byte, both included; none in `bytes */total`.
    pub range: Option<(u64, u64)>,
    /// The length of the whole; none if the server does not know it.
    pub total: Option<u64>,
}

impl ContentRange {
    /// Reads the header of an answer.
    ///
    /// # Errors
    /// It is missing, doubled, malformed, or contradicts itself.
    pub fn of(headers: &HeaderMap) -> Result<Self, RangeError> {
        let mut values = headers.get_all(CONTENT_RANGE).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(RangeError::Missing) };
        value.to_str().ok().and_then(Self::parse).ok_or(RangeError::Malformed)
    }

    fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix("bytes ")?;
        let (range, total) = rest.split_once('/')?;
        let total = if total == "*" { None } else { Some(number(total)?) };
        if range == "*" {
            return total.map(|_| Self { range: None, total });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let sound = first <= last && total.is_none_or(|total| last < total);
        sound.then_some(Self { range: Some((first, last)), total })
    }
}

/// Digits alone: `u64::from_str` would take a sign.
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn well_formed_headers_are_read() {
        let read = |text| ContentRange::parse(text);
        assert_eq!(read("bytes 0-9/10"), Some(ContentRange { range: Some((0, 9)), total: Some(10) }));
        assert_eq!(read("bytes 5-9/*"), Some(ContentRange { range: Some((5, 9)), total: None }));
        assert_eq!(read("bytes */10"), Some(ContentRange { range: None, total: Some(10) }));
    }

    #[test]
    fn malformed_headers_are_refused() {
        let bad = [
            "",
            "bytes",
            "bytes 0-9",
            "bytes */*",
            "bytes 9-0/10",
            "bytes 0-10/10",
            "bytes -9/10",
            "bytes 0-/10",
            "bytes +0-9/10",
            "bytes 0-9/18446744073709551616",
            "items 0-9/10",
            "bytes=0-9/10",
        ];
        for text in bad {
            assert_eq!(ContentRange::parse(text), None, "{text}");
        }
    }

    #[test]
    fn two_headers_are_none() {
        let mut headers = HeaderMap::new();
        assert_eq!(ContentRange::of(&headers), Err(RangeError::Missing));
        headers.append(CONTENT_RANGE, HeaderValue::from_static("bytes 0-9/10"));
        assert!(ContentRange::of(&headers).is_ok());
        headers.append(CONTENT_RANGE, HeaderValue::from_static("bytes 0-9/10"));
        assert_eq!(ContentRange::of(&headers), Err(RangeError::Missing));
    }
}
