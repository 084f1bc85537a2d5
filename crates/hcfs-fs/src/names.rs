//! From a relative path to the bytes on disk, and to names that are free.
//!
//! A [`RelPath`] is NFC; a name on disk may be another Unicode form of it. The NFC form is tried first, then NFD, then
//! the directory is read: names in mixed forms are rare, and only a name that could have another form is looked for.

use std::borrow::Cow;
use std::io;
use std::ops::ControlFlow;

use hcfs_model::RelPath;
use unicode_normalization::UnicodeNormalization;

use crate::disk::{Disk, Kind, Refusal, Rename, Stat, join, split};
use crate::error::{ApplyError, Obstacle};
use crate::folder::{Folder, MARKER_PATH, PROBE_PATH};

/// The longest name of common file systems, in bytes.
const NAME_MAX: usize = 255;
/// The mode a new directory asks for; the umask takes its bits away.
const NEW_DIR: u32 = 0o777;
/// How many names are tried before giving up on finding a free one.
const TRIES: u32 = 1000;

/// The name on disk for one segment.
enum Found {
    Missing,
    One {
        name: Vec<u8>,
        stat: Stat,
    },
    /// More than one name equal under NFC.
    Several,
}

/// Where a path leads.
pub(crate) enum Resolved {
    /// Nothing there, or a directory above it is missing.
    Missing,
    /// Something stands there.
    Here {
        /// The bytes of its path on disk.
        disk: Vec<u8>,
        /// What it is.
        stat: Stat,
    },
}

/// Whether a name on disk other than `segment` could be equal to it under NFC.
fn has_other_forms(segment: &str) -> bool {
    // The Kelvin sign, the Greek question mark and the Greek varia are the three characters with an ASCII form.
    !segment.is_ascii() || segment.contains(['K', ';', '`'])
}

/// The NFC form of a name on disk; `None` where it is not UTF-8.
pub(crate) fn composed(name: &[u8]) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(name).ok()?;
    if unicode_normalization::is_nfc(text) {
        return Some(Cow::Borrowed(text));
    }
    Some(Cow::Owned(text.nfc().collect()))
}

