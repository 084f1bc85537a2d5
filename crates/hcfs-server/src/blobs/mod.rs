//! The blob store: ciphertext on disk, named by its hash.
//!
//! ```text
//! blobs/00 … ff/<hash>     whole blobs, by the first byte of their hash
//! blobs/incoming/<random>  uploads in flight; whatever is here at the start is removed
//! blobs/sessions/<id>      what upload sessions have received
//! ```
//!
//! Invariants:
//! - A blob appears under its name complete and durable: its file is synced, renamed into place, and the directory synced.
//! - A blob is removed only while nobody can be about to point a row at it. Each of the 256 directories is a *shard* with
//!   a lock: an upload shares it from before its blob appears until its row is committed; a removal has it alone
//!   while it asks the metadata store whether a row points there, and unlinks.
//! - So a row never points to a missing blob, whenever the process dies; what can be left over is a blob without a row,
//!   which the sweep after the start finds the same way.
//!
//! Deliberately absent: what a blob means, and whose it is.

mod read;
mod session;
mod sweep;
mod write;

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hcfs_model::CiphertextHash;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

pub(crate) use read::OpenBlob;
pub(crate) use session::PartError;
use session::Spools;
pub(crate) use sweep::{SweepError, remove_unreferenced, sweep};
pub(crate) use write::{BlobWriter, Received, WriteError};

use crate::place;

/// Bytes read from or written to the disk at a time.
pub(crate) const PIECE: usize = 256 * 1024;

/// Held from before a blob appears until its row is committed; keeps removals of its shard out.
pub(crate) type ShardGuard = OwnedRwLockReadGuard<()>;
/// Held while unreferenced blobs of a shard are removed.
pub(crate) type ShardClosed = OwnedRwLockWriteGuard<()>;

/// The blobs of one server.
pub(crate) struct BlobStore {
    root: PathBuf,
    shards: Vec<Arc<RwLock<()>>>,
    spools: Spools,
    reserve_bytes: u64,
}

impl BlobStore {
    /// Makes the directories and removes what uploads in flight left behind. Blocks.
    pub(crate) fn open(root: &Path, reserve_bytes: u64) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        for shard in 0..=u8::MAX {
            builder.create(root.join(format!("{shard:02x}")))?;
        }
        let store = Self {
            root: root.to_owned(),
            shards: (0..=u8::MAX).map(|_| Arc::new(RwLock::new(()))).collect(),
            spools: Spools::default(),
            reserve_bytes,
        };
        builder.create(store.incoming())?;
        builder.create(store.sessions())?;
        place::sync_directory(root)?;
        for entry in fs::read_dir(store.incoming())? {
            fs::remove_file(entry?.path())?;
        }
        Ok(store)
    }

    /// Shares a blob's shard with other uploads, and keeps removals out.
    pub(crate) async fn share(&self, hash: CiphertextHash) -> ShardGuard {
        Arc::clone(&self.shards[usize::from(hash.0[0])]).read_owned().await
    }

    /// Takes a shard alone.
    pub(crate) async fn close(&self, shard: u8) -> ShardClosed {
        Arc::clone(&self.shards[usize::from(shard)]).write_owned().await
    }

    /// Whether a blob of `length` bytes can be stored and leave the reserve free.
    pub(crate) fn has_room(&self, length: u64) -> io::Result<bool> {
        let disk = rustix::fs::statvfs(&self.root)?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        Ok(free.saturating_sub(self.reserve_bytes) >= length)
    }

    fn shard_directory(&self, shard: u8) -> PathBuf {
        self.root.join(format!("{shard:02x}"))
    }

    fn path(&self, hash: CiphertextHash) -> PathBuf {
        self.shard_directory(hash.0[0]).join(hash.to_hex())
    }

    fn incoming(&self) -> PathBuf {
        self.root.join("incoming")
    }

    fn sessions(&self) -> PathBuf {
        self.root.join("sessions")
    }
}
