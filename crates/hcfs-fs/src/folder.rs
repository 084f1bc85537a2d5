//! One open folder: its root, marker and lock.
//!
//! Invariants: the marker is written under the lock and complete or absent; a folder that was synced before is never
//! given a new marker, so an unmounted or replaced root is told from a new one.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use hcfs_model::{Fingerprint, Inode, RelPath};

use crate::disk::{Disk, DiskFile, Kind, LinuxDisk, Open, Refusal, Rename, Stat, overlap, read_small};
use crate::error::{ApplyError, Difference, Obstacle, RootError};
use crate::names::Resolved;
use crate::trash::Slot;
use crate::{STAGED_DIR, STATE_DIR, TRASH_DIR};

/// The marker's name in the state directory.
pub(crate) const MARKER: &str = "marker";
pub(crate) const MARKER_PATH: &[u8] = b".hcfs/marker";
const MARKER_NEW: &[u8] = b".hcfs/marker.new";
const LOCK_PATH: &[u8] = b".hcfs/lock";
pub(crate) const PROBE_PATH: &[u8] = b".hcfs/probe";
const MARKER_SWAPPED_CASE: &[u8] = b".hcfs/MARKER";
const MARKER_HEAD: &str = "hcfs folder\nversion 1\nid ";
/// The mode a new file asks for; the umask takes its bits away.
const NEW_FILE: u32 = 0o666;

/// What tells a root again: kept in the state database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootIdentity {
    /// The folder's id, as in its marker.
    pub id: [u8; 16],
    /// The directory.
    pub inode: Inode,
}

/// What [`Folder::open`] needs to know.
#[derive(Debug, Clone, Copy)]
pub struct OpenRequest<'a> {
    /// The directory to keep in step.
    pub root: &'a Path,
    /// The root as remembered; `None` for a folder that is new, or whose database was lost: its marker is then
    /// adopted, or made where there is none.
    pub known: Option<RootIdentity>,
    /// A random id, for a marker that has to be made.
    pub new_id: [u8; 16],
    /// The roots of the other folders of this configuration.
    pub others: &'a [PathBuf],
}

/// A folder: open, checked and locked.
pub struct Folder {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) identity: RootIdentity,
    pub(crate) is_absent: bool,
    pub(crate) case_insensitive: bool,
    /// The mode of a file that replaces none: 0666 without the umask.
    pub(crate) new_file_mode: u32,
    /// Tells trash entries of one moment apart.
    pub(crate) trash_counter: AtomicU64,
    /// What was displaced and still has its mark, with the path on disk that it was displaced from.
    pub(crate) unsettled: Mutex<Vec<(Slot, Vec<u8>)>>,
    /// Held open: closing it gives the folder free.
    pub(crate) _lock: Option<Box<dyn DiskFile>>,
}

/// A file open for reading, with the fingerprint it had when it was opened.
pub struct OpenFile {
    handle: Box<dyn DiskFile>,
    fingerprint: Fingerprint,
}

impl OpenFile {
    /// The fingerprint when the file was opened.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Reads at `offset`; 0 at the end of the file.
    ///
    /// # Errors
    /// What the system refused.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.handle.read_at(buffer, offset)
    }

    /// Whether the file is still what it was when it was opened: asked after the last byte was read.
    ///
    /// # Errors
    /// What the system refused.
    pub fn is_unchanged(&self) -> io::Result<bool> {
        Ok(self.handle.stat()?.fingerprint == self.fingerprint)
    }

    /// Whether the file still has at least as many bytes as it had when it was opened.
    ///
    /// # Errors
    /// What the system refused.
    pub fn has_not_shrunk(&self) -> io::Result<bool> {
        Ok(self.handle.stat()?.fingerprint.size >= self.fingerprint.size)
    }
}

