//! The real disk.
//!
//! Directories are reached from the root's descriptor by `openat2` with `RESOLVE_BENEATH`, `RESOLVE_NO_SYMLINKS` and
//! `RESOLVE_NO_MAGICLINKS`; kernels before 5.6, and sandboxes without that call, by one `O_NOFOLLOW` step per segment.
//! Names are then used relative to the directory's descriptor, so a directory swapped for a link between two steps
//! cannot lead elsewhere.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hcfs_model::{Fingerprint, Inode, UnixNanos};
use rustix::fs::{
    AtFlags, FallocateFlags, FileType, FlockOperation, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, fallocate,
    fchmod, flock, fstat, fstatfs, fstatvfs, fsync, ftruncate, linkat, mkdirat, openat, openat2, renameat_with, statat,
    syncfs, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};

use super::{Disk, DiskFile, Each, Kind, Open, Rename, Space, Stat, split, writeback};

/// Bytes of a path handed to the system at once: one call takes 4,095, and a relative path in the trash can be longer.
const STEP: usize = 2048;
/// File systems with one journal or one log for all names: ext2 to 4 (one number), XFS, btrfs; and tmpfs, which has no
/// power loss to fear.
const ORDERED: [u64; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994];
/// Bytes of directory entries read at once.
const ENTRIES: usize = 32 * 1024;

/// The file system below a directory.
pub struct LinuxDisk {
    root: OwnedFd,
    path: PathBuf,
    /// Set once `openat2` is known to be missing.
    step_by_step: AtomicBool,
}

impl LinuxDisk {
    /// Opens the directory `root`; links that lead to it are followed, once, here.
    ///
    /// # Errors
    /// Not found, not a directory, or what else the system refused.
    pub fn open(root: &Path) -> io::Result<Self> {
        let path = root.canonicalize()?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = retry_on_intr(|| rustix::fs::open(&path, flags, Mode::empty()))?;
        Ok(Self { root, path, step_by_step: AtomicBool::new(false) })
    }

    /// The same disk as on a kernel without `openat2`.
    #[cfg(test)]
    pub(super) fn without_openat2(self) -> Self {
        self.step_by_step.store(true, Ordering::Relaxed);
        self
    }

    /// Opens the directory `path`.
    fn directory(&self, path: &[u8], access: OFlags) -> io::Result<OwnedFd> {
        let flags = access | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if path.is_empty() {
            return Ok(retry_on_intr(|| openat(&self.root, c".", flags, Mode::empty()))?);
        }
        let mut held: Option<OwnedFd> = None;
        let mut rest = path;
        loop {
            let (head, tail) = step(rest);
            let from = held.as_ref().map_or(self.root.as_fd(), OwnedFd::as_fd);
            if tail.is_empty() {
                return self.below(from, head, flags);
            }
            held = Some(self.below(from, head, (flags - access) | OFlags::PATH)?);
            rest = tail;
        }
    }

    fn below(&self, from: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        if self.step_by_step.load(Ordering::Relaxed) {
            return segment_by_segment(from, path, flags);
        }
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        // With O_NOFOLLOW a link at the end would be told as "not a directory".
        match retry_on_intr(|| openat2(from, path, flags - OFlags::NOFOLLOW, Mode::empty(), resolve)) {
            Err(Errno::NOSYS) => {
                self.step_by_step.store(true, Ordering::Relaxed);
                segment_by_segment(from, path, flags)
            }
            other => Ok(other?),
        }
    }

    /// The descriptor of the directory `path` lies in, and its name there.
    fn place<'a>(&self, path: &'a [u8]) -> io::Result<(OwnedFd, &'a [u8])> {
        let (dir, name) = split(path);
        Ok((self.directory(dir, OFlags::PATH)?, name))
    }
}

/// The longest part of `path` that is whole segments and fits one call, and what is left.
fn step(path: &[u8]) -> (&[u8], &[u8]) {
    if path.len() <= STEP {
        return (path, &[]);
    }
    match path[..STEP].iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        // One segment of this length: the system will say that the name is too long.
        None => (path, &[]),
    }
}

fn segment_by_segment(from: BorrowedFd<'_>, path: &[u8], last: OFlags) -> io::Result<OwnedFd> {
    let between = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut held: Option<OwnedFd> = None;
    let mut segments = path.split(|&byte| byte == b'/').peekable();
    while let Some(segment) = segments.next() {
        let flags = if segments.peek().is_some() { between } else { last };
        let at = held.as_ref().map_or(from, OwnedFd::as_fd);
        if segment == b".." {
            return Err(Errno::XDEV.into());
        }
        let next = retry_on_intr(|| openat(at, segment, flags, Mode::empty())).map_err(|error| {
            // O_DIRECTORY speaks before O_NOFOLLOW does.
            let link = error == Errno::NOTDIR
                && statat(at, segment, AtFlags::SYMLINK_NOFOLLOW)
                    .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
            if link { Errno::LOOP } else { error }
        })?;
        held = Some(next);
    }
    held.ok_or_else(|| Errno::NOENT.into())
}

impl Disk for LinuxDisk {
    fn root(&self) -> &Path {
        &self.path
    }

    fn root_now(&self) -> io::Result<Stat> {
        root_now(&self.path)
    }

    fn reopen(&self) -> Option<io::Result<Arc<dyn Disk>>> {
        Some(Self::open(&self.path).map(|disk| Arc::new(disk) as Arc<dyn Disk>))
    }

    fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        if path.is_empty() {
            return Ok(read_stat(&fstat(&self.root)?));
        }
        let (dir, name) = self.place(path)?;
        Ok(read_stat(&statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?))
    }

    fn list(&self, dir: &[u8], each: &mut Each<'_>) -> io::Result<()> {
        let fd = self.directory(dir, OFlags::RDONLY)?;
        let mut buffer = vec![MaybeUninit::uninit(); ENTRIES];
        let mut entries = RawDir::new(&fd, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let stat = match statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => continue,
                other => other.map(|stat| read_stat(&stat)).map_err(io::Error::from),
            };
            if each(name.to_bytes(), stat).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn open(&self, path: &[u8], how: Open) -> io::Result<Box<dyn DiskFile>> {
        let (dir, name) = self.place(path)?;
        // Non-blocking: a FIFO put under the name meanwhile must not hold the caller.
        let always = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let (flags, mode) = match how {
            Open::Read => (OFlags::RDONLY, Mode::empty()),
            Open::Write => (OFlags::RDWR, Mode::empty()),
            Open::Create { mode } => (OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, Mode::from_raw_mode(mode)),
        };
        let fd = retry_on_intr(|| openat(&dir, name, flags | always, mode))?;
        Ok(Box::new(LinuxFile(File::from(fd))))
    }

    fn rename(&self, from: &[u8], to: &[u8], how: Rename) -> io::Result<()> {
        let flags = match how {
            Rename::NoReplace => RenameFlags::NOREPLACE,
            Rename::Exchange => RenameFlags::EXCHANGE,
            Rename::Replace => RenameFlags::empty(),
        };
        let (from_dir, from_name) = self.place(from)?;
        let (to_dir, to_name) = self.place(to)?;
        Ok(renameat_with(&from_dir, from_name, &to_dir, to_name, flags)?)
    }

    fn link(&self, from: &[u8], to: &[u8]) -> io::Result<()> {
        let (from_dir, from_name) = self.place(from)?;
        let (to_dir, to_name) = self.place(to)?;
        Ok(linkat(&from_dir, from_name, &to_dir, to_name, AtFlags::empty())?)
    }

    fn unlink(&self, path: &[u8]) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        Ok(unlinkat(&dir, name, AtFlags::empty())?)
    }

    fn mkdir(&self, path: &[u8], mode: u32) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        Ok(mkdirat(&dir, name, Mode::from_raw_mode(mode))?)
    }

    fn rmdir(&self, path: &[u8]) -> io::Result<()> {
        let (dir, name) = self.place(path)?;
        Ok(unlinkat(&dir, name, AtFlags::REMOVEDIR)?)
    }

    fn sync_dir(&self, path: &[u8]) -> io::Result<()> {
        let fd = self.directory(path, OFlags::RDONLY)?;
        match retry_on_intr(|| fsync(&fd)) {
            // Some network file systems cannot sync a directory; their renames are durable as the server makes them.
            Err(Errno::INVAL) => Ok(()),
            other => Ok(other?),
        }
    }

    fn sync_all(&self) -> io::Result<()> {
        let fd = self.directory(b"", OFlags::RDONLY)?;
        Ok(retry_on_intr(|| syncfs(&fd))?)
    }

    fn keeps_order(&self) -> bool {
        let kind = fstatfs(&self.root).map(|stat| u64::try_from(stat.f_type).unwrap_or_default());
        kind.is_ok_and(|kind| ORDERED.contains(&kind))
    }

    fn space(&self) -> io::Result<Space> {
        let stat = fstatvfs(&self.root)?;
        Ok(Space {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}

pub(super) fn root_now(root: &Path) -> io::Result<Stat> {
    Ok(read_stat(&rustix::fs::stat(root)?))
}

struct LinuxFile(File);

impl DiskFile for LinuxFile {
    fn stat(&self) -> io::Result<Stat> {
        Ok(read_stat(&fstat(&self.0)?))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn allocate(&self, length: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| fallocate(&self.0, FallocateFlags::empty(), 0, length))?)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| ftruncate(&self.0, length))?)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        Ok(fchmod(&self.0, Mode::from_raw_mode(mode))?)
    }

    fn write_back(&self) {
        writeback::start(&self.0);
    }

    fn sync(&self) -> io::Result<()> {
        Ok(retry_on_intr(|| fsync(&self.0))?)
    }

    fn share(&self) -> io::Result<File> {
        self.0.try_clone()
    }

    fn try_lock(&self) -> io::Result<bool> {
        match retry_on_intr(|| flock(&self.0, FlockOperation::NonBlockingLockExclusive)) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn read_stat(stat: &rustix::fs::Stat) -> Stat {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Special,
    };
    Stat {
        kind,
        mode: stat.st_mode & 0o7777,
        fingerprint: Fingerprint {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: nanos(stat.st_mtime, stat.st_mtime_nsec),
            ctime: nanos(stat.st_ctime, stat.st_ctime_nsec),
            inode: Inode { device: stat.st_dev, number: stat.st_ino },
        },
    }
}

/// A time of the file system; one outside 1677–2262 is brought to the nearest that can be held.
fn nanos(seconds: i64, fraction: u64) -> UnixNanos {
    UnixNanos(seconds.saturating_mul(1_000_000_000).saturating_add_unsigned(fraction))
}

/// Another synced folder that `root` lies in, or that lies in `root`: found by a marker in a directory above, and by
/// the roots the caller knows.
pub(crate) fn overlap(root: &Path, others: &[PathBuf]) -> Option<PathBuf> {
    let above = root.ancestors().skip(1).find(|dir| {
        dir.join(crate::STATE_DIR).join(crate::folder::MARKER).symlink_metadata().is_ok_and(|found| found.is_file())
    });
    if let Some(dir) = above {
        return Some(dir.to_path_buf());
    }
    others
        .iter()
        .map(|other| other.canonicalize().unwrap_or_else(|_| other.clone()))
        .find(|other| root.starts_with(other) || other.starts_with(root))
}
