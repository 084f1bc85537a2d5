//! One directory's names, in the order of the paths they begin.

use std::io;
use std::ops::ControlFlow;

use crate::STATE_DIR;
use crate::disk::{Disk, Kind, Stat};
use crate::names::composed;

/// A name in a directory.
pub(super) struct Entry {
    /// Its bytes.
    pub(super) name: Box<[u8]>,
    /// What stands there.
    pub(super) stat: io::Result<Stat>,
    /// Whether another name in the directory is equal to it under NFC.
    pub(super) twin: bool,
}

impl Entry {
    fn composed(&self) -> Vec<u8> {
        composed(&self.name).map_or_else(|| self.name.to_vec(), |text| text.into_owned().into_bytes())
    }

    /// What its path, or the paths below it, sort by: the path of what is in a directory goes on with a slash.
    fn key(&self) -> Vec<u8> {
        let mut key = self.composed();
        if self.stat.as_ref().is_ok_and(|stat| stat.kind == Kind::Directory) {
            key.push(b'/');
        }
        key
    }
}

/// Reads a directory; the root's own state directory is left out.
pub(super) fn read_directory(disk: &dyn Disk, dir: &[u8]) -> io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    disk.list(dir, &mut |name, stat| {
        if !dir.is_empty() || name != STATE_DIR.as_bytes() {
            entries.push(Entry { name: name.into(), stat, twin: false });
        }
        ControlFlow::Continue(())
    })?;
    let plain = entries.iter().all(|entry| entry.name.is_ascii());
    if !plain {
        mark_twins(&mut entries);
    }
    if plain {
        entries.sort_unstable_by(compare_plain);
    } else {
        entries.sort_by_cached_key(Entry::key);
    }
    Ok(entries)
}

/// The order of [`Entry::key`] for names that are their own NFC form, without making the keys.
fn compare_plain(one: &Entry, other: &Entry) -> std::cmp::Ordering {
    let common = one.name.len().min(other.name.len());
    let after = |entry: &Entry| {
        let is_dir = entry.stat.as_ref().is_ok_and(|stat| stat.kind == Kind::Directory);
        entry.name.get(common).copied().or(is_dir.then_some(b'/'))
    };
    one.name[..common].cmp(&other.name[..common]).then_with(|| after(one).cmp(&after(other)))
}

fn mark_twins(entries: &mut [Entry]) {
    entries.sort_by_cached_key(Entry::composed);
    for at in 1..entries.len() {
        let (before, after) = entries.split_at_mut(at);
        let (one, other) = (&mut before[at - 1], &mut after[0]);
        if one.composed() == other.composed() {
            one.twin = true;
            other.twin = true;
        }
    }
}
