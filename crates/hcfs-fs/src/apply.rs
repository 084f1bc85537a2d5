//! Guarded changes: put in place, remove, rename.
//!
//! Invariants: each acts only on the version the caller saw. The fingerprint is compared before, and what was really
//! displaced is looked at after (its size, time of change and inode: a rename changes its ctime). A version nobody
//! expected is never overwritten: it is put back, or kept beside as a conflict copy.
//!
//! The order of a replacement: the staged file takes its place in the trash, everything is made durable, then it is
//! exchanged with the target. So the displaced file lies in the trash, under its path and time, from the very moment
//! it is displaced. Where the file system cannot exchange, the target is moved to the trash first; for a moment nothing
//! stands under the name, and [`Folder::sweep`] puts the file back should the process die in it.
//!
//! Deliberately absent: owners, access lists and extended attributes of a replaced file; only its permission bits pass
//! to the new one, without set-id bits.

mod rename;

use std::io;
use std::ops::ControlFlow;

use hcfs_model::{Fingerprint, LocalEntry, Problem, ProblemCode, RelPath, UnixNanos};

use crate::disk::{Kind, Refusal, Rename, join, split};
use crate::error::{ApplyError, quoted};
use crate::folder::{Folder, regular};
use crate::names::other_form;
use crate::rules::Rules;
use crate::scan::granularity;
use crate::stage::Staged;
use crate::trash::{MOVED, Slot};

pub use rename::{Move, Renamed};

/// How often an operation starts again because a parent directory vanished under it.
const TRIES: u32 = 16;
/// What permission bits a new file takes from the one it replaces.
const KEPT_MODE: u32 = 0o777;

/// What the caller saw at a path.
#[derive(Debug, Clone, Copy)]
pub enum Expect<'a> {
    /// Nothing.
    Absent,
    /// This file.
    This(&'a LocalEntry),
}

/// When a change is made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// File and directories are durable when the call returns.
    Each,
    /// Nothing is synced here. The caller calls [`Folder::sync_all`] after the parts are written and before the first
    /// install of the batch, and again before it records the batch. For file systems that keep the order of renames,
    /// as ext4, XFS and btrfs do.
    Batch,
}

/// What [`Folder::install`] does.
#[derive(Debug, Clone, Copy)]
pub struct Install<'a> {
    /// Where the part goes.
    pub target: &'a RelPath,
    /// What stands there.
    pub expect: Expect<'a>,
    /// The name, beside the target, for a version that nobody expected there; the first free variant is taken.
    pub aside: &'a RelPath,
    /// Now, for the trash.
    pub at: UnixNanos,
    /// When it is made durable.
    pub durability: Durability,
}

/// What [`Folder::remove`] does.
#[derive(Clone, Copy)]
pub struct Remove<'a> {
    /// What goes to the trash.
    pub target: &'a RelPath,
    /// The file as seen.
    pub entry: &'a LocalEntry,
    /// To tell why an emptied directory stays.
    pub rules: &'a Rules,
    /// Now, for the trash.
    pub at: UnixNanos,
    /// When it is made durable.
    pub durability: Durability,
}

/// A file as it stands after it was put in place or renamed: what to record of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Size, time and inode as checked before the rename, with the ctime the rename gave; any later edit differs.
    pub fingerprint: Fingerprint,
    /// What to record as the time the hash was taken: such that the next scan reads the file again only where an edit
    /// could hide behind the same fingerprint.
    pub hashed_at: UnixNanos,
    /// The bytes of its path on disk, where they are not those of the relative path.
    pub disk_path: Option<Box<[u8]>>,
}

/// What an install displaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Displaced {
    /// Nothing stood there.
    Nothing,
    /// The expected version, now in the trash.
    Trashed {
        /// Its entry.
        id: String,
    },
    /// A version nobody expected, now under this name beside the target.
    Conflict(RelPath),
    /// A version nobody expected, which no name beside the target could take: it stays in the trash.
    ConflictInTrash {
        /// Its entry.
        id: String,
    },
}

/// A part under its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// What to record.
    pub placed: Placed,
    /// What was there before.
    pub displaced: Displaced,
}

/// A file in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Its entry.
    pub id: String,
    /// The directories that became empty by it and were removed, the deepest first.
    pub emptied: Vec<RelPath>,
    /// An emptied directory that stays, since something ignored is in it.
    pub problem: Option<Problem>,
}

