//! Receiving a blob: hashed while it is written, in bounded memory, under a name of its own until it is whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hcfs_model::CiphertextHash;
use tokio::task::JoinHandle;

use super::{BlobStore, PIECE, ShardGuard};
use crate::place;

/// Why a blob could not be received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The disk is full, or would be.
    #[error("the server's disk has no room left")]
    Full,
    /// The disk failed.
    #[error("the server's disk failed")]
    Disk(#[source] io::Error),
    /// The operating system gave no random name.
    #[error("the server has no random numbers")]
    Random,
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full,
            _ => Self::Disk(error),
        }
    }
}

/// A file that is removed when it is dropped, unless it was moved to its place.
#[derive(Debug)]
pub(super) struct TempFile {
    path: PathBuf,
}

impl TempFile {
    /// A name in `incoming` that nothing has.
    pub(super) fn name(store: &BlobStore) -> Result<Self, WriteError> {
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(|_| WriteError::Random)?;
        Ok(Self { path: store.incoming().join(hex::encode(name)) })
    }

    pub(super) fn path(&self) -> &std::path::Path {
        &self.path
    }

    fn keep(mut self) {
        self.path = PathBuf::new();
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if self.path.as_os_str().is_empty() {
            return;
        }
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "cannot remove an unfinished upload; the next start will");
        }
    }
}

/// What the disk thread works on, passed to it and back with every piece.
struct Progress {
    file: Option<(TempFile, File)>,
    hasher: blake3::Hasher,
    length: u64,
    /// The buffer of the piece before, to be filled again.
    spare: BytesMut,
}

/// A blob while it is received. Dropped early, it leaves nothing.
///
/// One piece is filled while the one before is hashed and written; a blob of one piece touches the disk only when it
/// is whole.
pub(crate) struct BlobWriter {
    store: Arc<BlobStore>,
    piece: BytesMut,
    state: State,
}

enum State {
    Ready(Box<Progress>),
    Writing(JoinHandle<Result<Box<Progress>, WriteError>>),
    Failed,
}

/// A blob that is whole and synced, but not in its place.
#[derive(Debug)]
pub(crate) struct Received {
    temp: TempFile,
    /// BLAKE3 of its bytes.
    pub(crate) hash: CiphertextHash,
    /// How many bytes.
    pub(crate) length: u64,
}

impl BlobWriter {
    /// Starts a blob.
    pub(crate) fn new(store: &Arc<BlobStore>) -> Self {
        let progress =
            Progress { file: None, hasher: blake3::Hasher::new(), length: 0, spare: BytesMut::with_capacity(0) };
        Self { store: Arc::clone(store), piece: BytesMut::new(), state: State::Ready(Box::new(progress)) }
    }

    /// Adds bytes.
    pub(crate) async fn write(&mut self, mut bytes: Bytes) -> Result<(), WriteError> {
        while !bytes.is_empty() {
            let room = PIECE - self.piece.len();
            self.piece.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
            if self.piece.len() == PIECE {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), WriteError> {
        let mut progress = self.settled().await?;
        let mut piece = mem::replace(&mut self.piece, mem::take(&mut progress.spare));
        let store = Arc::clone(&self.store);
        self.state = State::Writing(tokio::task::spawn_blocking(move || {
            progress.take(&store, &piece)?;
            piece.clear();
            progress.spare = piece;
            Ok(progress)
        }));
        Ok(())
    }

    /// Waits for the piece being written.
    async fn settled(&mut self) -> Result<Box<Progress>, WriteError> {
        match mem::replace(&mut self.state, State::Failed) {
            State::Ready(progress) => Ok(progress),
            State::Writing(task) => task.await.map_err(|error| WriteError::Disk(io::Error::other(error)))?,
            State::Failed => Err(WriteError::Disk(io::Error::other("the upload failed before"))),
        }
    }

    /// Ends the blob: its bytes are synced when this returns.
    pub(crate) async fn finish(mut self) -> Result<Received, WriteError> {
        let mut progress = self.settled().await?;
        let (store, piece) = (self.store, self.piece);
        blocking(move || {
            progress.take(&store, &piece)?;
            let Progress { file, hasher, length, .. } = *progress;
            let (temp, file) = file.ok_or_else(|| WriteError::Disk(io::Error::other("no file was made")))?;
            file.sync_all()?;
            Ok(Received { temp, hash: CiphertextHash(*hasher.finalize().as_bytes()), length })
        })
        .await
    }
}

impl Progress {
    fn take(&mut self, store: &BlobStore, piece: &[u8]) -> Result<(), WriteError> {
        let (_, file) = match &mut self.file {
            Some(file) => file,
            none => {
                let temp = TempFile::name(store)?;
                let file = File::options().write(true).create_new(true).open(temp.path())?;
                none.insert((temp, file))
            }
        };
        self.hasher.update(piece);
        file.write_all(piece)?;
        self.length += piece.len() as u64;
        Ok(())
    }
}

impl Received {
    /// A file of `incoming` that was hashed and synced elsewhere.
    pub(super) fn new(temp: TempFile, hash: CiphertextHash, length: u64) -> Self {
        Self { temp, hash, length }
    }

    /// Moves the blob to its place and makes that durable. A blob of the same hash that stands there is replaced by its
    /// equal. The guard comes back: it is to be held until the row is committed.
    pub(crate) async fn publish(self, store: &Arc<BlobStore>, guard: ShardGuard) -> Result<ShardGuard, WriteError> {
        let store = Arc::clone(store);
        blocking(move || {
            let target = store.path(self.hash);
            fs::rename(self.temp.path(), &target)?;
            self.temp.keep();
            place::sync_directory(&store.shard_directory(self.hash.0[0]))?;
            Ok(guard)
        })
        .await
    }
}

/// Runs disk work off the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WriteError> + Send + 'static,
) -> Result<T, WriteError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| WriteError::Disk(io::Error::other(error)))?
}
