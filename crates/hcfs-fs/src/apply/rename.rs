//! Renames within the folder.
//!
//! What stands under either name is a person's, so nothing is unlinked there: where the file system cannot refuse to
//! replace, the file goes through the trash, for a moment under neither name, and [`Folder::sweep`] puts it back should
//! the process die in it.

use std::ops::ControlFlow;

use hcfs_model::{LocalEntry, Problem, RelPath, UnixNanos};

use super::{Durability, Placed, durably, on_disk, placed, same_version};
use crate::disk::{Refusal, Rename, split};
use crate::error::{ApplyError, quoted};
use crate::folder::Folder;
use crate::rules::Rules;
use crate::scan::is_settled;
use crate::trash::MOVED;

/// What [`Folder::rename`] does.
#[derive(Clone, Copy)]
pub struct Move<'a> {
    /// The old name.
    pub from: &'a RelPath,
    /// The new name; nothing may stand there.
    pub to: &'a RelPath,
    /// The file as seen.
    pub entry: &'a LocalEntry,
    /// When its hash was taken, as [`crate::Known::hashed_at`]; `UnixNanos(0)` where that is not known.
    pub hashed_at: UnixNanos,
    /// To tell why an emptied directory stays.
    pub rules: &'a Rules,
    /// Now, for the trash that it may go through.
    pub at: UnixNanos,
    /// When it is made durable.
    pub durability: Durability,
}

/// A file under its new name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// What to record.
    pub placed: Placed,
    /// The directories that became empty by it and were removed, the deepest first.
    pub emptied: Vec<RelPath>,
    /// An emptied directory that stays, since something ignored is in it.
    pub problem: Option<Problem>,
}

impl Folder {
    /// Renames a file to a name that is free, makes the directories it needs, and removes those that this empties.
    ///
    /// # Errors
    /// As [`Folder::install`].
    pub fn rename(&self, request: &Move<'_>) -> Result<Renamed, ApplyError> {
        let Move { from, to, entry, .. } = *request;
        let old = on_disk(from, entry);
        self.expect_there(from, old, entry)?;
        let moved = self.place_new(to, |new| match self.disk.rename(old, new, Rename::NoReplace) {
            Err(error) if Refusal::of(&error) == Refusal::Exists && self.is_other_case(new, entry) => {
                self.disk.rename(old, new, Rename::Replace)
            }
            other => other,
        });
        let new = match moved {
            Err(ApplyError::Unsupported { .. }) => self.rename_through_trash(request, old)?,
            other => other?,
        };
        let stat = self.disk.stat(&new).map_err(|error| ApplyError::at(to, "look at", error))?;
        if !same_version(&stat.fingerprint, &entry.fingerprint) {
            // Where the old name is taken again the edit stays under the new one: it is found there as a new file.
            let _ = self.disk.rename(&new, old, Rename::NoReplace);
            return Err(ApplyError::Changed { path: from.clone() });
        }
        durably(request.durability, || {
            self.sync_above(&new)?;
            self.sync_above(old)
        })
        .map_err(|error| ApplyError::io(quoted(to), "sync the directory of", error))?;
        let mut placed = placed(&entry.fingerprint, stat.fingerprint.ctime, to, &new);
        if !is_settled(&entry.fingerprint, request.hashed_at) {
            placed.hashed_at = request.hashed_at.min(entry.fingerprint.mtime);
        }
        let (emptied, problem) = self.remove_emptied(from, old, request.rules, request.durability);
        Ok(Renamed { placed, emptied, problem })
    }

    fn rename_through_trash(&self, request: &Move<'_>, old: &[u8]) -> Result<Vec<u8>, ApplyError> {
        let Move { from, to, entry, .. } = *request;
        let slot = self.slot(from, request.at, MOVED)?;
        self.displace(old, &slot, (from, entry), request.durability, "rename")?;
        let placed = self.place_new(to, |new| self.rename_new(&slot.path, new));
        match placed {
            Ok(_) => slot.clear(&*self.disk),
            Err(_) => drop(self.give_back(&slot, old, from)),
        }
        placed
    }

    /// Whether `new` is the entry's own file under a name that differs in case: to the file system the same name.
    fn is_other_case(&self, new: &[u8], entry: &LocalEntry) -> bool {
        let (dir, name) = split(new);
        let mut exact = false;
        let listed = self.disk.list(dir, &mut |found, _| {
            exact |= found == name;
            if exact { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let same = self.disk.stat(new).is_ok_and(|stat| stat.fingerprint.inode == entry.fingerprint.inode);
        listed.is_ok() && same && !exact
    }
}
