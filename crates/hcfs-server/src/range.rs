//! Which bytes of a blob a request wants.

use std::ops::Range;

use hcfs_wire::RangeRequest;

/// The answer to a `Range` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The whole blob: no range, or one that RFC 9110 lets a server ignore (another unit, several ranges, malformed).
    Whole,
    /// These bytes; never empty.
    Part(Range<u64>),
    /// A range that holds no byte of the blob.
    Nothing,
}

/// Reads a `Range` header against a blob of `length` bytes.
pub(crate) fn wanted(header: Option<&str>, length: u64) -> Wanted {
    let Some(text) = header.map(str::trim) else { return Wanted::Whole };
    let part = match text.strip_prefix("bytes=-") {
        Some(suffix) if !suffix.is_empty() && suffix.bytes().all(|b| b.is_ascii_digit()) => {
            // More digits than a u64 holds is more than any blob has.
            let last = suffix.parse().unwrap_or(u64::MAX).min(length);
            Some(length - last..length).filter(|part| !part.is_empty())
        }
        Some(_) => return Wanted::Whole,
        None => match RangeRequest::parse(text) {
            Some(request) => request.within(length),
            None => return Wanted::Whole,
        },
    };
    part.map_or(Wanted::Nothing, Wanted::Part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        for (header, expected) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=0-9", Wanted::Part(0..10)),
            ("bytes=0-1000", Wanted::Part(0..10)),
            ("bytes=9-", Wanted::Part(9..10)),
            ("bytes=-1", Wanted::Part(9..10)),
            ("bytes=-10", Wanted::Part(0..10)),
            ("bytes=-99999999999999999999999", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=10-20", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-4", Wanted::Whole),
            ("bytes=0-1,4-5", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("bytes=--1", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("items=0-1", Wanted::Whole),
            ("", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
    }
}