impl Folder {
    /// Opens the folder, makes what is missing in `.hcfs/`, and holds it until dropped.
    ///
    /// A remembered root must have its marker and its inode number. Its device number may differ: those are given anew
    /// at every boot on some file systems, and the marker tells that it is the same folder.
    ///
    /// # Errors
    /// Why this directory cannot be kept in step now.
    pub fn open(request: &OpenRequest<'_>) -> Result<Self, RootError> {
        let disk = Self::disk(request.root, request.others)?;
        Self::over(Arc::new(disk), request.known, request.new_id)
    }

    /// The real disk below `root`, which lies in none of the roots `others` and holds none of them.
    ///
    /// # Errors
    /// There is no directory, it cannot be opened, or it overlaps another synced folder.
    pub fn disk(root: &Path, others: &[PathBuf]) -> Result<LinuxDisk, RootError> {
        let disk = LinuxDisk::open(root).map_err(|source| RootError::opening(root, source))?;
        match overlap(disk.root(), others) {
            Some(other) => Err(RootError::InsideAnother { path: disk.root().to_path_buf(), other }),
            None => Ok(disk),
        }
    }

    /// As [`Folder::open`], over any disk; overlapping folders are not looked for.
    ///
    /// # Errors
    /// As [`Folder::open`].
    pub fn over(disk: Arc<dyn Disk>, known: Option<RootIdentity>, new_id: [u8; 16]) -> Result<Self, RootError> {
        let root = root_stat(&*disk)?;
        if let Some(known) = known {
            check_marker(&*disk, known.id)?;
            if root.fingerprint.inode.number != known.inode.number {
                return Err(replaced(&*disk, Difference::Directory));
            }
        }
        make_dir(&*disk, STATE_DIR.as_bytes())?;
        let lock = lock(&*disk)?;
        let id = match read_marker(&*disk)? {
            Some(id) => {
                if known.is_none() {
                    // Whoever made it may have failed to make it durable; from now on it is missed where it is not there.
                    sync_marker(&*disk).map_err(|error| not_writable(&*disk, "keep the marker", error))?;
                }
                id
            }
            None => write_marker(&*disk, new_id)?,
        };
        make_dir(&*disk, STAGED_DIR)?;
        make_dir(&*disk, TRASH_DIR)?;
        let new_file_mode = probe_mode(&*disk)?;
        let case_insensitive = match disk.stat(MARKER_SWAPPED_CASE) {
            Ok(_) => true,
            Err(error) if Refusal::of(&error) == Refusal::NotFound => false,
            Err(error) => return Err(RootError::io(disk.root(), "look for the marker", error)),
        };
        Ok(Self {
            identity: RootIdentity { id, inode: root.fingerprint.inode },
            is_absent: false,
            disk,
            case_insensitive,
            new_file_mode,
            trash_counter: AtomicU64::new(0),
            unsettled: Mutex::default(),
            _lock: Some(lock),
        })
    }

    /// What to remember of the root.
    #[must_use]
    pub fn identity(&self) -> RootIdentity {
        self.identity
    }

