//! The trash: what the sync displaced, with its path and time in the tree itself.
//!
//! Layout: `.hcfs/trash/<nanoseconds since 1970>-<counter>/<relative path>`, one file for each first-level directory.
//! Nothing else is needed to list or restore it, so no crash can part a file from its description.
//!
//! A first-level directory that ends in `.moved` belongs to a replacement on a file system without exchange that did
//! not finish: [`Folder::sweep`] puts its file back where the name is free. Until then it is no entry of the trash.
//!
//! For a moment a replacement keeps here what is not displaced yet: whoever restores or removes entries must not do so
//! while one is on its way.

use std::collections::BTreeSet;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::Ordering;
use std::sync::{MutexGuard, PoisonError};

use hcfs_model::{RelPath, UnixNanos};

use crate::apply::{Durability, durably};
use crate::disk::{Disk, Kind, Refusal, Rename, join, split};
use crate::error::{ApplyError, quoted};
use crate::folder::Folder;
use crate::names::variant;
use crate::{STAGED_DIR, TRASH_DIR};

/// The suffix of an entry whose replacement has not finished.
pub(crate) const MOVED: &str = ".moved";
const DAY: i64 = 86_400_000_000_000;
/// How many counters are tried before giving up on a new entry.
const TRIES: u32 = 100_000;

/// A file in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trashed {
    /// What [`Folder::trash_restore`] takes; sorts by time. Without a path but where several files lie in one entry.
    pub id: String,
    /// Where it was.
    pub path: RelPath,
    /// When it was displaced.
    pub at: UnixNanos,
    /// Its size in bytes.
    pub size: u64,
}

/// What [`Folder::trash_prune`] removed for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that are left.
    pub left: u64,
}

/// What [`Folder::sweep`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Staged parts removed.
    pub removed: u64,
    /// Files put back under their names after a replacement that did not finish.
    pub healed: Vec<RelPath>,
}

/// A place in the trash for one file.
#[derive(Clone)]
pub(crate) struct Slot {
    /// The entry's id, without [`MOVED`].
    pub(crate) id: String,
    /// The first-level directory.
    dir: Vec<u8>,
    /// Where the file goes.
    pub(crate) path: Vec<u8>,
}

impl Slot {
    /// The directories from the trash down to the file's, the trash first.
    fn directories(&self) -> Vec<&[u8]> {
        let mut all = vec![TRASH_DIR, &self.dir];
        let mut end = self.dir.len();
        while let Some(at) = self.path[end + 1..].iter().position(|&byte| byte == b'/') {
            end += 1 + at;
            all.push(&self.path[..end]);
        }
        all
    }

    /// Makes the place durable, with what lies there by name.
    pub(crate) fn sync(&self, disk: &dyn Disk) -> io::Result<()> {
        self.directories().into_iter().try_for_each(|dir| disk.sync_dir(dir))
    }

    /// Removes the directories of a place that holds nothing.
    pub(crate) fn clear(&self, disk: &dyn Disk) {
        for dir in self.directories().into_iter().skip(1).rev() {
            // One that is not empty holds a file: it stays.
            if disk.rmdir(dir).is_err() {
                return;
            }
        }
    }

    /// Takes the [`MOVED`] mark off, where there is one: what lies here is displaced for good.
    fn settle(&self, disk: &dyn Disk) -> io::Result<()> {
        if self.dir.ends_with(MOVED.as_bytes()) {
            match disk.rename(&self.dir, &join(TRASH_DIR, self.id.as_bytes()), Rename::Replace) {
                // It was taken off, and could not be made durable.
                Err(error) if Refusal::of(&error) == Refusal::NotFound => {}
                other => other?,
            }
            disk.sync_dir(TRASH_DIR)?;
        }
        Ok(())
    }
}

impl Folder {
    /// What lies in a place is displaced for good, by what stands at `path` on disk now. Where its mark cannot be taken off
    /// that is tried again: with it, the file would come back at the next start if its name were free.
    pub(crate) fn settle(&self, slot: &Slot, path: &[u8], durability: Durability) -> io::Result<()> {
        durably(durability, || {
            self.sync_above(path)?;
            self.disk.sync_dir(split(&slot.path).0)
        })
        .and_then(|()| slot.settle(&*self.disk))
        .inspect_err(|_| self.unsettled().push((slot.clone(), path.to_vec())))
    }

