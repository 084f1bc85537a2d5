//! What upload sessions receive: one sparse file each, its parts written in any order, several at a time.
//!
//! A session's file becomes its blob by a hard link, so a failed commit leaves the session as it was. While it is being
//! finalized it is *sealed*: a late retry of a part must not write into what is now a blob.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use bytes::{Bytes, BytesMut};
use hcfs_model::CiphertextHash;

use super::write::{TempFile, blocking};
use super::{BlobStore, PIECE, Received, WriteError};
use crate::metadata::SessionId;

/// The files of sessions that requests are using now: all requests of a session share one.
#[derive(Debug, Default)]
pub(crate) struct Spools(Mutex<HashMap<SessionId, Weak<Spool>>>);

/// The file of one session.
#[derive(Debug)]
pub(crate) struct Spool {
    path: PathBuf,
    file: RwLock<Gate>,
    /// Held by the finalize that runs: a second one waits and finds the answer of the first.
    pub(crate) finalizing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
enum Gate {
    /// Not touched since the start.
    Closed,
    Open(Arc<File>),
    Sealed,
}

/// Bytes of a part on their way to the file.
#[derive(Debug)]
pub(crate) struct Part {
    spool: Arc<Spool>,
    piece: BytesMut,
    range: Range<u64>,
}

/// Why a part could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PartError {
    /// The session is being finalized, or has been.
    #[error("the session takes no more parts")]
    Sealed,
    /// More bytes than the part has.
    #[error("the part is longer than announced")]
    TooLong,
    /// The disk.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl BlobStore {
    /// The file of a session; shared with the other requests of the session.
    pub(crate) fn spool(&self, id: SessionId) -> Arc<Spool> {
        let mut spools = self.spools.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spool) = spools.get(&id).and_then(Weak::upgrade) {
            return spool;
        }
        spools.retain(|_, spool| spool.strong_count() > 0);
        let spool = Arc::new(Spool {
            path: self.sessions().join(id.to_hex()),
            file: RwLock::new(Gate::Closed),
            finalizing: tokio::sync::Mutex::new(()),
        });
        spools.insert(id, Arc::downgrade(&spool));
        spool
    }

    /// Removes the file of a session that is gone.
    pub(crate) async fn remove_spool(self: &Arc<Self>, id: SessionId) -> Result<(), WriteError> {
        let path = self.sessions().join(id.to_hex());
        blocking(move || remove(&path).map_err(WriteError::from)).await
    }

    /// The sessions that have a file. Blocks.
    pub(crate) fn spooled(&self) -> io::Result<Vec<SessionId>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.sessions())? {
            // Names that are no sessions are not ours to judge.
            found.extend(entry?.file_name().to_str().and_then(SessionId::from_hex));
        }
        Ok(found)
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

impl Spool {
    /// The open file, opened or made when this is its first use.
    fn open(&self) -> Result<(), PartError> {
        let mut gate = self.file.write().unwrap_or_else(PoisonError::into_inner);
        match &*gate {
            Gate::Open(_) => Ok(()),
            Gate::Sealed => Err(PartError::Sealed),
            Gate::Closed => {
                let file = File::options().read(true).write(true).create(true).truncate(false).open(&self.path);
                *gate = Gate::Open(Arc::new(file.map_err(WriteError::from)?));
                Ok(())
            }
        }
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), PartError> {
        let gate = self.file.read().unwrap_or_else(PoisonError::into_inner);
        match &*gate {
            Gate::Open(file) => Ok(file.write_all_at(bytes, at).map_err(WriteError::from)?),
            Gate::Closed | Gate::Sealed => Err(PartError::Sealed),
        }
    }

    /// Starts to receive the bytes `range` of the blob.
    pub(crate) async fn part(self: &Arc<Self>, range: Range<u64>) -> Result<Part, PartError> {
        let spool = Arc::clone(self);
        run(move || spool.open()).await?;
        Ok(Part { spool: Arc::clone(self), piece: BytesMut::with_capacity(PIECE), range })
    }

