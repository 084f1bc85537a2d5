//! Headers and addresses.

use hcfs_http::{BaseUrl, HeaderMap, HeaderValue, Url, header, retry_after};
use hcfs_model::UnixNanos;
use hcfs_wire::{ContentRange, DownloadHead, RangeRequest, SessionId, StateTag, parse_revision_tag, revision_tag};

use super::{kind, text};
use crate::Target;

const HEADER_WORDS: &[&str] = &[
    "bytes ",
    "bytes=",
    "bytes */",
    "-",
    "/",
    "*",
    "\"",
    "W/\"",
    "18446744073709551615",
    "0",
    "content-range:",
    "x-size-bytes:",
    "x-revision-id:",
    "x-revision-seq:",
    "x-file-id:",
    "x-folder-hash:",
    "content-length:",
    "\n",
];

pub(super) const HEADERS: Target = Target { name: "headers", words: HEADER_WORDS, run: headers };
pub(super) const RETRY: Target = Target {
    name: "retry_after",
    words: &["GMT", "Sun, 06 Nov 1994 08:49:37 GMT", "120", "18446744073709551616", "-1", "\n"],
    run: retry,
};
pub(super) const URLS: Target = Target {
    name: "urls",
    words: &[
        "http://",
        "https://",
        "//",
        "/",
        "..",
        ".",
        "?",
        "#",
        "@",
        ":",
        "[::1]",
        "127.0.0.1",
        "%2f",
        "%00",
        "localhost",
        ":65536",
        "\n",
    ],
    run: urls,
};

fn headers(input: &[u8]) {
    let (which, rest) = kind(input);
    let Some(text) = text(rest) else { return };
    match which % 6 {
        0 => {
            let lines: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once(':')).collect();
            let get = |name: &str| lines.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
            if let Ok(head) = DownloadHead::read(get) {
                assert!(head.size <= hcfs_model::blob::MAX_PLAINTEXT);
            }
        }
        1 => {
            if let Some(range) = ContentRange::parse(text) {
                assert!(range.first <= range.last && range.length() > 0);
                assert_eq!(ContentRange::parse(&range.to_string()), Some(range));
            }
        }
        2 => {
            if let Some(range) = RangeRequest::parse(text) {
                assert_eq!(RangeRequest::parse(&range.to_string()), Some(range));
                for length in [0, 1, 28, u64::MAX] {
                    assert!(range.within(length).is_none_or(|bytes| bytes.start < bytes.end && bytes.end <= length));
                }
            }
        }
        3 => {
            if let Ok(tag) = StateTag::parse(text) {
                assert_eq!(StateTag::from_text(tag.as_str()).unwrap(), tag);
                assert_eq!(StateTag::parse(&tag.to_string()).unwrap(), tag);
            }
        }
        4 => {
            if let Ok(id) = parse_revision_tag(text) {
                assert_eq!(parse_revision_tag(&revision_tag(id)).unwrap(), id);
            }
        }
        _ => drop(SessionId::new(text)),
    }
}

fn retry(input: &[u8]) {
    let mut lines = input.split(|&byte| byte == b'\n');
    let mut headers = HeaderMap::new();
    for name in [header::RETRY_AFTER, header::DATE, header::CONTENT_RANGE] {
        if let Some(Ok(value)) = lines.next().map(HeaderValue::from_bytes) {
            headers.insert(name, value);
        }
    }
    if let Some(wait) = retry_after(&headers, UnixNanos(1_700_000_000_000_000_000)) {
        assert!((1..=120).contains(&wait.as_secs()), "{wait:?}");
    }
    if let Ok(range) = hcfs_http::ContentRange::of(&headers) {
        let is_right = |(first, last)| first <= last && range.total.is_none_or(|total| last < total);
        assert!(range.range.is_none_or(is_right), "{range:?}");
    }
}

fn urls(input: &[u8]) {
    let Some(text) = text(input) else { return };
    let (first, second) = text.split_once('\n').unwrap_or((text, "elsewhere"));
    if let Ok(url) = Url::parse(first) {
        same(&url);
        if let Ok(target) = url.resolve(second) {
            same(&target);
        }
    }
    if let Ok(base) = BaseUrl::parse(first)
        && let Ok(joined) = base.join([second, "x"])
    {
        assert_eq!(joined.origin(), base.origin(), "a segment led elsewhere");
        same(&joined);
    }
}

/// What was read is written as something that is read as the same.
fn same(url: &Url) {
    let again = Url::parse(&url.to_secret_string()).expect("a URL that was written is read");
    assert_eq!((again.origin(), again.path(), again.query()), (url.origin(), url.path(), url.query()));
    assert!(!url.origin().host().is_empty() && url.path().starts_with('/'));
}
