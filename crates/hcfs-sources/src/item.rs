//! The items of the settings, checked once.

use std::collections::BTreeSet;

use crate::error::SourceError;
use crate::source::Item;

/// The longest id of a file, in bytes.
const ID_MAX: usize = 256;
/// The longest address, in bytes.
const ADDRESS_MAX: usize = 4096;

/// Checks ids that stand in the path of a request.
pub(crate) fn check_id(id: &str) -> Result<(), &'static str> {
    if id.is_empty() || id.trim() != id {
        return Err("an id is empty, or has blanks around it");
    }
    if id.len() > ID_MAX {
        return Err("an id is longer than 256 bytes");
    }
    if id.contains(['/', '\\']) {
        return Err("an id has no slash");
    }
    if id.chars().any(char::is_control) {
        return Err("an id has no control character");
    }
    if matches!(id, "." | "..") {
        return Err("an id is not \".\" or \"..\"");
    }
    Ok(())
}

/// Checks an address that a service is told.
pub(crate) fn check_address(address: &str) -> Result<(), &'static str> {
    if address.len() > ADDRESS_MAX {
        return Err("an address is longer than 4096 bytes");
    }
    if address.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("an address has no blank or control character");
    }
    let rest = address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"));
    let Some(rest) = rest.filter(|rest| !rest.is_empty()) else {
        return Err("an address begins with https:// or http://");
    };
    if rest.split(['/', '?', '#']).next().is_some_and(|authority| authority.contains('@')) {
        return Err("an address holds no user name or password");
    }
    Ok(())
}

/// An address without its query, which may hold a secret.
pub(crate) fn public(address: &str) -> String {
    match address.split_once(['?', '#']) {
        Some((public, _)) => format!("{public}?…"),
        None => address.to_owned(),
    }
}

/// The items with these ids, in this order, without doubles.
pub(crate) fn items(
    ids: &[String],
    check: impl Fn(&str) -> Result<(), &'static str>,
) -> Result<Vec<Item>, SourceError> {
    let mut seen = BTreeSet::new();
    let mut items = Vec::new();
    for id in ids {
        check(id).map_err(|rule| SourceError::BadItem { item: shown(id), rule })?;
        if seen.insert(id) {
            items.push(Item::new(id));
        }
    }
    Ok(items)
}

/// As much of an id as an error shows.
pub(crate) fn shown(id: &str) -> String {
    id.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_would_leave_their_place_are_refused() {
        for id in ["", " a", "a/b", "..\\a", ".", "..", "a\nb", "a\0", &"a".repeat(257)] {
            assert!(check_id(id).is_err(), "{id:?}");
        }
        assert!(check_id("file_78901").is_ok());
        for address in
            ["", "ftp://a/b", "https://", "https://a b", "https://a\r\nX: y", "file:///etc/passwd", "https://u:p@a/b"]
        {
            assert!(check_address(address).is_err(), "{address:?}");
        }
        assert!(check_address("http://video.example/watch?v=1").is_ok());
    }

    #[test]
    fn doubles_are_left_out() {
        let ids = ["b", "a", "b"].map(str::to_owned);
        assert_eq!(items(&ids, check_id).unwrap(), [Item::new("b"), Item::new("a")]);
    }
}
