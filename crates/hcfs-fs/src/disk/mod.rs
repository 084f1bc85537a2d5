//! The system calls this crate makes, as a trait.
//!
//! Purpose: all logic of the crate (scan, staging, apply, trash) is written over [`Disk`], so that the same logic can
//! run over a file system that injects errors or forgets what was not synced.
//!
//! Invariants: every path is bytes relative to the root, segments joined by `/`, without `.`, `..` or empty segments;
//! the empty path is the root itself. No call follows a symbolic link in any segment, and none leaves the root: a link
//! in the way is an error that [`Refusal::of`] tells as [`Refusal::Symlink`].
//!
//! Deliberately absent: decisions, retries other than after an interrupt, and anything about names being equal in
//! another Unicode form or case.

mod linux;
mod nowhere;
#[cfg(test)]
mod tests;
mod writeback;

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use hcfs_model::Fingerprint;

pub use linux::LinuxDisk;
pub(crate) use linux::overlap;
pub(crate) use nowhere::Nowhere;

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO, socket or device.
    Special,
}

/// What the file system says of one name, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, `0o7777` at most.
    pub mode: u32,
    /// Size, times and inode.
    pub fingerprint: Fingerprint,
}

/// Room on the file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Free for this user.
    pub free: u64,
    /// In all.
    pub total: u64,
}

/// How [`Disk::open`] opens a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// An existing file, to read.
    Read,
    /// An existing file, to read and write.
    Write,
    /// A new file, to read and write; an existing name is an error. The mode is subject to the umask.
    Create {
        /// Permission bits.
        mode: u32,
    },
}

/// What [`Disk::rename`] does with an existing target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rename {
    /// Fails with "exists".
    NoReplace,
    /// Both names must exist and are swapped in one step.
    Exchange,
    /// The target is replaced.
    Replace,
}

/// What [`Disk::list`] calls with each name; a break ends the listing.
pub type Each<'a> = dyn FnMut(&[u8], io::Result<Stat>) -> ControlFlow<()> + 'a;

