//! New names: conflict copies and the temporary names of renames. None is one that a row has, that is known to exist,
//! or that was given before in this plan; all fit a file system's limit of 255 bytes a name.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use hcfs_model::{RelPath, Rows};

use crate::matrix::has_below;

/// What every temporary name starts with.
const TEMPORARY: &str = ".hcfs-rename-";
/// What every name of the folder's own starts with.
const OWN: &str = ".hcfs";
/// What every conflict copy has in its name.
const CONFLICT: &str = " (conflict, ";
/// Bytes a name may have on the file systems in use.
const NAME_MAX: usize = 255;
/// Bytes of a device's name, and of a date, that a copy's name shows.
const LABEL_MAX: usize = 40;
/// An extension longer than this is a part of the name.
const EXTENSION_MAX: usize = 16;

/// Whether a path has a segment named like a conflict copy or a temporary name. The planner must know all such paths
/// ([`crate::Context::reserved`]) to give none of them again.
#[must_use]
pub fn is_reserved(path: &RelPath) -> bool {
    path.as_str().contains(CONFLICT) || path.as_str().contains(TEMPORARY)
}

/// The first choice for the name of a conflict copy of `path`, whether or not it is free.
#[must_use]
pub fn copy_name(path: &RelPath, device: &str, date: &str) -> RelPath {
    Names::new(&Rows::new(), &BTreeSet::new(), device, date).copy_of(path)
}

/// Whether a path is a temporary name, left there by a plan that did not come to its end.
#[must_use]
pub fn is_temporary(path: &RelPath) -> bool {
    path.as_str().starts_with(TEMPORARY) && !path.as_str().contains('/')
}

/// Gives names.
pub(crate) struct Names<'a> {
    rows: &'a Rows,
    reserved: &'a BTreeSet<RelPath>,
    given: BTreeSet<RelPath>,
    /// The next number of a first choice that was taken, so that many equal ones stay cheap.
    asked: BTreeMap<RelPath, u64>,
    label: String,
    temporaries: u64,
}

impl<'a> Names<'a> {
    pub(crate) fn new(rows: &'a Rows, reserved: &'a BTreeSet<RelPath>, device: &str, date: &str) -> Self {
        let label = format!("{CONFLICT}{}, {})", legible(device, "device"), legible(date, "undated"));
        Self { rows, reserved, given: BTreeSet::new(), asked: BTreeMap::new(), label, temporaries: 0 }
    }

    /// `dir/stem (conflict, DEVICE, DATE).ext`, with a number when that is taken; in a directory further up when the
    /// path would grow beyond its limit.
    pub(crate) fn copy_of(&mut self, path: &RelPath) -> RelPath {
        let (stem, extension) = split_extension(path.name());
        let first = place(path, stem, &format!("{}{extension}", self.label));
        let copy = if self.is_free(&first) {
            first
        } else {
            let mut number = self.asked.get(&first).copied().unwrap_or(2);
            let free = loop {
                let next = place(path, stem, &format!("{} {number}{extension}", self.label));
                number += 1;
                if self.is_free(&next) {
                    break next;
                }
            };
            self.asked.insert(first, number);
            free
        };
        self.given.insert(copy.clone());
        copy
    }

    /// A name at the folder's root, where no directory that comes or goes can be in its way.
    pub(crate) fn temporary(&mut self, path: &RelPath) -> RelPath {
        loop {
            let prefix = format!("{TEMPORARY}{}~", self.temporaries);
            self.temporaries += 1;
            let name = root(&format!("{prefix}{}", cut(path.name(), NAME_MAX - prefix.len())));
            if self.is_free(&name) {
                self.given.insert(name.clone());
                return name;
            }
        }
    }

    /// What a temporary name was made of, at the folder's root; a copy's name if that is taken.
    pub(crate) fn rescued(&mut self, temporary: &RelPath) -> RelPath {
        // The name may be from outside: it may hold nothing that can be used, or the folder's own state.
        let made_of = temporary.as_str().split_once('~').map(|(_, name)| name);
        let usable = made_of.filter(|name| !name.starts_with(OWN)).and_then(|name| RelPath::new(name).ok());
        let name = usable.unwrap_or_else(|| root("rescued"));
        if self.is_free(&name) {
            self.given.insert(name.clone());
            return name;
        }
        self.copy_of(&name)
    }

    fn is_free(&self, path: &RelPath) -> bool {
        let below = format!("{path}/");
        !self.rows.contains_key(path)
            && !self.reserved.contains(path)
            && !self.given.contains(path)
            && !has_below(self.reserved, path)
            && !first_from(self.rows, &below).is_some_and(|row| row.as_str().starts_with(&below))
    }
}

/// The first row at or after a text.
fn first_from<'a>(rows: &'a Rows, text: &str) -> Option<&'a RelPath> {
    rows.range::<str, _>((Bound::Included(text), Bound::Unbounded)).next().map(|(path, _)| path)
}

/// The path of `stem` and `tail` in the directory of `path`, the stem cut as needed.
fn place(path: &RelPath, stem: &str, tail: &str) -> RelPath {
    for directory in path.ancestors() {
        let room = NAME_MAX.min(RelPath::MAX_BYTES.saturating_sub(directory.as_str().len() + 1));
        let Some(room) = room.checked_sub(tail.len()).filter(|&room| room >= stem.len().min(8)) else { continue };
        if let Ok(place) = directory.join(&format!("{}{tail}", cut(stem, room))) {
            return place;
        }
    }
    root(&format!("{}{tail}", cut(stem, NAME_MAX - tail.len())))
}

#[expect(clippy::expect_used, reason = "one non-empty segment that ends in this crate's own text is a valid path")]
fn root(name: &str) -> RelPath {
    RelPath::new(name).expect("a name made of a path's segment and a label is a path")
}

/// The name before its extension, and the extension with its dot. A name that starts with its only dot has none.
fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= EXTENSION_MAX && !name[dot..].contains(' ') => name.split_at(dot),
        _ => (name, ""),
    }
}

/// The longest start of `text` of at most `room` bytes.
fn cut(text: &str, room: usize) -> &str {
    &text[..text.floor_char_boundary(room)]
}

/// A text from outside as a part of a name: without what separates paths or what a file system may refuse, and short.
fn legible(text: &str, otherwise: &str) -> String {
    let refused = |c: char| c.is_control() || "/\\:*?\"<>|".contains(c);
    let kept = text.trim().chars().take(LABEL_MAX).map(|c| if refused(c) { '-' } else { c });
    // A path's text is NFC, and so the name that it becomes a part of is as long as it looks here.
    match RelPath::new(&kept.collect::<String>()) {
        Ok(path) => cut(path.as_str(), LABEL_MAX).trim_end().to_owned(),
        Err(_) => otherwise.to_owned(),
    }
}
