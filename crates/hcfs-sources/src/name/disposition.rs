//! The name in a `Content-Disposition` (RFC 6266): `filename*` first, then `filename`.

use hcfs_http::{HeaderMap, header};

/// The longest header read, in bytes.
const MAX_BYTES: usize = 4096;

/// The file name an answer gives, as it came: not safe yet. None if there is none, or none that can be read.
pub(crate) fn file_name(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_DISPOSITION)?.as_bytes();
    (value.len() <= MAX_BYTES).then(|| parse(value)).flatten()
}

fn parse(value: &[u8]) -> Option<String> {
    let (mut plain, mut extended) = (None, None);
    let mut rest = value;
    // The first part is the type; a name may stand there too, from servers that forget it.
    while !rest.is_empty() {
        let (name, text, after) = parameter(rest);
        rest = after;
        let Some(text) = text else { continue };
        if name.eq_ignore_ascii_case(b"filename*") {
            extended = extended.or_else(|| decode_extended(&text));
        } else if name.eq_ignore_ascii_case(b"filename") {
            plain = plain.or(Some(in_utf8_or_latin1(&text)));
        }
    }
    extended.or(plain).filter(|name| !name.is_empty())
}

/// One `name=value` and what follows its semicolon; no value for a part without one.
fn parameter(text: &[u8]) -> (&[u8], Option<Vec<u8>>, &[u8]) {
    let end = text.iter().position(|byte| matches!(byte, b';' | b'=')).unwrap_or(text.len());
    let name = text[..end].trim_ascii();
    if text.get(end) != Some(&b'=') {
        return (name, None, text.get(end + 1..).unwrap_or_default());
    }
    let value = text[end + 1..].trim_ascii_start();
    match value.strip_prefix(b"\"") {
        Some(quoted) => {
            let (text, after) = unquote(quoted);
            let next = after.iter().position(|byte| *byte == b';').map_or(after.len(), |at| at + 1);
            (name, Some(text), &after[next..])
        }
        None => {
            let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
            (name, Some(value[..end].trim_ascii().to_vec()), value.get(end + 1..).unwrap_or_default())
        }
    }
}

/// A quoted string after its opening quote, and what follows the closing one.
fn unquote(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut plain = Vec::new();
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match (byte, text.get(at + 1)) {
            (b'"', _) => return (plain, &text[at + 1..]),
            (b'\\', Some(&next)) => {
                plain.push(next);
                at += 2;
            }
            _ => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    (plain, &[])
}

/// `charset'language'percent-encoded` (RFC 8187).
fn decode_extended(text: &[u8]) -> Option<String> {
    let mut parts = text.splitn(3, |byte| *byte == b'\'');
    let (charset, _, encoded) = (parts.next()?, parts.next()?, parts.next()?);
    let bytes = percent_decoded(encoded)?;
    if charset.eq_ignore_ascii_case(b"utf-8") {
        return String::from_utf8(bytes).ok();
    }
    let latin1 = charset.eq_ignore_ascii_case(b"iso-8859-1");
    latin1.then(|| bytes.into_iter().map(char::from).collect())
}

/// None if a percent sign is not followed by two hex digits.
pub(super) fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        match byte {
            b'%' => bytes.push(hex(*rest.next()?)? << 4 | hex(*rest.next()?)?),
            _ => bytes.push(byte),
        }
    }
    Some(bytes)
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Servers put either into the plain form, though the letter of the rule has ASCII alone.
fn in_utf8_or_latin1(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use hcfs_http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(value: &[u8]) -> Option<String> {
        file_name(&HeaderMap::from_iter([(header::CONTENT_DISPOSITION, HeaderValue::from_bytes(value).unwrap())]))
    }

    #[test]
    fn names_are_read_as_the_rule_says() {
        for (value, name) in [
            (r#"attachment; filename="document.pdf""#, Some("document.pdf")),
            (r#"inline; filename="utility_bill.jpg""#, Some("utility_bill.jpg")),
            ("attachment; filename=plain.txt", Some("plain.txt")),
            ("attachment;filename = plain.txt ; size=3", Some("plain.txt")),
            (r#"attachment; filename="a;b=\"c\".txt"; x=y"#, Some("a;b=\"c\".txt")),
            ("attachment; filename*=UTF-8''%e2%82%ac%20rates.txt", Some("\u{20ac} rates.txt")),
            ("attachment; filename=euro.txt; filename*=utf-8'en'%E2%82%AC.txt", Some("\u{20ac}.txt")),
            ("attachment; filename*=iso-8859-1'en'%A3.txt; filename=pound.txt", Some("\u{a3}.txt")),
            ("attachment; filename*=UTF-8''%ff.txt; filename=fallback.txt", Some("fallback.txt")),
            ("attachment; filename*=UTF-8''%2; filename=fallback.txt", Some("fallback.txt")),
            ("attachment; filename*=koi8-r''%c1; filename=fallback.txt", Some("fallback.txt")),
            ("attachment; FILENAME=loud.txt", Some("loud.txt")),
            (r#"attachment; filename="open"#, Some("open")),
            ("filename=typeless.txt", Some("typeless.txt")),
            ("attachment", None),
            ("attachment; filename=", None),
            ("", None),
        ] {
            assert_eq!(read(value.as_bytes()).as_deref(), name, "{value}");
        }
        assert_eq!(read("attachment; filename=\"\u{20ac}.txt\"".as_bytes()).as_deref(), Some("\u{20ac}.txt"));
        assert_eq!(read(b"attachment; filename=\"\xa3.txt\"").as_deref(), Some("\u{a3}.txt"));
        assert_eq!(read(&[b'a'; MAX_BYTES + 1]), None);
    }

    proptest! {
        #[test]
        fn any_name_comes_back_from_the_extended_form(name in "\\PC{1,40}") {
            let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
            let value = format!("attachment; filename=\"other\"; filename*=UTF-8''{encoded}");
            prop_assert_eq!(read(value.as_bytes()), Some(name));
        }

        #[test]
        fn any_name_comes_back_from_quotes(name in "[ -~]{1,40}") {
            let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
            let value = format!("attachment; filename=\"{quoted}\"; size=1");
            prop_assert_eq!(read(value.as_bytes()), Some(name));
        }

        #[test]
        fn any_header_is_read_or_not(value in proptest::collection::vec(prop_oneof![32..127_u8, 128..=255_u8], 0..200)) {
            let name = read(&value);
            prop_assert!(name.is_none_or(|name| !name.is_empty()));
        }
    }
}