    fn unsettled(&self) -> MutexGuard<'_, Vec<(Slot, Vec<u8>)>> {
        self.unsettled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a place for `path` in the trash; `mark` is empty or [`MOVED`].
    pub(crate) fn slot(&self, path: &RelPath, at: UnixNanos, mark: &str) -> Result<Slot, ApplyError> {
        let refused = |error| ApplyError::io(quoted(path), "make a place in the trash for", error);
        for _ in 0..TRIES {
            let counter = self.trash_counter.fetch_add(1, Ordering::Relaxed);
            let id = format!("{:020}-{counter:06}", at.0.max(0));
            let dir = join(TRASH_DIR, format!("{id}{mark}").as_bytes());
            match self.disk.mkdir(&dir, 0o700) {
                Ok(()) => {}
                Err(error) => match Refusal::of(&error) {
                    Refusal::Exists => continue,
                    Refusal::NotFound => {
                        self.make_again(TRASH_DIR).map_err(refused)?;
                        continue;
                    }
                    _ => return Err(refused(error)),
                },
            }
            let slot = Slot { path: join(&dir, path.as_str().as_bytes()), id, dir };
            for dir in slot.directories().into_iter().skip(2) {
                if let Err(error) = self.disk.mkdir(dir, 0o700) {
                    slot.clear(&*self.disk);
                    return Err(refused(error));
                }
            }
            return Ok(slot);
        }
        Err(refused(io::Error::other("no free entry in the trash")))
    }

    /// What lies in the trash, the oldest first.
    ///
    /// # Errors
    /// What the system refused.
    pub fn trash_list(&self) -> Result<Vec<Trashed>, ApplyError> {
        let mut found = Vec::new();
        for name in self.names(TRASH_DIR)? {
            let Some(at) = stamp(&name) else { continue };
            let dir = join(TRASH_DIR, name.as_bytes());
            let files = self.files_below(&dir)?;
            let is_only = files.len() == 1;
            for (disk_path, size) in files {
                if let Ok(path) = RelPath::from_bytes(&disk_path[dir.len() + 1..]) {
                    let id = if is_only { name.clone() } else { format!("{name}/{path}") };
                    found.push(Trashed { id, path, at, size });
                }
            }
        }
        Ok(found)
    }

    /// Where the file of the entry `id` was.
    ///
    /// # Errors
    /// [`ApplyError::NotInTrash`].
    pub fn trash_path(&self, id: &str) -> Result<RelPath, ApplyError> {
        self.entry(id).map(|(path, _)| path)
    }

    /// Puts the entry `id` back under its path, or beside it where the name is taken; says where.
    ///
    /// # Errors
    /// [`ApplyError::NotInTrash`]; what is in the way; what the system refused.
    pub fn trash_restore(&self, id: &str) -> Result<RelPath, ApplyError> {
        let (path, from) = self.entry(id)?;
        let dir = self.make_parents(&path)?;
        let to = join(&dir, path.name().as_bytes());
        let restored = match self.rename_new(&from, &to) {
            Ok(()) => path,
            Err(error) if Refusal::of(&error) == Refusal::Exists => {
                self.move_beside(&from, &dir, &variant(&path, " (restored)"))?
            }
            Err(error) => return Err(ApplyError::at(&path, "restore", error)),
        };
        self.disk.sync_dir(&dir).map_err(|error| ApplyError::io(quoted(&restored), "sync the directory of", error))?;
        self.clear_entry(&from);
        Ok(restored)
    }