impl Folder {
    /// Puts a staged part under its name. After an error the part lies under its own name again where that is possible,
    /// for [`Folder::resume_stage`] or [`Folder::discard`].
    ///
    /// # Errors
    /// [`ApplyError::Changed`] where something else stands there than expected; what is in the way; what the system
    /// refused. The user's version then stands where it stood; after a failed sync it may lie in the trash.
    #[expect(clippy::needless_pass_by_value, reason = "a part can be installed once: its handle ends here")]
    pub fn install(&self, staged: Staged, request: &Install<'_>) -> Result<Installed, ApplyError> {
        match request.expect {
            Expect::Absent => self.install_new(&staged, request),
            Expect::This(entry) => self.replace(&staged, request, entry),
        }
    }

    /// Moves a file to the trash, and removes the directories that this empties.
    ///
    /// # Errors
    /// As [`Folder::install`].
    pub fn remove(&self, request: &Remove<'_>) -> Result<Removed, ApplyError> {
        let target = request.target;
        let from = on_disk(target, request.entry);
        self.expect_there(target, from, request.entry)?;
        let slot = self.slot(target, request.at, "")?;
        self.displace(from, &slot, (target, request.entry), request.durability, "remove")?;
        durably(request.durability, || {
            self.disk.sync_dir(split(&slot.path).0)?;
            self.sync_above(from)
        })
        .map_err(|error| ApplyError::io(quoted(target), "sync the directory of", error))?;
        let (emptied, problem) = self.remove_emptied(target, from, request.rules, request.durability);
        Ok(Removed { id: slot.id, emptied, problem })
    }

    fn install_new(&self, staged: &Staged, request: &Install<'_>) -> Result<Installed, ApplyError> {
        let target = request.target;
        self.seal(staged, self.new_file_mode, request.durability)?;
        let before = stat_of(staged)?;
        let path = self.place_new(target, |path| self.rename_new(&staged.path, path))?;
        durably(request.durability, || {
            self.sync_above(&path)?;
            self.disk.sync_dir(split(&staged.path).0)
        })
        .map_err(|error| ApplyError::io(quoted(target), "sync the directory of", error))?;
        let placed = placed(&before, stat_of(staged)?.ctime, target, &path);
        Ok(Installed { placed, displaced: Displaced::Nothing })
    }

    /// Makes the parents of `path` and puts something there with `put`, which must not replace; says where on disk.
    fn place_new(&self, path: &RelPath, put: impl Fn(&[u8]) -> io::Result<()>) -> Result<Vec<u8>, ApplyError> {
        for _ in 0..TRIES {
            let dir = match self.make_parents(path) {
                // Another call removed a directory because it was empty.
                Err(ApplyError::Changed { .. }) => continue,
                other => other?,
            };
            self.check_case(path, &dir)?;
            if other_form(&*self.disk, &dir, path) {
                return Err(ApplyError::Changed { path: path.clone() });
            }
            let place = join(&dir, path.name().as_bytes());
            match put(&place) {
                Ok(()) => return Ok(place),
                Err(error) => match Refusal::of(&error) {
                    Refusal::NotFound => {}
                    Refusal::Exists if self.remove_hollow(&place) => {}
                    Refusal::Exists => return Err(self.in_the_way(path, &place)),
                    _ => return Err(ApplyError::at(path, "put in place", error)),
                },
            }
        }
        Err(ApplyError::Changed { path: path.clone() })
    }

    fn replace(&self, staged: &Staged, request: &Install<'_>, entry: &LocalEntry) -> Result<Installed, ApplyError> {
        let target = request.target;
        let path = on_disk(target, entry);
        let mode = self.expect_there(target, path, entry)?;
        let slot = self.slot(target, request.at, "")?;
        let prepared = self
            .rename_new(&staged.path, &slot.path)
            .map_err(|error| ApplyError::io(part(staged), "move", error))
            .and_then(|()| self.seal(staged, mode & KEPT_MODE, request.durability))
            .and_then(|()| {
                durably(request.durability, || slot.sync(&*self.disk))
                    .map_err(|error| ApplyError::io(quoted(target), "make a place in the trash for", error))
            })
            .and_then(|()| stat_of(staged));
        let before = match prepared {
            Ok(before) => before,
            Err(error) => {
                self.unprepare(staged, &slot);
                return Err(error);
            }
        };
        if let Err(error) = self.disk.rename(&slot.path, path, Rename::Exchange) {
            self.unprepare(staged, &slot);
            return match Refusal::of(&error) {
                Refusal::Unsupported => self.replace_by_moving(staged, request, entry),
                _ => Err(ApplyError::at(target, "replace", error)),
            };
        }
        let dir = split(path).0;
        let displaced = self.displaced(&slot, dir, request, entry);
        durably(request.durability, || {
            self.sync_above(path)?;
            match displaced {
                Displaced::Conflict(_) => Ok(()),
                _ => self.disk.sync_dir(split(&slot.path).0),
            }
        })
        .map_err(|error| ApplyError::io(quoted(target), "sync the directory of", error))?;
        Ok(Installed { placed: placed(&before, stat_of(staged)?.ctime, target, path), displaced })
    }

