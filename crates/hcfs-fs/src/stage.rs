//! Parts on their way in: files in `.hcfs/staged/`.
//!
//! Invariants: a part is never seen under a user's name before [`Folder::install`]; its own name is hexadecimal and
//! short, so it fits wherever the target does; its bytes survive an interruption and can be taken up again.
//!
//! Deliberately absent: which ranges are filled and verified. The caller remembers that.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::STAGED_DIR;
use crate::disk::{DiskFile, Open, Refusal, join};
use crate::error::ApplyError;
use crate::folder::Folder;

/// Bytes of one write: they stay in the processor's cache.
const PIECE: usize = 256 * 1024;
/// Written bytes after which the device is told to begin.
const WRITE_BACK: u64 = 4 * 1024 * 1024;
/// Space left free for everything else, at most; on a small disk one hundredth of it.
const RESERVE: u64 = 64 * 1024 * 1024;
/// The longest name of a part.
const NAME_MAX: usize = 128;

/// A part being written. Dropping it closes the file and leaves it for [`Folder::resume_stage`].
pub struct Staged {
    pub(crate) name: String,
    pub(crate) path: Vec<u8>,
    pub(crate) file: Box<dyn DiskFile>,
    size: u64,
    written: AtomicU64,
}

impl Staged {
    /// The part's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its final size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes at `offset`; several threads may write different ranges at once.
    ///
    /// # Errors
    /// What the system refused, and bytes past the part's size.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), ApplyError> {
        let end = offset.checked_add(bytes.len() as u64).filter(|&end| end <= self.size);
        if end.is_none() {
            let error = io::Error::new(io::ErrorKind::InvalidData, "more bytes than the part holds");
            return Err(self.refused("write", error));
        }
        let mut at = offset;
        for piece in bytes.chunks(PIECE) {
            self.file.write_all_at(piece, at).map_err(|error| self.refused("write", error))?;
            at += piece.len() as u64;
        }
        let before = self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if before / WRITE_BACK != (before + bytes.len() as u64) / WRITE_BACK {
            self.file.write_back();
        }
        Ok(())
    }

    /// Reads at `offset`, to verify what an earlier run wrote; 0 at the end.
    ///
    /// # Errors
    /// What the system refused.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, ApplyError> {
        self.file.read_at(buffer, offset).map_err(|error| self.refused("read", error))
    }

    /// Makes what was written durable: before it is remembered as done, and before an install in a batch.
    ///
    /// # Errors
    /// What the system refused.
    pub fn sync(&self) -> Result<(), ApplyError> {
        self.file.sync().map_err(|error| self.refused("sync", error))
    }

    pub(crate) fn new(name: &str, path: Vec<u8>, file: Box<dyn DiskFile>, size: u64) -> Self {
        Self { name: name.to_owned(), path, file, size, written: AtomicU64::new(0) }
    }

    pub(crate) fn refused(&self, doing: &'static str, error: io::Error) -> ApplyError {
        ApplyError::io(object(&self.name), doing, error)
    }
}

fn object(name: &str) -> String {
    format!("the staged part {name}")
}

impl Folder {
    /// Makes the part `name` with room for `size` bytes; a part of that name is replaced.
    ///
    /// `name` is 1 to 128 hexadecimal characters or `-`.
    ///
    /// # Errors
    /// [`ApplyError::NoSpace`] where less than `size` bytes are free besides a reserve of 64 MiB (or 1 % of a small
    /// disk); what the system refused.
    pub fn stage(&self, name: &str, size: u64) -> Result<Staged, ApplyError> {
        let path = staged_path(name)?;
        self.discard(name)?;
        self.check_room(object(name), size)?;
        let refused = |doing, error| ApplyError::io(object(name), doing, error);
        let file = self.create_part(STAGED_DIR, &path).map_err(|error| refused("make", error))?;
        if size > 0 {
            let reserved = match file.allocate(size) {
                Err(error) if Refusal::of(&error) == Refusal::Unsupported => file.set_len(size),
                other => other,
            };
            if let Err(error) = reserved {
                let _ = self.disk.unlink(&path);
                return Err(refused("reserve room for", error));
            }
        }
        Ok(Staged::new(name, path, file, size))
    }

    /// Makes a part's file, and its directory where that is missing.
    pub(crate) fn create_part(&self, dir: &[u8], path: &[u8]) -> io::Result<Box<dyn DiskFile>> {
        let create = || self.disk.open(path, Open::Create { mode: 0o600 });
        match create() {
            Err(error) if Refusal::of(&error) == Refusal::NotFound => self.make_again(dir).and_then(|()| create()),
            other => other,
        }
    }

    /// Opens the part `name` of an earlier run; `None` where it is gone or has another size.
    ///
    /// # Errors
    /// What the system refused.
    pub fn resume_stage(&self, name: &str, size: u64) -> Result<Option<Staged>, ApplyError> {
        let path = staged_path(name)?;
        let file = match self.disk.open(&path, Open::Write) {
            Ok(file) => file,
            Err(error) if Refusal::of(&error) == Refusal::NotFound => return Ok(None),
            Err(error) => return Err(ApplyError::io(object(name), "open", error)),
        };
        let stat = file.stat().map_err(|error| ApplyError::io(object(name), "look at", error))?;
        if stat.fingerprint.size != size {
            return Ok(None);
        }
        Ok(Some(Staged::new(name, path, file, size)))
    }

    /// Removes the part `name`; one that is gone is no error.
    ///
    /// # Errors
    /// What the system refused.
    pub fn discard(&self, name: &str) -> Result<(), ApplyError> {
        match self.disk.unlink(&staged_path(name)?) {
            Err(error) if Refusal::of(&error) != Refusal::NotFound => {
                Err(ApplyError::io(object(name), "remove", error))
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn check_room(&self, object: String, size: u64) -> Result<(), ApplyError> {
        let space = self.disk.space().map_err(|error| ApplyError::io("the file system", "measure", error))?;
        let free = space.free.saturating_sub(RESERVE.min(space.total / 100));
        if size > free {
            return Err(ApplyError::NoSpace { object, needed: size, free });
        }
        Ok(())
    }
}

/// Checks that a part's name is one.
pub(crate) fn check_name(name: &str) -> Result<(), ApplyError> {
    let fits = (1..=NAME_MAX).contains(&name.len());
    if !fits || !name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        let error =
            io::Error::new(io::ErrorKind::InvalidData, "the name of a part is up to 128 hexadecimal characters");
        return Err(ApplyError::io("a staged part", "name", error));
    }
    Ok(())
}

fn staged_path(name: &str) -> Result<Vec<u8>, ApplyError> {
    check_name(name)?;
    Ok(join(STAGED_DIR, name.as_bytes()))
}
