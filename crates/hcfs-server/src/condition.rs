//! Conditional requests (RFC 9110 §13), by entity tags. No dates are sent, so those a client brings mean nothing.

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH, IF_RANGE};

/// What the conditions of a GET or HEAD say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Answer as if there were none.
    Go,
    /// The client has it (304).
    NotModified,
    /// Another one than the client means is current (412).
    Failed,
}

/// Holds the conditions of a request against the current tag, which is strong and in quotes.
pub(crate) fn judge(headers: &HeaderMap, tag: &str) -> Verdict {
    // A weak tag never stands for the same bytes.
    if headers.contains_key(IF_MATCH) && !tags(headers, &IF_MATCH).any(|known| known == "*" || known == tag) {
        return Verdict::Failed;
    }
    let weakly = |known: &str| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag;
    if tags(headers, &IF_NONE_MATCH).any(weakly) { Verdict::NotModified } else { Verdict::Go }
}

/// Whether a range may be taken of what is current: the client has the rest of it, or did not say.
pub(crate) fn range_applies(headers: &HeaderMap, tag: &str) -> bool {
    headers.get(IF_RANGE).is_none_or(|known| known.as_bytes() == tag.as_bytes())
}

/// The tags of a list. None of ours holds a comma, so a tag that does is cut and matches nothing.
fn tags<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in of {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn conditions_are_held_against_the_current_tag() {
        for (of, expected) in [
            (&[][..], Verdict::Go),
            (&[("if-none-match", "\"a\"")], Verdict::NotModified),
            (&[("if-none-match", "W/\"a\"")], Verdict::NotModified),
            (&[("if-none-match", "*")], Verdict::NotModified),
            (&[("if-none-match", "\"b\", \"a\"")], Verdict::NotModified),
            (&[("if-none-match", "\"b\""), ("if-none-match", "\"a\"")], Verdict::NotModified),
            (&[("if-none-match", "\"b\"")], Verdict::Go),
            (&[("if-none-match", "a")], Verdict::Go),
            (&[("if-match", "\"a\"")], Verdict::Go),
            (&[("if-match", "*")], Verdict::Go),
            (&[("if-match", "\"b\", \"a\"")], Verdict::Go),
            (&[("if-match", "\"b\"")], Verdict::Failed),
            (&[("if-match", "W/\"a\"")], Verdict::Failed),
            (&[("if-match", "")], Verdict::Failed),
            (&[("if-match", "\"b\""), ("if-none-match", "\"a\"")], Verdict::Failed),
            (&[("if-modified-since", "Sat, 01 Jan 2050 00:00:00 GMT")], Verdict::Go),
        ] {
            assert_eq!(judge(&headers(of), "\"a\""), expected, "{of:?}");
        }
    }

    #[test]
    fn a_range_of_something_else_is_not_taken() {
        assert!(range_applies(&headers(&[]), "\"a\""));
        assert!(range_applies(&headers(&[("if-range", "\"a\"")]), "\"a\""));
        for other in ["\"b\"", "W/\"a\"", "Sat, 01 Jan 2050 00:00:00 GMT", "a"] {
            assert!(!range_applies(&headers(&[("if-range", other)]), "\"a\""), "{other}");
        }
    }
}