    /// Looks at what an exchange displaced to `slot`, and moves a version that nobody expected beside the target.
    fn displaced(&self, slot: &Slot, dir: &[u8], request: &Install<'_>, entry: &LocalEntry) -> Displaced {
        let id = slot.id.clone();
        if self.is_version(&slot.path, entry) {
            return Displaced::Trashed { id };
        }
        match self.move_beside(&slot.path, dir, request.aside) {
            Ok(beside) => {
                slot.clear(&*self.disk);
                Displaced::Conflict(beside)
            }
            Err(_) => Displaced::ConflictInTrash { id },
        }
    }

    /// A replacement on a file system that cannot exchange two names.
    fn replace_by_moving(
        &self,
        staged: &Staged,
        request: &Install<'_>,
        entry: &LocalEntry,
    ) -> Result<Installed, ApplyError> {
        let target = request.target;
        let path = on_disk(target, entry);
        let before = stat_of(staged)?;
        let slot = self.slot(target, request.at, MOVED)?;
        self.displace(path, &slot, (target, entry), request.durability, "replace")?;
        if let Err(error) = self.rename_new(&staged.path, path) {
            let error = ApplyError::at(target, "replace", error);
            self.give_back(&slot, path, target);
            return Err(error);
        }
        self.settle(&slot, path, request.durability)
            .map_err(|error| ApplyError::io(quoted(target), "sync the directory of", error))?;
        let placed = placed(&before, stat_of(staged)?.ctime, target, path);
        Ok(Installed { placed, displaced: Displaced::Trashed { id: slot.id } })
    }

    /// Moves what stands at `path` on disk to its place in the trash, if it is the version the caller saw; else it stands
    /// where it stood.
    fn displace(
        &self,
        path: &[u8],
        slot: &Slot,
        (target, entry): (&RelPath, &LocalEntry),
        durability: Durability,
        doing: &'static str,
    ) -> Result<(), ApplyError> {
        let moved = durably(durability, || slot.sync(&*self.disk)).and_then(|()| self.move_to_trash(path, &slot.path));
        if let Err(error) = moved {
            slot.clear(&*self.disk);
            return Err(ApplyError::at(target, doing, error));
        }
        if self.is_version(&slot.path, entry) { Ok(()) } else { Err(self.give_back(slot, path, target)) }
    }

    /// Gives the part its final mode, and makes its content durable.
    fn seal(&self, staged: &Staged, mode: u32, durability: Durability) -> Result<(), ApplyError> {
        staged
            .file
            .set_mode(mode)
            .and_then(|()| durably(durability, || staged.file.sync()))
            .map_err(|error| ApplyError::io(part(staged), "sync", error))
    }

    /// Takes the part out of the trash again, where it can be.
    fn unprepare(&self, staged: &Staged, slot: &Slot) {
        let _ = self.rename_new(&slot.path, &staged.path);
        slot.clear(&*self.disk);
    }

    /// Puts a version that was not expected back under its name. Where that is taken again it stays in the trash.
    fn give_back(&self, slot: &Slot, path: &[u8], target: &RelPath) -> ApplyError {
        if self.rename_new(&slot.path, path).is_ok() {
            slot.clear(&*self.disk);
        } else if let Err(error) = self.settle(slot, path, Durability::Each) {
            tracing::debug!(%error, "an entry of the trash keeps its mark for now");
        }
        ApplyError::Changed { path: target.clone() }
    }

    /// Checks that the file is what the caller saw; says its mode.
    fn expect_there(&self, path: &RelPath, disk_path: &[u8], entry: &LocalEntry) -> Result<u32, ApplyError> {
        let stat = self.disk.stat(disk_path).map_err(|error| ApplyError::at(path, "look at", error))?;
        if regular(path, &stat)? != entry.fingerprint {
            return Err(ApplyError::Changed { path: path.clone() });
        }
        Ok(stat.mode)
    }

