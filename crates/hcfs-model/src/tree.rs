//! The entries of the three trees, and the rows that join them.

use std::collections::BTreeMap;

use crate::RevisionId;
use crate::{FileId, RelPath, SaltedHash};

/// A moment as nanoseconds since 1970 in UTC; negative before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixNanos(pub i64);

impl UnixNanos {
    /// Whole seconds since 1970, rounded down.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }
}

/// A file's identity on one file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode {
    /// The file system.
    pub device: u64,
    /// The file within it.
    pub number: u64,
}

/// What tells cheaply that a file has not changed since it was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint {
    /// Length in bytes.
    pub size: u64,
    /// Time of the last change of the content.
    pub mtime: UnixNanos,
    /// Time of the last change of the inode; cannot be set by a program.
    pub ctime: UnixNanos,
    /// Which file it is.
    pub inode: Inode,
}

/// One version of a file on the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// Counts up by one with every version of a file, from 1.
    pub seq: u64,
    /// The server's name for the version.
    pub id: RevisionId,
}

/// A file in the folder, as last seen on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalEntry {
    /// Salted hash of the content.
    pub hash: SaltedHash,
    /// The fingerprint the content was hashed under.
    pub fingerprint: Fingerprint,
    /// The bytes of the relative path on disk, where they are not the NFC text of the row's path.
    pub disk_path: Option<Box<[u8]>>,
}

/// A file on the server, as last listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteEntry {
    /// Salted hash of the content.
    pub hash: SaltedHash,
    /// Plaintext length in bytes.
    pub size: u64,
    /// The file's id, from the listing.
    pub file_id: FileId,
    /// Which version this is.
    pub revision: Revision,
}

/// A file as this device and the server last agreed on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncedEntry {
    /// Salted hash of the content.
    pub hash: SaltedHash,
    /// Plaintext length in bytes.
    pub size: u64,
    /// The file's id on the server.
    pub file_id: FileId,
    /// The agreed version.
    pub revision: Revision,
    /// The file on disk that held it, to know it again under another name.
    pub inode: Option<Inode>,
}

/// What the three trees say of one path.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// On disk.
    pub local: Option<LocalEntry>,
    /// On the server.
    pub remote: Option<RemoteEntry>,
    /// Last agreed.
    pub synced: Option<SyncedEntry>,
}

impl Row {
    /// Whether the three trees agree on this path: the same content everywhere, and the agreed revision is the
    /// server's.
    #[must_use]
    pub fn is_agreed(&self) -> bool {
        match (&self.local, &self.remote, &self.synced) {
            (None, None, None) => true,
            (Some(local), Some(remote), Some(synced)) => {
                local.hash == synced.hash && remote.hash == synced.hash && remote.revision == synced.revision
            }
            _ => false,
        }
    }
}

/// The three trees joined by path, in path order.
pub type Rows = BTreeMap<RelPath, Row>;