    /// Removes for good what is older than `days`, then the oldest until at most `max_bytes` are left.
    ///
    /// # Errors
    /// What the system refused; what was removed before stays removed.
    pub fn trash_prune(&self, days: u32, max_bytes: u64, now: UnixNanos) -> Result<Pruned, ApplyError> {
        let oldest = UnixNanos(now.0.saturating_sub(i64::from(days) * DAY));
        let entries = self.trash_list()?;
        let mut left: u64 = entries.iter().map(|entry| entry.size).sum();
        let mut pruned = Pruned::default();
        for entry in entries {
            if entry.at >= oldest && left <= max_bytes {
                break;
            }
            self.erase(&entry)?;
            left -= entry.size;
            pruned.files += 1;
            pruned.bytes += entry.size;
        }
        pruned.left = left;
        Ok(pruned)
    }

    /// Removes everything in the trash for good.
    ///
    /// # Errors
    /// What the system refused; what was removed before stays removed.
    pub fn trash_empty(&self) -> Result<Pruned, ApplyError> {
        let mut pruned = Pruned::default();
        for entry in self.trash_list()? {
            self.erase(&entry)?;
            pruned.files += 1;
            pruned.bytes += entry.size;
        }
        Ok(pruned)
    }

    /// Clears up after a run that ended in the middle: removes staged parts other than `keep`, puts files back whose
    /// replacement did not finish, and removes empty directories of the trash. To be called before anything is staged.
    ///
    /// # Errors
    /// What the system refused.
    pub fn sweep(&self, keep: &BTreeSet<String>) -> Result<Swept, ApplyError> {
        let mut swept = Swept { removed: self.sweep_staged(keep)?, healed: Vec::new() };
        for name in self.names(TRASH_DIR)? {
            let dir = join(TRASH_DIR, name.as_bytes());
            if let Some(id) = name.strip_suffix(MOVED) {
                self.heal(id, &dir, &mut swept)?;
            }
            self.remove_empty(&dir);
        }
        Ok(swept)
    }

    /// Removes staged parts other than `keep`, and says how many; and what was displaced for good becomes an entry of the
    /// trash where it could not at once. To be called while nothing is being staged.
    ///
    /// # Errors
    /// What the system refused.
    pub fn sweep_staged(&self, keep: &BTreeSet<String>) -> Result<u64, ApplyError> {
        let left = std::mem::take(&mut *self.unsettled());
        for (slot, path) in left {
            if let Err(error) = self.settle(&slot, &path, Durability::Each) {
                tracing::debug!(%error, "an entry of the trash keeps its mark for now");
            }
        }
        let mut removed = 0;
        for name in self.names(STAGED_DIR)?.into_iter().filter(|name| !keep.contains(name)) {
            self.disk
                .unlink(&join(STAGED_DIR, name.as_bytes()))
                .map_err(|error| ApplyError::io(format!("the staged part {name}"), "remove", error))?;
            removed += 1;
        }
        Ok(removed)
    }

    fn heal(&self, id: &str, dir: &[u8], swept: &mut Swept) -> Result<(), ApplyError> {
        for (from, _) in self.files_below(dir)? {
            let Ok(path) = RelPath::from_bytes(&from[dir.len() + 1..]) else { continue };
            let parent = self.make_parents(&path)?;
            match self.rename_new(&from, &join(&parent, path.name().as_bytes())) {
                Ok(()) => {
                    let synced = self.disk.sync_dir(&parent);
                    synced.map_err(|error| ApplyError::io(quoted(&path), "sync the directory of", error))?;
                    swept.healed.push(path);
                }
                // The replacement had arrived: what is here is the version it displaced.
                Err(error) if Refusal::of(&error) == Refusal::Exists => {
                    let name = join(&parent, path.name().as_bytes());
                    let slot = Slot { id: id.to_owned(), dir: dir.to_vec(), path: from };
                    self.settle(&slot, &name, Durability::Each)
                        .map_err(|error| ApplyError::io(quoted(&path), "keep", error))?;
                }
                Err(error) => return Err(ApplyError::at(&path, "put back", error)),
            }
        }
        Ok(())
    }

