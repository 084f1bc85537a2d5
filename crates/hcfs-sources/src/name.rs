//! Names for what is brought: one safe component of a path, whatever a service sends.
//!
//! Deliberately absent: a list of characters that only some systems refuse. The folder reports a name it cannot hold.

mod disposition;
mod media;

use std::collections::BTreeSet;

use hcfs_model::RelPath;

pub(crate) use disposition::file_name;

/// Bytes a name may have on the file systems in use.
const NAME_MAX: usize = 255;
/// An extension longer than this is a part of the name.
const EXTENSION_MAX: usize = 16;
/// Names that other systems take for devices, whatever their extension.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// Reduces what a service calls a file to one safe component: what stands after the last separator, without control
/// and direction characters, without dots in front (hidden files, `.` and `..`), with no name another system reserves,
/// at most 255 bytes, Unicode NFC. None if nothing is left.
#[must_use]
pub fn safe_name(text: &str) -> Option<String> {
    let last = text.rsplit(['/', '\\']).find(|part| !part.trim().is_empty())?;
    let kept: String = last.chars().filter(|c| !is_invisible(*c)).collect();
    // Dots and blanks at the end are lost on some systems.
    let bare = kept.trim().trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    let shown = bare.trim_start_matches('.');
    let name = match shown.len() == bare.len() {
        true => shown.to_owned(),
        false => format!("_{shown}"),
    };
    if shown.is_empty() {
        return None;
    }
    let name = if is_device(&name) { format!("_{name}") } else { name };
    let (stem, extension) = split_extension(&name);
    let name = RelPath::new(&format!("{}{extension}", cut(stem, NAME_MAX - extension.len()))).ok()?;
    // Composing may have made it longer.
    let (stem, extension) = split_extension(name.as_str());
    Some(format!("{}{extension}", cut(stem, NAME_MAX - extension.len())))
}

/// A name that is not in `taken` (compared without case), made of the desired one and the item's id. The same three
/// give the same name, so it is stable from run to run as long as the item's own name is left out of `taken`.
///
/// `desired` is a safe name, and so is the answer.
#[must_use]
pub fn distinct(desired: &str, item: &str, taken: &BTreeSet<String>) -> String {
    let taken: BTreeSet<String> = taken.iter().map(|name| name.to_lowercase()).collect();
    if !taken.contains(&desired.to_lowercase()) {
        return desired.to_owned();
    }
    let (stem, extension) = split_extension(desired);
    let mark = blake3::hash(item.as_bytes()).to_hex();
    // The whole hash in the end: a set that holds all of these names would have to hold one of this item's own.
    for length in [8, 16, 32, 64] {
        let tail = format!(" ({}){extension}", &mark.as_str()[..length]);
        let name = format!("{}{tail}", cut(stem, NAME_MAX - tail.len()));
        if !taken.contains(&name.to_lowercase()) {
            return name;
        }
    }
    (2_u64..)
        .map(|number| {
            let tail = format!(" ({}, {number}){extension}", &mark.as_str()[..8]);
            format!("{}{tail}", cut(stem, NAME_MAX - tail.len()))
        })
        .find(|name| !taken.contains(&name.to_lowercase()))
        .unwrap_or_else(|| desired.to_owned())
}

/// The name of an item that its service gives none for: the id, and the extension of its content type.
pub(crate) fn fallback(id: &str, content_type: Option<&str>) -> String {
    let name = safe_name(id).unwrap_or_else(|| format!("file-{}", &blake3::hash(id.as_bytes()).to_hex().as_str()[..8]));
    match content_type.and_then(media::extension) {
        Some(extension) if split_extension(&name).1.is_empty() => {
            format!("{}.{extension}", cut(&name, NAME_MAX - 1 - extension.len()))
        }
        _ => name,
    }
}

/// The name at the end of an address's path.
pub(crate) fn of_address(path: &str) -> Option<String> {
    let last = path.rsplit('/').next()?;
    let decoded = disposition::percent_decoded(last.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok());
    safe_name(&decoded.unwrap_or_else(|| last.to_owned()))
}

/// Control characters, and those that make a name look like another one.
fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
        || c == '\u{fffd}'
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end().to_lowercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|rest| {
            let mut rest = rest.chars();
            matches!((rest.next(), rest.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
        })
    };
    DEVICES.contains(&stem.as_str()) || numbered("com") || numbered("lpt")
}

/// Stem and extension, the dot with the extension.
fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 && (2..=EXTENSION_MAX + 1).contains(&(name.len() - at)) => name.split_at(at),
        _ => (name, ""),
    }
}

/// The longest start of `text` of at most `bytes` bytes.
fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let mut end = bytes;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim_end_matches(|c: char| c == '.' || c.is_whitespace())
}

#[cfg(test)]
mod tests;