    /// Whether the file that was displaced to `path` is the version of `entry`.
    fn is_version(&self, path: &[u8], entry: &LocalEntry) -> bool {
        self.disk
            .stat(path)
            .is_ok_and(|stat| stat.kind == Kind::File && same_version(&stat.fingerprint, &entry.fingerprint))
    }

    fn in_the_way(&self, path: &RelPath, disk_path: &[u8]) -> ApplyError {
        match self.disk.stat(disk_path).map(|stat| regular(path, &stat)) {
            Ok(Err(blocked)) => blocked,
            _ => self.taken(path, disk_path),
        }
    }

    /// Removes the directories above `path` that are empty now. One that only holds ignored things stays, as a problem.
    fn remove_emptied(
        &self,
        path: &RelPath,
        disk_path: &[u8],
        rules: &Rules,
        durability: Durability,
    ) -> (Vec<RelPath>, Option<Problem>) {
        let mut emptied = Vec::new();
        let mut problem = None;
        let mut dir = split(disk_path).0;
        for parent in path.ancestors() {
            match self.disk.rmdir(dir) {
                Ok(()) => emptied.push(parent),
                Err(error) => {
                    if Refusal::of(&error) == Refusal::NotEmpty && self.only_ignored(&parent, dir, rules) {
                        problem = Some(ignored_inside(parent));
                    }
                    break;
                }
            }
            dir = split(dir).0;
        }
        if !emptied.is_empty() {
            // Not worth an error: an empty directory that comes back after a power loss is removed by the next one.
            let _ = durably(durability, || self.sync_nearest(dir));
        }
        (emptied, problem)
    }

    fn only_ignored(&self, dir: &RelPath, disk_path: &[u8], rules: &Rules) -> bool {
        let mut all = true;
        let listed = self.disk.list(disk_path, &mut |name, stat| {
            let is_dir = stat.is_ok_and(|stat| stat.kind == Kind::Directory);
            let path = std::str::from_utf8(name).ok().and_then(|name| dir.join(name).ok());
            all &= path.is_some_and(|path| rules.is_ignored(&path, is_dir));
            if all { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        all && listed.is_ok()
    }
}

fn ignored_inside(dir: RelPath) -> Problem {
    Problem {
        message: format!("\"{dir}\" stays: its synced files are gone, and ignored ones are left in it"),
        path: Some(dir),
        code: ProblemCode::IgnoredInside,
        hint: "remove the directory, or change the ignore rules".into(),
    }
}

/// The bytes of the path of `entry` on disk.
fn on_disk<'a>(path: &'a RelPath, entry: &'a LocalEntry) -> &'a [u8] {
    entry.disk_path.as_deref().unwrap_or(path.as_str().as_bytes())
}

pub(crate) fn durably(durability: Durability, sync: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match durability {
        Durability::Each => sync(),
        Durability::Batch => Ok(()),
    }
}

fn part(staged: &Staged) -> String {
    format!("the staged part {}", staged.name)
}

fn stat_of(staged: &Staged) -> Result<Fingerprint, ApplyError> {
    let stat = staged.file.stat().map_err(|error| ApplyError::io(part(staged), "look at", error))?;
    Ok(stat.fingerprint)
}

/// Whether two fingerprints are of one version, a rename between them.
fn same_version(one: &Fingerprint, other: &Fingerprint) -> bool {
    (one.size, one.mtime, one.inode) == (other.size, other.mtime, other.inode)
}

/// What to record of the version `before` after the rename that set `ctime`.
fn placed(before: &Fingerprint, ctime: UnixNanos, path: &RelPath, disk_path: &[u8]) -> Placed {
    let fingerprint = Fingerprint { ctime, ..*before };
    let step = granularity(ctime);
    // The rename alone set the ctime. An edit after it gives a new time of change, and this one is clearly older.
    let vouched = ctime.0.saturating_sub(before.mtime.0) > step;
    let hashed_at = if vouched { UnixNanos(ctime.0.saturating_add(step + 1)) } else { before.mtime };
    let disk_path = (disk_path != path.as_str().as_bytes()).then(|| disk_path.into());
    Placed { fingerprint, hashed_at, disk_path }
}
