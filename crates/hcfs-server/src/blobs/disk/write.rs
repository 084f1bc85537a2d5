//! Receiving a blob: hashed while it is written, in bounded memory, under a name of its own until it is whole.

use std::fs::{self, File};
use std::io::{self, Write};
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use hcfs_model::CiphertextHash;
use tokio::task::JoinHandle;

use super::Directories;
use crate::blobs::name::Kind;
use crate::blobs::pack::{Packer, Small};
use crate::blobs::{BlobPlace, PIECE, Placing, Received, Receiving, WriteError};
use crate::place;

/// A file that is removed when it is dropped, unless it was moved to its place.
#[derive(Debug)]
pub(super) struct TempFile {
    path: PathBuf,
}

impl TempFile {
    /// A name in `incoming` that nothing has.
    pub(super) fn name(files: &Directories) -> Result<Self, WriteError> {
        let mut name = [0; 16];
        getrandom::fill(&mut name).map_err(|_| WriteError::Random)?;
        Ok(Self { path: files.incoming().join(hex::encode(name)) })
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
/// One piece is filled while the one before is hashed and written; a blob of one piece stays in memory, for the next
/// pack.
pub(super) struct DiskReceiving {
    files: Arc<Directories>,
    packer: Packer,
    piece: BytesMut,
    state: State,
}

enum State {
    Ready(Box<Progress>),
    Writing(JoinHandle<Result<Box<Progress>, WriteError>>),
    Failed,
}

impl DiskReceiving {
    /// Starts a blob.
    pub(super) fn new(files: &Arc<Directories>, packer: &Packer) -> Self {
        let progress =
            Progress { file: None, hasher: blake3::Hasher::new(), length: 0, spare: BytesMut::with_capacity(0) };
        Self {
            files: Arc::clone(files),
            packer: packer.clone(),
            piece: BytesMut::new(),
            state: State::Ready(Box::new(progress)),
        }
    }

    async fn flush(&mut self) -> Result<(), WriteError> {
        let mut progress = self.settled().await?;
        let mut piece = mem::replace(&mut self.piece, mem::take(&mut progress.spare));
        let files = Arc::clone(&self.files);
        self.state = State::Writing(tokio::task::spawn_blocking(move || {
            progress.take(&files, &piece)?;
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
            State::Writing(task) => task.await.map_err(|error| WriteError::Store(io::Error::other(error)))?,
            State::Failed => Err(WriteError::Store(io::Error::other("the upload failed before"))),
        }
    }
}

#[async_trait]
impl Receiving for DiskReceiving {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), WriteError> {
        while !bytes.is_empty() {
            // Only when more comes: a blob of exactly one piece is small.
            if self.piece.len() == PIECE {
                self.flush().await?;
            }
            let room = PIECE - self.piece.len();
            self.piece.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Received, WriteError> {
        let mut progress = self.settled().await?;
        let Self { files, packer, piece, .. } = *self;
        blocking(move || {
            if progress.file.is_none() {
                return Ok(Small::received(&packer, piece.freeze()));
            }
            progress.take(&files, &piece)?;
            let Progress { file, hasher, length, .. } = *progress;
            let (temp, file) = file.ok_or_else(|| WriteError::Store(io::Error::other("no file was made")))?;
            file.sync_all()?;
            Ok(received(files, temp, CiphertextHash(*hasher.finalize().as_bytes()), length))
        })
        .await
    }
}

impl Progress {
    fn take(&mut self, files: &Directories, piece: &[u8]) -> Result<(), WriteError> {
        let (_, file) = match &mut self.file {
            Some(file) => file,
            none => {
                let temp = TempFile::name(files)?;
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

/// A blob in a synced file of `incoming`.
pub(super) fn received(files: Arc<Directories>, temp: TempFile, hash: CiphertextHash, length: u64) -> Received {
    Received { hash, length, blob: Box::new(Large { files, temp, length }) }
}

/// A blob that is whole and synced, but not in its place.
struct Large {
    files: Arc<Directories>,
    temp: TempFile,
    length: u64,
}

#[async_trait]
impl Placing for Large {
    async fn place(self: Box<Self>) -> Result<BlobPlace, WriteError> {
        let Self { files, temp, length } = *self;
        let object = files.new_name(Kind::Own)?;
        blocking(move || {
            fs::rename(temp.path(), files.path(&object))?;
            temp.keep();
            place::sync_directory(&files.shard(object.shard()))?;
            Ok(BlobPlace::whole(object, length))
        })
        .await
    }
}

/// Runs disk work off the runtime's threads.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WriteError> + Send + 'static,
) -> Result<T, WriteError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| WriteError::Store(io::Error::other(error)))?
}
