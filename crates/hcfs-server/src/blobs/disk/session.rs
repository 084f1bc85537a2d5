//! What upload sessions receive: one sparse file each, its parts written in any order, several at a time.
//!
//! A session's file becomes its blob by a hard link, so a failed commit leaves the session as it was. While it is being
//! finalized it is *sealed*: a late retry of a part must not write into what is now a blob.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use hcfs_model::CiphertextHash;

use super::Directories;
use super::write::{TempFile, blocking, received};
use crate::blobs::{PIECE, PartError, Received, ReceivingPart, Spool, WriteError};
use crate::metadata::SessionId;

/// The files of sessions that requests are using now: all requests of a session share one.
#[derive(Default)]
pub(super) struct Spools(Mutex<HashMap<SessionId, Weak<FileSpool>>>);

/// The file of one session.
pub(super) struct FileSpool {
    path: PathBuf,
    files: Arc<Directories>,
    file: RwLock<Gate>,
    finalizing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
enum Gate {
    /// Not touched since the start.
    Closed,
    Open(Arc<File>),
    Sealed,
}

/// Bytes of a part on their way to the file.
struct FilePart {
    spool: Arc<FileSpool>,
    piece: BytesMut,
    range: Range<u64>,
}

impl Spools {
    /// The file of a session; shared with the other requests of the session.
    pub(super) fn spool(&self, id: SessionId, files: &Arc<Directories>) -> Arc<FileSpool> {
        let mut spools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spool) = spools.get(&id).and_then(Weak::upgrade) {
            return spool;
        }
        spools.retain(|_, spool| spool.strong_count() > 0);
        let spool = Arc::new(FileSpool {
            path: files.sessions().join(id.to_hex()),
            files: Arc::clone(files),
            file: RwLock::new(Gate::Closed),
            finalizing: tokio::sync::Mutex::new(()),
        });
        spools.insert(id, Arc::downgrade(&spool));
        spool
    }
}

impl FileSpool {
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
}

#[async_trait]
impl Spool for FileSpool {
    async fn part(self: Arc<Self>, _index: u32, range: Range<u64>) -> Result<Box<dyn ReceivingPart>, PartError> {
        let spool = Arc::clone(&self);
        run(move || spool.open()).await?;
        Ok(Box::new(FilePart { spool: self, piece: BytesMut::with_capacity(PIECE), range }))
    }

    async fn seal(self: Arc<Self>, _parts: u32, length: u64) -> Result<Received, WriteError> {
        blocking(move || {
            *self.file.write().unwrap_or_else(PoisonError::into_inner) = Gate::Sealed;
            let mut file = File::open(&self.path)?;
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
            let hash = CiphertextHash(*hasher.finalize().as_bytes());
            file.sync_all()?;
            let temp = TempFile::name(&self.files)?;
            fs::hard_link(&self.path, temp.path())?;
            Ok(received(Arc::clone(&self.files), temp, hash, found))
        })
        .await
    }

    fn unseal(&self) {
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = Gate::Closed;
    }

    fn close(&self) {
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = Gate::Sealed;
    }

    fn finalizing(&self) -> &tokio::sync::Mutex<()> {
        &self.finalizing
    }
}

impl FilePart {
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
}

#[async_trait]
impl ReceivingPart for FilePart {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), PartError> {
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

    async fn finish(mut self: Box<Self>) -> Result<bool, PartError> {
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
    tokio::task::spawn_blocking(work).await.map_err(|error| WriteError::Store(io::Error::other(error)))?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;
    use crate::blobs::{BlobStore, Disk};

    #[tokio::test]
    async fn a_late_part_does_not_reach_what_has_become_a_blob() {
        let directory = tempfile::TempDir::new().unwrap();
        let store = Disk::open(directory.path(), 0, Clock::system()).unwrap();
        let spool = store.spool(SessionId([1; 16]));
        let part = || Arc::clone(&spool).part(0, 0..10);
        let mut whole = part().await.unwrap();
        whole.write(Bytes::from_static(b"0123456789")).await.unwrap();
        assert!(whole.finish().await.unwrap());
        let mut late = part().await.unwrap();
        late.write(Bytes::from_static(b"xxxxxxxxxx")).await.unwrap();

        let sealed = Arc::clone(&spool).seal(1, 10).await.unwrap();
        let hash = CiphertextHash(*blake3::hash(b"0123456789").as_bytes());
        assert_eq!((sealed.hash, sealed.length), (hash, 10));
        let place = sealed.place().await.unwrap();
        assert!(matches!(late.finish().await, Err(PartError::Sealed)));
        assert!(matches!(part().await, Err(PartError::Sealed)));
        assert_eq!(fs::read(store.files.path(&place.object)).unwrap(), b"0123456789");
    }
}