/// A file system below one root.
pub trait Disk: Send + Sync {
    /// Where the root lies, for messages and for the watcher.
    fn root(&self) -> &Path;
    /// What stands at [`Disk::root`] now, which may be another directory than the one that was opened.
    ///
    /// # Errors
    /// What the system refused.
    fn root_now(&self) -> io::Result<Stat>;
    /// What stands at [`Disk::root`] now, as a disk of its own; `None` where that cannot be had.
    fn reopen(&self) -> Option<io::Result<Arc<dyn Disk>>> {
        None
    }
    /// The same root with nothing of it held: nothing is found there, and nothing can be made, until it is opened anew.
    fn absent(&self) -> Arc<dyn Disk> {
        Arc::new(Nowhere::at(self.root()))
    }
    /// Makes the directory at [`Disk::root`] where there is none. The directory it lies in must be there.
    ///
    /// # Errors
    /// What the system refused.
    fn make_root(&self) -> io::Result<()> {
        std::fs::create_dir(self.root())
    }
    /// What stands under `path`, a final link not followed.
    ///
    /// # Errors
    /// What the system refused.
    fn stat(&self, path: &[u8]) -> io::Result<Stat>;
    /// Calls `each` for every name in `dir` but `.` and `..`, in no order, until it breaks. Names that vanish meanwhile
    /// are left out.
    ///
    /// # Errors
    /// What the system refused; `each` may have been called before.
    fn list(&self, dir: &[u8], each: &mut Each<'_>) -> io::Result<()>;
    /// Opens a file.
    ///
    /// # Errors
    /// What the system refused.
    fn open(&self, path: &[u8], how: Open) -> io::Result<Box<dyn DiskFile>>;
    /// Renames.
    ///
    /// # Errors
    /// What the system refused; [`Refusal::Unsupported`] where this file system lacks `how`.
    fn rename(&self, from: &[u8], to: &[u8], how: Rename) -> io::Result<()>;
    /// Makes `to` another name of the file `from`; an existing `to` is an error.
    ///
    /// # Errors
    /// What the system refused.
    fn link(&self, from: &[u8], to: &[u8]) -> io::Result<()>;
    /// Removes a name that is not a directory.
    ///
    /// # Errors
    /// What the system refused.
    fn unlink(&self, path: &[u8]) -> io::Result<()>;
    /// Makes a directory; the mode is subject to the umask.
    ///
    /// # Errors
    /// What the system refused.
    fn mkdir(&self, path: &[u8], mode: u32) -> io::Result<()>;
    /// Removes an empty directory.
    ///
    /// # Errors
    /// What the system refused.
    fn rmdir(&self, path: &[u8]) -> io::Result<()>;
    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the system refused.
    fn sync_dir(&self, path: &[u8]) -> io::Result<()>;
    /// Makes the whole file system durable.
    ///
    /// # Errors
    /// What the system refused.
    fn sync_all(&self) -> io::Result<()>;
    /// Whether after a power loss no change of a name is there without those before it, and [`Disk::sync_all`] reaches
    /// the device: what [`crate::Durability::Batch`] relies on. Where that is not known it is not so.
    fn keeps_order(&self) -> bool {
        false
    }
    /// Room on the file system.
    ///
    /// # Errors
    /// What the system refused.
    fn space(&self) -> io::Result<Space>;
}

/// An open regular file.
pub trait DiskFile: Send + Sync {
    /// What the file is now.
    ///
    /// # Errors
    /// What the system refused.
    fn stat(&self) -> io::Result<Stat>;
    /// Reads at `offset`; 0 at the end of the file.
    ///
    /// # Errors
    /// What the system refused.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// What the system refused; some bytes may be written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Reserves room and sets the length.
    ///
    /// # Errors
    /// What the system refused; [`Refusal::Unsupported`] where room cannot be reserved.
    fn allocate(&self, length: u64) -> io::Result<()>;
    /// Sets the length.
    ///
    /// # Errors
    /// What the system refused.
    fn set_len(&self, length: u64) -> io::Result<()>;
    /// Sets the permission bits.
    ///
    /// # Errors
    /// What the system refused.
    fn set_mode(&self, mode: u32) -> io::Result<()>;
    /// Starts to write dirty pages to the device and does not wait: a hint, so it reports nothing.
    fn write_back(&self);
    /// Makes content and inode durable.
    ///
    /// # Errors
    /// What the system refused.
    fn sync(&self) -> io::Result<()>;
    /// Takes the exclusive lock of this file for as long as the handle lives; `false` where another handle has it.
    ///
    /// # Errors
    /// What the system refused.
    fn try_lock(&self) -> io::Result<bool>;
    /// The file itself, where it is one of this system's.
    ///
    /// # Errors
    /// [`Refusal::Unsupported`] on a disk that is none; what the system refused.
    fn share(&self) -> io::Result<std::fs::File> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// The kinds of refusal the logic tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Nothing under that name.
    NotFound,
    /// The name is taken.
    Exists,
    /// A segment of the path is no directory.
    NotADirectory,
    /// The name is a directory.
    IsADirectory,
    /// The directory has entries.
    NotEmpty,
    /// A symbolic link stands in the way.
    Symlink,
    /// No room.
    NoSpace,
    /// The user's quota is used up.
    Quota,
    /// The file system is mounted read-only.
    ReadOnly,
    /// Permission, owner or an immutable flag.
    Denied,
    /// The name is too long, or has characters this file system does not hold.
    Name,
    /// The file system does not know this operation.
    Unsupported,
    /// The two names lie on different file systems.
    OtherFileSystem,
    /// Anything else.
    Other,
}

impl Refusal {
    /// The kind of an error of [`Disk`].
    #[must_use]
    pub fn of(error: &io::Error) -> Self {
        use rustix::io::Errno;
        match Errno::from_io_error(error) {
            Some(Errno::LOOP) => return Self::Symlink,
            Some(Errno::ILSEQ) => return Self::Name,
            // rmdir of a directory that is not empty, by POSIX either of two errors.
            Some(Errno::NOTEMPTY) => return Self::NotEmpty,
            _ => {}
        }
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound,
            io::ErrorKind::AlreadyExists => Self::Exists,
            io::ErrorKind::NotADirectory => Self::NotADirectory,
            io::ErrorKind::IsADirectory => Self::IsADirectory,
            io::ErrorKind::StorageFull => Self::NoSpace,
            io::ErrorKind::QuotaExceeded => Self::Quota,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::InvalidFilename => Self::Name,
            io::ErrorKind::CrossesDevices => Self::OtherFileSystem,
            io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => Self::Unsupported,
            _ => Self::Other,
        }
    }
}

/// Reads a small file whole; one of more than `limit` bytes is an error.
///
/// # Errors
/// What the system refused, or [`io::ErrorKind::FileTooLarge`].
pub(crate) fn read_small(disk: &dyn Disk, path: &[u8], limit: usize) -> io::Result<Vec<u8>> {
    if disk.stat(path)?.kind != Kind::File {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
    }
    let file = disk.open(path, Open::Read)?;
    let mut bytes = vec![0; limit + 1];
    let mut filled = 0;
    loop {
        let read = file.read_at(&mut bytes[filled..], filled as u64)?;
        filled += read;
        if filled > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if read == 0 {
            bytes.truncate(filled);
            return Ok(bytes);
        }
    }
}

/// The directory part and the name of a path; the directory of a name in the root is empty.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&[], path),
    }
}

/// `dir` with one more segment.
pub(crate) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(dir.len() + 1 + name.len());
    if !dir.is_empty() {
        path.extend_from_slice(dir);
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}