fn stat_if_there(disk: &dyn Disk, path: &[u8]) -> io::Result<Option<Stat>> {
    match disk.stat(path) {
        Ok(stat) => Ok(Some(stat)),
        Err(error) if Refusal::of(&error) == Refusal::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn find(disk: &dyn Disk, dir: &[u8], segment: &str) -> io::Result<Found> {
    let exact = stat_if_there(disk, &join(dir, segment.as_bytes()))?;
    if !has_other_forms(segment) {
        return Ok(exact.map_or(Found::Missing, |stat| Found::One { name: segment.into(), stat }));
    }
    let decomposed: String = segment.nfd().collect();
    if decomposed != segment {
        match (exact, stat_if_there(disk, &join(dir, decomposed.as_bytes()))?) {
            (Some(one), Some(other)) if one.fingerprint.inode != other.fingerprint.inode => return Ok(Found::Several),
            (None, Some(stat)) => return Ok(Found::One { name: decomposed.into(), stat }),
            _ => {}
        }
    }
    if let Some(stat) = exact {
        return Ok(Found::One { name: segment.into(), stat });
    }
    let mut found = Vec::new();
    disk.list(dir, &mut |name, stat| {
        if composed(name).is_some_and(|text| text == segment) {
            found.push((name.to_vec(), stat));
        }
        ControlFlow::Continue(())
    })?;
    match (found.pop(), found.is_empty()) {
        (None, _) => Ok(Found::Missing),
        (Some((name, stat)), true) => Ok(Found::One { name, stat: stat? }),
        (Some(_), false) => Ok(Found::Several),
    }
}

impl Folder {
    /// Where `path` leads; links are not followed, and two names for one segment are in the way.
    pub(crate) fn resolve(&self, path: &RelPath) -> Result<Resolved, ApplyError> {
        let mut disk = Vec::new();
        let mut stat = None;
        for (depth, segment) in path.segments().enumerate() {
            if let Some(Stat { kind: Kind::File | Kind::Special, .. }) = stat {
                return Ok(Resolved::Missing);
            }
            let at = || path.segments().take(depth + 1).collect::<Vec<_>>().join("/");
            match find(&*self.disk, &disk, segment) {
                // Where case is folded, what was found may stand there under a name in another case.
                Ok(Found::One { name, stat: found }) if !self.case_insensitive || self.holds_exactly(&disk, &name) => {
                    disk = join(&disk, &name);
                    stat = Some(found);
                }
                Ok(Found::One { .. } | Found::Missing) => return Ok(Resolved::Missing),
                Ok(Found::Several) => {
                    return Err(ApplyError::Blocked { path: path.clone(), by: Obstacle::TwoNames, at: at() });
                }
                Err(error) => match Refusal::of(&error) {
                    Refusal::NotFound | Refusal::NotADirectory => return Ok(Resolved::Missing),
                    // A name the file system cannot hold does not stand on it.
                    Refusal::Name => return Ok(Resolved::Missing),
                    _ => return Err(blocked_or(path, split_text(&at()), "look at", error)),
                },
            }
        }
        Ok(stat.map_or(Resolved::Missing, |stat| Resolved::Here { disk, stat }))
    }

    /// The bytes on disk of the directory `path` lies in. Missing directories are made, and made durable.
    pub(crate) fn make_parents(&self, path: &RelPath) -> Result<Vec<u8>, ApplyError> {
        let mut dir = Vec::new();
        let Some(parent) = path.parent() else { return Ok(dir) };
        let mut text = String::new();
        for segment in parent.segments() {
            if !text.is_empty() {
                text.push('/');
            }
            text.push_str(segment);
            dir = self.directory_in(&dir, segment, path, &text)?;
        }
        Ok(dir)
    }

    fn directory_in(&self, dir: &[u8], segment: &str, path: &RelPath, at: &str) -> Result<Vec<u8>, ApplyError> {
        let blocked = |by| ApplyError::Blocked { path: path.clone(), by, at: at.to_owned() };
        // Twice: another thread may make the directory between the look and the mkdir.
        for _ in 0..2 {
            let found =
                find(&*self.disk, dir, segment).map_err(|error| blocked_or(path, at, "make a directory for", error))?;
            match found {
                Found::One { name, stat } => {
                    return match stat.kind {
                        Kind::Directory => Ok(join(dir, &name)),
                        Kind::File => Err(blocked(Obstacle::File)),
                        Kind::Symlink => Err(blocked(Obstacle::Symlink)),
                        Kind::Special => Err(blocked(Obstacle::Special)),
                    };
                }
                Found::Several => return Err(blocked(Obstacle::TwoNames)),
                Found::Missing => {
                    let made = join(dir, segment.as_bytes());
                    match self.disk.mkdir(&made, NEW_DIR).and_then(|()| self.sync_nearest(dir)) {
                        Ok(()) => return Ok(made),
                        Err(error) if Refusal::of(&error) == Refusal::Exists => {}
                        Err(error) => return Err(blocked_or(path, at, "make a directory for", error)),
                    }
                }
            }
        }
        Err(ApplyError::Changed { path: path.clone() })
    }

    /// Makes the name `path` durable, or that it is gone.
    pub(crate) fn sync_above(&self, path: &[u8]) -> io::Result<()> {
        self.sync_nearest(split(path).0)
    }

    /// Syncs `dir`, or the nearest directory above it that is left: another call may have removed it because it was
    /// empty, and its entry there is then what has to be durable.
    pub(crate) fn sync_nearest(&self, mut dir: &[u8]) -> io::Result<()> {
        loop {
            match self.disk.sync_dir(dir) {
                Err(error) if !dir.is_empty() && Refusal::of(&error) == Refusal::NotFound => dir = split(dir).0,
                other => return other,
            }
        }
    }

    /// Renames what lies in the trash or among the staged parts to a name that must not exist, in one step where the
    /// file system can, else by a second link. Not for a name that a person sees: what is saved under it between the
    /// link and the removal of the old name would be removed.
    pub(crate) fn rename_new(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        match self.disk.rename(from, to, Rename::NoReplace) {
            Err(error) if Refusal::of(&error) == Refusal::Unsupported => match self.link_instead(from, to, error) {
                Ok(()) => self.disk.unlink(from),
                // A plain rename of a directory replaces an empty one at most.
                Err(_) if self.disk.stat(from).is_ok_and(|stat| stat.kind == Kind::Directory) => {
                    self.disk.rename(from, to, Rename::Replace)
                }
                Err(error) => Err(error),
            },
            other => other,
        }
    }

    /// Moves what stands under a name of the folder to `place`, a fresh one in the trash.
    pub(crate) fn move_to_trash(&self, from: &[u8], place: &[u8]) -> io::Result<()> {
        match self.disk.rename(from, place, Rename::NoReplace) {
            Err(error) if Refusal::of(&error) == Refusal::Unsupported => {
                // Only where it could be given back. Nobody else puts anything at the place: nothing is replaced.
                self.check_links(error)?;
                self.disk.rename(from, place, Rename::Replace)
            }
            other => other,
        }
    }

    /// Fails with `refused` where there are no hard links.
    fn check_links(&self, refused: io::Error) -> io::Result<()> {
        match self.link_instead(MARKER_PATH, PROBE_PATH, refused) {
            // One that is left is removed at the next start.
            Ok(()) => drop(self.disk.unlink(PROBE_PATH)),
            Err(error) if Refusal::of(&error) == Refusal::Exists => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// A second link where a rename met `error`, which is the reason where there are no hard links either.
    fn link_instead(&self, from: &[u8], to: &[u8], error: io::Error) -> io::Result<()> {
        self.disk.link(from, to).map_err(|second| match Refusal::of(&second) {
            Refusal::Denied | Refusal::Unsupported => error,
            _ => second,
        })
    }

    /// Removes a directory that holds nothing but directories; whether it is gone. What is synced is files: such a
    /// directory must not keep one from its name.
    pub(crate) fn remove_hollow(&self, dir: &[u8]) -> bool {
        let mut dirs = vec![dir.to_vec()];
        let mut at = 0;
        while at < dirs.len() {
            let parent = dirs[at].clone();
            let mut hollow = true;
            let listed = self.disk.list(&parent, &mut |name, stat| {
                hollow = stat.is_ok_and(|stat| stat.kind == Kind::Directory);
                if !hollow {
                    return ControlFlow::Break(());
                }
                dirs.push(join(&parent, name));
                ControlFlow::Continue(())
            });
            if listed.is_err() || !hollow {
                return false;
            }
            at += 1;
        }
        // One that got a file meanwhile is not removed, nor is what it lies in.
        dirs.iter().rev().all(|dir| self.disk.rmdir(dir).is_ok())
    }

    /// Moves `from` beside `wanted` in the directory `dir`, under `wanted`'s name or the first free variant of it.
    pub(crate) fn move_beside(&self, from: &[u8], dir: &[u8], wanted: &RelPath) -> Result<RelPath, ApplyError> {
        for number in 1..=TRIES {
            let path = if number == 1 { wanted.clone() } else { variant(wanted, &format!(" {number}")) };
            match self.rename_new(from, &join(dir, path.name().as_bytes())) {
                Ok(()) => return Ok(path),
                Err(error) if Refusal::of(&error) == Refusal::Exists => {}
                Err(error) => return Err(ApplyError::at(&path, "move", error)),
            }
        }
        Err(ApplyError::Changed { path: wanted.clone() })
    }

    /// Whether a directory holds a name by these very bytes. One that cannot be read may.
    fn holds_exactly(&self, dir: &[u8], name: &[u8]) -> bool {
        let mut is_there = false;
        let listed = self.disk.list(dir, &mut |found, _| {
            is_there = found == name;
            if is_there { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        is_there || listed.is_err()
    }

    /// Why `to` cannot be made although nothing stands at it by that exact name: the file system holds it already in
    /// another case or form.
    pub(crate) fn taken(&self, path: &RelPath, to: &[u8]) -> ApplyError {
        let (dir, name) = split(to);
        if self.holds_exactly(dir, name) { ApplyError::Changed { path: path.clone() } } else { folded(path) }
    }

    /// Refuses a directory on the way to `path` that stands on disk in another case: what is put below it would be found
    /// under another path, and not under its own.
    pub(crate) fn check_case(&self, path: &RelPath, mut dir: &[u8]) -> Result<(), ApplyError> {
        while self.case_insensitive && !dir.is_empty() {
            let (above, name) = split(dir);
            if !self.holds_exactly(above, name) {
                return Err(folded(path));
            }
            dir = above;
        }
        Ok(())
    }
}

/// A name of `path` cannot stand beside one that is there.
fn folded(path: &RelPath) -> ApplyError {
    ApplyError::NameNotPossible {
        path: path.clone(),
        reason: "another name there differs from it only in case or form, and the file system takes them for one"
            .into(),
    }
}

/// Whether another Unicode form of the name of `path` stands in the directory `dir`.
pub(crate) fn other_form(disk: &dyn Disk, dir: &[u8], path: &RelPath) -> bool {
    let decomposed: String = path.name().nfd().collect();
    decomposed != path.name() && matches!(stat_if_there(disk, &join(dir, decomposed.as_bytes())), Ok(Some(_)))
}

/// An error met at `at`, on the way to `path`.
fn blocked_or(path: &RelPath, at: &str, doing: &'static str, error: io::Error) -> ApplyError {
    match Refusal::of(&error) {
        Refusal::Symlink => ApplyError::Blocked { path: path.clone(), by: Obstacle::Symlink, at: at.to_owned() },
        _ => ApplyError::at(path, doing, error),
    }
}

/// The directory part of a path's text: where a link in the way stands at the latest.
fn split_text(at: &str) -> &str {
    at.rsplit_once('/').map_or(at, |(dir, _)| dir)
}

/// `path` with `suffix` put before the extension of its name, which is shortened to what file systems hold.
pub(crate) fn variant(path: &RelPath, suffix: &str) -> RelPath {
    let name = path.name();
    let (stem, extension) = match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= 16 => name.split_at(at),
        _ => (name, ""),
    };
    let room = NAME_MAX.saturating_sub(suffix.len() + extension.len());
    let cut = (0..=room.min(stem.len())).rev().find(|&at| stem.is_char_boundary(at)).unwrap_or(0);
    // A path at the very limit of its length keeps its name, which is then taken.
    path.with_name(&format!("{}{suffix}{extension}", &stem[..cut])).unwrap_or_else(|_| path.clone())
}