    /// Where the root lies.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.disk.root()
    }

    /// Whether names that differ only in case are one name here (as probed in `.hcfs/`).
    #[must_use]
    pub fn is_case_insensitive(&self) -> bool {
        self.case_insensitive
    }

    /// Checks that the path still leads to the directory that was opened, with its marker. Costs three system calls.
    ///
    /// # Errors
    /// How the root differs.
    pub fn recheck(&self) -> Result<(), RootError> {
        let now = root_stat(&*self.disk)?.fingerprint.inode;
        if now.number != self.identity.inode.number {
            return Err(replaced(&*self.disk, Difference::Directory));
        }
        if now.device != self.identity.inode.device {
            return Err(replaced(&*self.disk, Difference::FileSystem));
        }
        check_marker(&*self.disk, self.identity.id)
    }

    /// The fingerprint of a file; `None` where nothing stands under the name.
    ///
    /// `disk_path` is [`hcfs_model::LocalEntry::disk_path`].
    ///
    /// # Errors
    /// Something other than a regular file, or what the system refused.
    pub fn fingerprint(&self, path: &RelPath, disk_path: Option<&[u8]>) -> Result<Option<Fingerprint>, ApplyError> {
        match self.disk.stat(disk_path.unwrap_or(path.as_str().as_bytes())) {
            Ok(stat) => regular(path, &stat).map(Some),
            Err(error) => match Refusal::of(&error) {
                Refusal::NotFound | Refusal::NotADirectory => Ok(None),
                _ => Err(ApplyError::at(path, "look at", error)),
            },
        }
    }

    /// Whether something stands at a path, by this very name; also where that cannot be looked at.
    #[must_use]
    pub fn stands(&self, path: &RelPath) -> bool {
        !matches!(self.resolve(path), Ok(Resolved::Missing))
    }

    /// Opens a file to read.
    ///
    /// # Errors
    /// [`ApplyError::Changed`] where it is gone; something other than a regular file; or what the system refused.
    pub fn open_read(&self, path: &RelPath, disk_path: Option<&[u8]>) -> Result<OpenFile, ApplyError> {
        let at = disk_path.unwrap_or(path.as_str().as_bytes());
        // Looked at first: opening a device or a FIFO can have effects.
        regular(path, &self.disk.stat(at).map_err(|error| ApplyError::at(path, "open", error))?)?;
        let handle = self.disk.open(at, Open::Read).map_err(|error| ApplyError::at(path, "open", error))?;
        let stat = handle.stat().map_err(|error| ApplyError::at(path, "open", error))?;
        Ok(OpenFile { fingerprint: regular(path, &stat)?, handle })
    }

    /// Whether [`crate::Durability::Batch`] can be used here.
    #[must_use]
    pub fn takes_batches(&self) -> bool {
        self.disk.keeps_order()
    }

    /// Makes everything written to the file system so far durable; see [`crate::Durability::Batch`].
    ///
    /// # Errors
    /// What the system refused.
    pub fn sync_all(&self) -> Result<(), ApplyError> {
        self.disk.sync_all().map_err(|error| ApplyError::io("the file system", "sync", error))
    }
}

/// The fingerprint of a regular file; anything else is in the way.
pub(crate) fn regular(path: &RelPath, stat: &Stat) -> Result<Fingerprint, ApplyError> {
    let by = match stat.kind {
        Kind::File => return Ok(stat.fingerprint),
        Kind::Directory => Obstacle::Directory,
        Kind::Symlink => Obstacle::Symlink,
        Kind::Special => Obstacle::Special,
    };
    Err(ApplyError::Blocked { path: path.clone(), by, at: path.to_string() })
}

fn replaced(disk: &dyn Disk, difference: Difference) -> RootError {
    RootError::Replaced { path: disk.root().to_path_buf(), difference }
}

fn root_stat(disk: &dyn Disk) -> Result<Stat, RootError> {
    let stat = disk.root_now().map_err(|source| RootError::opening(disk.root(), source))?;
    match stat.kind {
        Kind::Directory => Ok(stat),
        _ => Err(RootError::NotADirectory { path: disk.root().to_path_buf() }),
    }
}

fn check_marker(disk: &dyn Disk, id: [u8; 16]) -> Result<(), RootError> {
    match read_marker(disk)? {
        Some(found) if found == id => Ok(()),
        Some(_) => Err(replaced(disk, Difference::Marker)),
        None => {
            let mut empty = true;
            let mut any = |_: &[u8], _| {
                empty = false;
                ControlFlow::Break(())
            };
            disk.list(b"", &mut any).map_err(|error| RootError::io(disk.root(), "look", error))?;
            let path = disk.root().to_path_buf();
            Err(if empty { RootError::NotMounted { path } } else { RootError::MarkerMissing { path } })
        }
    }
}

fn read_marker(disk: &dyn Disk) -> Result<Option<[u8; 16]>, RootError> {
    let damaged = || RootError::MarkerDamaged { path: disk.root().to_path_buf() };
    let bytes = match read_small(disk, MARKER_PATH, 1024) {
        Ok(bytes) => bytes,
        Err(error) if Refusal::of(&error) == Refusal::NotFound => return Ok(None),
        Err(error) if matches!(error.kind(), io::ErrorKind::FileTooLarge | io::ErrorKind::InvalidData) => {
            return Err(damaged());
        }
        Err(error) => return Err(RootError::io(disk.root(), "read the marker", error)),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| damaged())?;
    let id = text.strip_prefix(MARKER_HEAD).ok_or_else(damaged)?;
    let mut found = [0; 16];
    hex::decode_to_slice(id.trim_end(), &mut found).map_err(|_| damaged())?;
    Ok(Some(found))
}

