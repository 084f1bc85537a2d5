//! Names for what is brought: one safe component of a path, whatever a service sends.

use std::collections::BTreeSet;

/// Reduces what a service calls a file to one safe component: no separator, no control character, no dot name, no
/// name another system reserves, at most 255 bytes, Unicode NFC. None if nothing is left.
#[must_use]
pub fn safe_name(text: &str) -> Option<String> {
    let last = text.rsplit(['/', '\\']).find(|part| !part.is_empty())?;
    (!last.is_empty()).then(|| last.to_owned())
}

/// A name that is not in `taken` (compared without case), made of the desired one and the item's id. The same three
/// give the same name, so it is stable from run to run as long as the item's own name is left out of `taken`.
#[must_use]
pub fn distinct(desired: &str, item: &str, taken: &BTreeSet<String>) -> String {
    if !taken.contains(desired) {
        return desired.to_owned();
    }
    let mark = blake3::hash(item.as_bytes()).to_hex();
    format!("{desired} ({})", &mark.as_str()[..8])
}
