//! A file of the folder as the ciphers read it.

use std::io;

use hcfs_crypto::pin::ReadAt;
use hcfs_fs::OpenFile;
use hcfs_model::Fingerprint;

/// The content of an open file: one of the folder's, whose fingerprint tells whether it changed meanwhile, or one that
/// has no name and cannot change.
pub(crate) enum Content {
    /// A file of the folder.
    InFolder(OpenFile),
    /// The beginning of a file of the folder that goes on growing: as much as it had when it was opened. Whether that is
    /// still the same its hash tells.
    Beginning(OpenFile),
    /// A file that was handed over.
    Unnamed(std::fs::File),
}

impl Content {
    /// Whether it is still what it was when it was opened.
    pub(crate) fn is_unchanged(&self) -> bool {
        match self {
            Self::InFolder(file) => file.is_unchanged().unwrap_or(false),
            Self::Beginning(file) => file.has_not_shrunk().unwrap_or(false),
            Self::Unnamed(_) => true,
        }
    }
}

impl ReadAt for Content {
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let file = match self {
            Self::InFolder(file) | Self::Beginning(file) => file,
            Self::Unnamed(file) => return ReadAt::read_exact_at(file, buffer, offset),
        };
        let mut done = 0;
        while done < buffer.len() {
            match file.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Whether a file may begin with the version that was seen.
pub(crate) fn may_begin_with(found: &Fingerprint, seen: &Fingerprint) -> bool {
    found.size >= seen.size && found.inode == seen.inode
}

/// Whether a file is the version that was seen, its ctime aside: a rename changes that.
pub(crate) fn is_version(found: &Fingerprint, seen: &Fingerprint) -> bool {
    found.size == seen.size && found.mtime == seen.mtime && found.inode == seen.inode
}