fn write_marker(disk: &dyn Disk, id: [u8; 16]) -> Result<[u8; 16], RootError> {
    let write = || -> io::Result<()> {
        match disk.unlink(MARKER_NEW) {
            Err(error) if Refusal::of(&error) != Refusal::NotFound => return Err(error),
            _ => {}
        }
        let file = disk.open(MARKER_NEW, Open::Create { mode: 0o600 })?;
        file.write_all_at(format!("{MARKER_HEAD}{}\n", hex::encode(id)).as_bytes(), 0)?;
        file.sync()?;
        disk.rename(MARKER_NEW, MARKER_PATH, Rename::Replace)?;
        sync_marker(disk)
    };
    write().map_err(|error| not_writable(disk, "write the marker", error))?;
    Ok(id)
}

/// Makes the marker's name durable, and that of the directory it lies in.
fn sync_marker(disk: &dyn Disk) -> io::Result<()> {
    disk.sync_dir(STATE_DIR.as_bytes())?;
    disk.sync_dir(b"")
}

fn not_writable(disk: &dyn Disk, doing: &'static str, source: io::Error) -> RootError {
    let path = disk.root().to_path_buf();
    match Refusal::of(&source) {
        Refusal::Denied | Refusal::ReadOnly => RootError::NotWritable { path, source },
        _ => RootError::Io { path, doing, source },
    }
}

fn make_dir(disk: &dyn Disk, path: &[u8]) -> Result<(), RootError> {
    match disk.mkdir(path, 0o700) {
        Ok(()) => Ok(()),
        Err(error) if Refusal::of(&error) == Refusal::Exists => match disk.stat(path) {
            Ok(stat) if stat.kind == Kind::Directory => Ok(()),
            _ => Err(RootError::Io { path: disk.root().to_path_buf(), doing: "use .hcfs/", source: error }),
        },
        Err(error) => Err(not_writable(disk, "make .hcfs/", error)),
    }
}

fn lock(disk: &dyn Disk) -> Result<Box<dyn DiskFile>, RootError> {
    let refused = |error| not_writable(disk, "lock the folder", error);
    let file = match disk.open(LOCK_PATH, Open::Create { mode: 0o600 }) {
        Err(error) if Refusal::of(&error) == Refusal::Exists => disk.open(LOCK_PATH, Open::Write),
        other => other,
    }
    .map_err(refused)?;
    if !file.try_lock().map_err(refused)? {
        let pid = read_small(disk, LOCK_PATH, 64)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| text.trim().parse().ok());
        return Err(RootError::HeldBy { path: disk.root().to_path_buf(), pid });
    }
    // Only for the other's message: a full disk must not keep the folder shut.
    let _ = file.set_len(0).and_then(|()| file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0));
    Ok(file)
}

/// The mode a new file gets here, and the proof that files can be made.
fn probe_mode(disk: &dyn Disk) -> Result<u32, RootError> {
    let probe = || -> io::Result<u32> {
        match disk.unlink(PROBE_PATH) {
            Err(error) if Refusal::of(&error) != Refusal::NotFound => return Err(error),
            _ => {}
        }
        let mode = disk.open(PROBE_PATH, Open::Create { mode: NEW_FILE })?.stat()?.mode;
        disk.unlink(PROBE_PATH)?;
        Ok(mode & NEW_FILE)
    };
    // A full disk still takes deletions and uploads: the folder opens.
    match probe() {
        Err(error) if matches!(Refusal::of(&error), Refusal::NoSpace | Refusal::Quota) => Ok(0o644),
        other => other.map_err(|error| not_writable(disk, "write to .hcfs/", error)),
    }
}