    /// Keeps further parts out and hashes what was received; on success the blob is ready to be published, and the
    /// session's file is still there under its own name.
    pub(crate) async fn seal(self: &Arc<Self>, store: &Arc<BlobStore>, length: u64) -> Result<Received, WriteError> {
        let (spool, store) = (Arc::clone(self), Arc::clone(store));
        blocking(move || {
            *spool.file.write().unwrap_or_else(PoisonError::into_inner) = Gate::Sealed;
            let mut file = File::open(&spool.path)?;
            let mut hasher = blake3::Hasher::new();
            let mut piece = vec![0; PIECE];
            let mut found = 0;
            while found <= length {
                let read = file.read(&mut piece)?;
                if read == 0 {
                    break;
                }
                hasher.update(&piece[..read]);
                found += read as u64;
            }
            file.sync_all()?;
            let temp = TempFile::name(&store)?;
            fs::hard_link(&spool.path, temp.path())?;
            Ok(Received::new(temp, CiphertextHash(*hasher.finalize().as_bytes()), found))
        })
        .await
    }

    /// Keeps further parts out for good: the session is gone.
    pub(crate) fn close(&self) {
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = Gate::Sealed;
    }

    /// Lets parts in again, after a finalize that failed but may be tried again.
    pub(crate) fn unseal(&self) {
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = Gate::Closed;
    }
}

impl Part {
    /// Adds bytes.
    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> Result<(), PartError> {
        while !bytes.is_empty() {
            let left = (self.range.end - self.range.start).saturating_sub(self.piece.len() as u64);
            let room = usize::try_from(left).unwrap_or(PIECE).min(PIECE - self.piece.len());
            if room == 0 {
                return Err(PartError::TooLong);
            }
            self.piece.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
            if self.piece.len() == PIECE {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), PartError> {
        let piece = self.piece.split();
        let (spool, at) = (Arc::clone(&self.spool), self.range.start);
        self.range.start += piece.len() as u64;
        self.piece = run(move || {
            let mut piece = piece;
            spool.write_at(&piece, at)?;
            piece.clear();
            Ok(piece)
        })
        .await?;
        Ok(())
    }

    /// Ends the part; its bytes are durable when this returns. Says whether all of them came.
    pub(crate) async fn finish(mut self) -> Result<bool, PartError> {
        self.flush().await?;
        if self.range.start != self.range.end {
            return Ok(false);
        }
        let spool = self.spool;
        run(move || {
            let file = match &*spool.file.read().unwrap_or_else(PoisonError::into_inner) {
                Gate::Open(file) => Arc::clone(file),
                Gate::Closed | Gate::Sealed => return Err(PartError::Sealed),
            };
            Ok(file.sync_data().map_err(WriteError::from)?)
        })
        .await?;
        Ok(true)
    }
}

async fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T, PartError> + Send + 'static) -> Result<T, PartError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| WriteError::Disk(io::Error::other(error)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_late_part_does_not_reach_what_has_become_a_blob() {
        let directory = tempfile::TempDir::new().unwrap();
        let store = Arc::new(BlobStore::open(directory.path(), 0).unwrap());
        let spool = store.spool(SessionId([1; 16]));
        let mut part = spool.part(0..10).await.unwrap();
        part.write(Bytes::from_static(b"0123456789")).await.unwrap();
        assert!(part.finish().await.unwrap());
        let mut late = spool.part(0..10).await.unwrap();
        late.write(Bytes::from_static(b"xxxxxxxxxx")).await.unwrap();

        let sealed = spool.seal(&store, 10).await.unwrap();
        let hash = CiphertextHash(*blake3::hash(b"0123456789").as_bytes());
        assert_eq!((sealed.hash, sealed.length), (hash, 10));
        let guard = store.share(hash).await;
        drop(sealed.publish(&store, guard).await.unwrap());
        assert!(matches!(late.finish().await, Err(PartError::Sealed)));
        assert!(matches!(spool.part(0..10).await, Err(PartError::Sealed)));
        assert_eq!(fs::read(store.path(hash)).unwrap(), b"0123456789");
    }
}
