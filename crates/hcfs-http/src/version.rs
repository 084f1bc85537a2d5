//! Which version of a body an answer is of.

use std::time::Duration;

use http::HeaderMap;
use http::header::{DATE, ETAG, HeaderName, HeaderValue, LAST_MODIFIED};

/// The longest validator kept, in bytes; a longer one is as good as none.
const MAX_BYTES: usize = 512;
/// By how much `Date` must be later than `Last-Modified` for that to tell two versions apart (RFC 9110 §8.8.2.2).
const SETTLED: Duration = Duration::from_secs(1);

/// The validators of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// `ETag` as sent.
    pub etag: Option<HeaderValue>,
    /// `Last-Modified` as sent.
    pub last_modified: Option<HeaderValue>,
    /// Whether `Last-Modified` was old enough by the answer's own `Date` to tell two versions apart.
    pub settled: bool,
}

impl Version {
    /// The validators among the headers of an answer.
    pub fn of(headers: &HeaderMap) -> Self {
        let take = |name: &HeaderName| headers.get(name).filter(|value| value.len() <= MAX_BYTES).cloned();
        let last_modified = take(&LAST_MODIFIED).filter(|value| time(value).is_some());
        let settled = last_modified
            .as_ref()
            .and_then(time)
            .zip(headers.get(DATE).and_then(time))
            .is_some_and(|(changed, now)| now.duration_since(changed).is_ok_and(|age| age >= SETTLED));
        Self { etag: take(&ETAG), last_modified, settled }
    }

    /// The value of `If-Range`: a strong `ETag`, else a `Last-Modified` that tells versions apart. With neither, a
    /// server cannot be asked to compare.
    pub fn if_range(&self) -> Option<&HeaderValue> {
        let strong = self.etag.as_ref().filter(|etag| etag.as_bytes().starts_with(b"\""));
        strong.or_else(|| self.last_modified.as_ref().filter(|_| self.settled && self.etag.is_none()))
    }

    /// Whether the two are certainly versions apart. What one of them lacks says nothing.
    pub fn contradicts(&self, other: &Self) -> bool {
        match (&self.etag, &other.etag) {
            (Some(one), Some(two)) => one != two,
            _ => matches!((&self.last_modified, &other.last_modified), (Some(one), Some(two)) if one != two),
        }
    }

    /// Whether the two are the same version by a validator that both have.
    pub fn agrees(&self, other: &Self) -> bool {
        let both = |one: &Option<HeaderValue>, two: &Option<HeaderValue>| one.is_some() && one == two;
        !self.contradicts(other) && (both(&self.etag, &other.etag) || both(&self.last_modified, &other.last_modified))
    }
}

fn time(value: &HeaderValue) -> Option<std::time::SystemTime> {
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(pairs: &[(&'static str, &'static str)]) -> Version {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Version::of(&pairs.collect())
    }

    const OLD: &str = "Fri, 20 Nov 2026 10:00:00 GMT";
    const NEW: &str = "Sat, 21 Nov 2026 10:00:00 GMT";

    #[test]
    fn only_what_tells_versions_apart_guards_a_range() {
        let guard = |pairs: &[_]| version(pairs).if_range().map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(guard(&[("etag", "\"a\""), ("last-modified", OLD), ("date", NEW)]).as_deref(), Some("\"a\""));
        assert_eq!(guard(&[("last-modified", OLD), ("date", NEW)]).as_deref(), Some(OLD));
        assert_eq!(guard(&[("etag", "W/\"a\""), ("last-modified", OLD), ("date", NEW)]), None);
        assert_eq!(guard(&[("last-modified", NEW), ("date", NEW)]), None);
        assert_eq!(guard(&[("last-modified", OLD)]), None);
        assert_eq!(guard(&[("last-modified", "yesterday"), ("date", NEW)]), None);
    }

    #[test]
    fn versions_contradict_by_what_both_have() {
        let tagged = version(&[("etag", "\"a\""), ("last-modified", OLD)]);
        assert!(tagged.contradicts(&version(&[("etag", "\"b\""), ("last-modified", OLD)])));
        assert!(tagged.contradicts(&version(&[("last-modified", NEW)])));
        assert!(tagged.agrees(&version(&[("etag", "\"a\""), ("last-modified", NEW)])));
        assert!(tagged.agrees(&version(&[("last-modified", OLD)])));
        assert!(!tagged.contradicts(&Version::default()) && !tagged.agrees(&Version::default()));
    }

    #[test]
    fn a_validator_beyond_all_measure_is_none() {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, HeaderValue::try_from(format!("\"{}\"", "a".repeat(600))).unwrap());
        assert_eq!(Version::of(&headers).etag, None);
    }
}
