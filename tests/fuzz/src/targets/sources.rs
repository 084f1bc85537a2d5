//! What the other download systems send.

use std::collections::BTreeSet;

use hcfs_http::{HeaderMap, HeaderValue, header};
use hcfs_sources::{Kind, Resume, distinct, raw, safe_name};

use super::{kind, text};
use crate::Target;

pub(super) const CONTENT: Target = Target {
    name: "source_content",
    words: &[
        "{\"data\":\"",
        "\"",
        "=",
        "==",
        "\\u0041",
        "ustar\0",
        "ustar  \0",
        "0000644",
        "00000000011",
        "\0\0\0\0\0\0\0\0",
    ],
    run: content,
};

pub(super) const NAMES: Target = Target {
    name: "source_names",
    words: &[
        "/",
        "..",
        ".",
        "\\",
        "\0",
        "\r\n",
        "\u{202e}",
        "CON",
        ".hcfs",
        "{\"len\":",
        "\"prefix\":",
        "\"validators\":{",
    ],
    run: names,
};

/// In whatever pieces a body comes, its content is the same.
fn content(input: &[u8]) {
    let [which, size, body @ ..] = input else { return };
    let total = body.len() as u64;
    let whole = raw::content(which % 2 == 0, total, [body]);
    let pieces = raw::content(which % 2 == 0, total, body.chunks(usize::from(*size).max(1)));
    assert_eq!(whole, pieces);
    assert!(whole.is_none_or(|content| content.len() <= body.len()), "more content than there were bytes");
}

fn names(input: &[u8]) {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(kind(input).1) {
        headers.insert(header::CONTENT_DISPOSITION, value);
        let _ = raw::disposition(&headers).as_deref().and_then(safe_name).inspect(|name| is_safe(name));
    }
    let Some(text) = text(input) else { return };
    let _ = raw::is_cid(text);
    let resume = Resume::from_text(text);
    assert_eq!(Resume::from_text(&resume.to_text()), resume);
    let _ = text.parse::<Kind>();
    let mut taken = BTreeSet::new();
    for part in text.lines().take(8) {
        let Some(safe) = safe_name(part) else { continue };
        is_safe(&safe);
        assert_eq!(safe_name(&safe).as_ref(), Some(&safe), "a safe name stays as it is");
        let chosen = distinct(&safe, part, &taken);
        is_safe(&chosen);
        assert!(taken.insert(chosen), "a name was given twice");
    }
}

/// One component of a path, which any file system takes.
fn is_safe(name: &str) {
    assert!(!name.is_empty() && name.len() <= 255, "{name:?}");
    assert!(!name.contains(['/', '\\', '\0']) && ![".", ".."].contains(&name), "{name:?}");
    assert!(!name.chars().any(char::is_control), "{name:?}");
}
