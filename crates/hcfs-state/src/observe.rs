//! Recording what was seen: a scan of the disk, a listing of the server.

use std::collections::BTreeMap;

use hcfs_model::{LocalEntry, RelPath, RemoteEntry, UnixNanos};

use crate::edit::{Change, Edit, To};
use crate::{Changes, Known, StateError, Store, meta};

/// What a scan found.
#[derive(Debug, Clone, Default)]
pub struct LocalUpdate {
    /// Files with their entries. Entries that are recorded already cost a look and no write.
    pub put: Vec<(RelPath, LocalEntry)>,
    /// Files that are gone.
    pub remove: Vec<RelPath>,
    /// When the scan started: not after any fingerprint in it was taken.
    pub at: UnixNanos,
}

/// What a listing said.
#[derive(Debug, Clone, Default)]
pub struct RemoteUpdate {
    /// Files with their entries. Entries that are recorded already cost a look and no write.
    pub put: Vec<(RelPath, RemoteEntry)>,
    /// Files that are not listed any more. Their revision marks live on.
    pub remove: Vec<RelPath>,
    /// The tag of the listing that the remote tree now equals, if it has one.
    pub tag: Option<String>,
}

impl Store {
    /// Records what is on disk. `full` says that with this update the local tree is one whole scan; the baseline
    /// remembers it. Of two entries with one path the last counts; a path in `put` is not removed.
    ///
    /// An entry that is the same but was hashed later is written only if that makes its hash more trustworthy, and does
    /// not count as a change.
    ///
    /// # Errors
    /// The database cannot be written, or a size does not fit.
    pub fn record_local(&mut self, update: &LocalUpdate, full: bool) -> Result<Changes, StateError> {
        let mut edit = Edit::begin(&mut self.connection)?;
        for (path, entry) in in_order(&update.remove, &update.put) {
            let known = entry.map(|entry| Known { entry: entry.clone(), hashed_at: update.at });
            let local = known.as_ref().map_or(To::Gone, To::Put);
            edit.apply(path, &Change { local, ..Change::default() })?;
        }
        if full {
            meta::set_flag(edit.connection(), meta::BASELINE_LOCAL, true)?;
        }
        edit.commit()
    }

    /// Records what is listed, and takes note of every revision. `full` says that with this update the remote tree is
    /// one whole listing; the baseline remembers it. Of two entries with one path the last counts; a path in `put` is
    /// not removed. The tag replaces the one before, `None` too.
    ///
    /// # Errors
    /// The database cannot be written, or a size or sequence number does not fit.
    pub fn record_remote(&mut self, update: &RemoteUpdate, full: bool) -> Result<Changes, StateError> {
        let mut edit = Edit::begin(&mut self.connection)?;
        for (path, entry) in in_order(&update.remove, &update.put) {
            let remote = entry.map_or(To::Gone, To::Put);
            edit.apply(path, &Change { remote, ..Change::default() })?;
        }
        meta::set(edit.connection(), meta::LISTING_TAG, update.tag.as_deref())?;
        if full {
            meta::set_flag(edit.connection(), meta::BASELINE_REMOTE, true)?;
        }
        edit.commit()
    }

    /// The tag of the listing that the remote tree equals, as [`RemoteUpdate::tag`] gave it.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn listing_tag(&self) -> Result<Option<String>, StateError> {
        meta::get(&self.connection, meta::LISTING_TAG)
    }
}

/// Removals and entries in path order, in which the tables are written fastest.
fn in_order<'u, E>(remove: &'u [RelPath], put: &'u [(RelPath, E)]) -> BTreeMap<&'u RelPath, Option<&'u E>> {
    let removed = remove.iter().map(|path| (path, None));
    removed.chain(put.iter().map(|(path, entry)| (path, Some(entry)))).collect()
}