    /// The path and the place of an entry.
    fn entry(&self, id: &str) -> Result<(RelPath, Vec<u8>), ApplyError> {
        let unknown = || ApplyError::NotInTrash { id: id.to_owned() };
        let (name, path) = id.split_once('/').map_or((id, None), |(name, path)| (name, Some(path)));
        stamp(name).ok_or_else(unknown)?;
        let dir = join(TRASH_DIR, name.as_bytes());
        let path = match path {
            Some(path) => RelPath::new(path).map_err(|_| unknown())?,
            None => match self.files_below(&dir).map_err(|_| unknown())?.as_slice() {
                [(only, _)] => RelPath::from_bytes(&only[dir.len() + 1..]).map_err(|_| unknown())?,
                _ => return Err(unknown()),
            },
        };
        let place = join(&dir, path.as_str().as_bytes());
        match self.disk.stat(&place) {
            Ok(stat) if stat.kind == Kind::File => Ok((path, place)),
            _ => Err(unknown()),
        }
    }

    fn erase(&self, entry: &Trashed) -> Result<(), ApplyError> {
        let (path, place) = self.entry(&entry.id)?;
        self.disk
            .unlink(&place)
            .map_err(|error| ApplyError::io(format!("{} in the trash", quoted(&path)), "remove", error))?;
        self.clear_entry(&place);
        Ok(())
    }

    /// Removes the emptied directories above the place `path` in the trash.
    fn clear_entry(&self, path: &[u8]) {
        let mut dir = split(path).0;
        while dir.len() > TRASH_DIR.len() && self.disk.rmdir(dir).is_ok() {
            dir = split(dir).0;
        }
    }

    /// Makes a state directory that is missing; another call may be first.
    pub(crate) fn make_again(&self, dir: &[u8]) -> io::Result<()> {
        match self.disk.mkdir(dir, 0o700) {
            Err(error) if Refusal::of(&error) == Refusal::Exists => Ok(()),
            other => other,
        }
    }

    /// The names in a state directory, in order; none where it is missing.
    pub(crate) fn names(&self, dir: &[u8]) -> Result<Vec<String>, ApplyError> {
        let mut names = Vec::new();
        let listed = self.disk.list(dir, &mut |name, _| {
            if let Ok(name) = std::str::from_utf8(name) {
                names.push(name.to_owned());
            }
            ControlFlow::Continue(())
        });
        match listed {
            Err(error) if Refusal::of(&error) != Refusal::NotFound => {
                return Err(ApplyError::io("the state directory", "read", error));
            }
            _ => {}
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Every file below a directory of the trash with its size, and directories that came there whole, in order.
    fn files_below(&self, dir: &[u8]) -> Result<Vec<(Vec<u8>, u64)>, ApplyError> {
        let mut files = Vec::new();
        let mut dirs = vec![dir.to_vec()];
        while let Some(dir) = dirs.pop() {
            let listed = self.disk.list(&dir, &mut |name, stat| {
                match stat {
                    Ok(stat) if stat.kind == Kind::Directory => dirs.push(join(&dir, name)),
                    Ok(stat) => files.push((join(&dir, name), stat.fingerprint.size)),
                    Err(_) => {}
                }
                ControlFlow::Continue(())
            });
            match listed {
                Err(error) if Refusal::of(&error) == Refusal::NotADirectory => {}
                other => other.map_err(|error| ApplyError::io("the trash", "read", error))?,
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Removes `dir` and the directories below it as far as they are empty.
    fn remove_empty(&self, dir: &[u8]) {
        let mut dirs = vec![dir.to_vec()];
        let mut at = 0;
        while at < dirs.len() {
            let parent = dirs[at].clone();
            let _ = self.disk.list(&parent, &mut |name, stat| {
                if stat.is_ok_and(|stat| stat.kind == Kind::Directory) {
                    dirs.push(join(&parent, name));
                }
                ControlFlow::Continue(())
            });
            at += 1;
        }
        for dir in dirs.iter().rev() {
            let _ = self.disk.rmdir(dir);
        }
    }
}

/// The time in an entry's name; `None` for what is no entry.
fn stamp(name: &str) -> Option<UnixNanos> {
    let (nanos, counter) = name.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(nanos) || !digits(counter) {
        return None;
    }
    nanos.parse().ok().map(UnixNanos)
}
