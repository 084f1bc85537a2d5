//! The blob store: ciphertext, in objects that are written once.
//!
//! [`BlobStore`] is what the rest of the server works with. There are two: [`disk`], a directory of this machine, and
//! [`s3`], shared by any number of servers.
//!
//! Invariants:
//! - A blob has a place ([`BlobPlace`]) only when its bytes are durable there; rows are made after that.
//! - An object is removed only when no row points to it and none ever will: see [`name`].
//! - So a row never points to a missing blob, whenever a process dies; what can be left over is an object without a row,
//!   which [`crate::collect`] finds.
//! - Blobs that fit into one piece of memory are written in groups ([`pack`]): a small upload does not cost a sync of the
//!   disk, or a request to S3, of its own.
//!
//! Deliberately absent: what a blob means, and whose it is.

mod disk;
mod name;
mod pack;
mod s3;

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use hcfs_model::CiphertextHash;

pub(crate) use disk::Disk;
pub(crate) use name::{BlobPlace, ObjectId, ObjectName};
pub(crate) use s3::S3;

use crate::metadata::SessionId;

/// Bytes held in memory, read or written at a time. A blob of at most so many is written together with others.
pub(crate) const PIECE: usize = 128 * 1024;

/// A store of blobs.
#[async_trait]
pub(crate) trait BlobStore: Send + Sync {
    /// Starts a blob of at most `length` bytes; waits while too many are being received. Dropped, it leaves nothing.
    async fn receive(&self, length: u64) -> Result<Box<dyn Receiving>, WriteError>;

    /// A blob of at most [`PIECE`] bytes that is here already; it is stored together with others.
    fn small(&self, blob: Bytes) -> Received;

    /// Opens a blob; `None` when it is not all there.
    async fn open(&self, place: BlobPlace) -> Result<Option<OpenBlob>, WriteError>;

    /// Removes objects; one that is gone already is no failure.
    async fn remove(&self, objects: Vec<ObjectName>) -> Result<(), WriteError>;

    /// The objects of a shard, with their lengths, in no order.
    async fn list(&self, shard: u8) -> Result<Vec<(ObjectName, u64)>, WriteError>;

    /// Whether `length` more bytes would fit.
    async fn has_room(&self, length: u64) -> Result<bool, WriteError>;

    /// Whether the store can be reached and written.
    async fn ping(&self) -> Result<(), WriteError>;

    /// What an upload session has received; shared with the other requests of the session on this server.
    fn spool(&self, id: SessionId) -> Arc<dyn Spool>;

    /// Removes what a session that is gone has received.
    async fn remove_spool(&self, id: SessionId) -> Result<(), WriteError>;

    /// The sessions that have received something.
    async fn spooled(&self) -> Result<BTreeSet<SessionId>, WriteError>;

    /// Those of `sessions` whose parts may have been lost when the server died.
    async fn doubtful(&self, sessions: BTreeSet<SessionId>) -> Result<BTreeSet<SessionId>, WriteError>;
}

/// A blob while it is received.
#[async_trait]
pub(crate) trait Receiving: Send {
    /// Adds bytes.
    async fn write(&mut self, bytes: Bytes) -> Result<(), WriteError>;

    /// Ends the blob. It is whole, but has no place yet.
    async fn finish(self: Box<Self>) -> Result<Received, WriteError>;
}

/// A blob that is whole. Dropped, it leaves nothing.
pub(crate) struct Received {
    /// BLAKE3 of its bytes.
    pub(crate) hash: CiphertextHash,
    /// How many bytes.
    pub(crate) length: u64,
    blob: Box<dyn Placing>,
}

/// What gives a received blob its place.
#[async_trait]
trait Placing: Send {
    async fn place(self: Box<Self>) -> Result<BlobPlace, WriteError>;
}

impl Received {
    /// Gives the blob its place; it is durable when this returns.
    pub(crate) async fn place(self) -> Result<BlobPlace, WriteError> {
        self.blob.place().await
    }
}

/// A blob opened for reading; it stays readable when it is removed meanwhile.
pub(crate) struct OpenBlob {
    /// How many bytes it has.
    pub(crate) length: u64,
    bytes: Box<dyn Source>,
}

/// The bytes of an open blob.
trait Source: Send {
    /// A body of these bytes, counted from the blob's first; never more in memory than a few pieces.
    fn body(self: Box<Self>, range: Range<u64>) -> Body;
}

impl OpenBlob {
    /// A body of these bytes of the blob.
    pub(crate) fn body(self, range: Range<u64>) -> Body {
        self.bytes.body(range)
    }
}

/// What one upload session has received. Its parts are written in any order, several at a time.
#[async_trait]
pub(crate) trait Spool: Send + Sync {
    /// Starts to receive a part, which is the bytes `range` of the blob.
    async fn part(self: Arc<Self>, index: u32, range: Range<u64>) -> Result<Box<dyn ReceivingPart>, PartError>;

    /// Keeps further parts out, and reads what was received as one blob. What the session received stays.
    async fn seal(self: Arc<Self>, parts: u32, length: u64) -> Result<Received, WriteError>;

    /// Lets parts in again, after a finalize that failed but may be tried again.
    fn unseal(&self);

    /// Keeps further parts out for good: the session is gone.
    fn close(&self);

    /// Held by the finalize that runs here: a second one waits and finds the answer of the first.
    fn finalizing(&self) -> &tokio::sync::Mutex<()>;
}

/// A part of a session while it is received.
#[async_trait]
pub(crate) trait ReceivingPart: Send {
    /// Adds bytes.
    async fn write(&mut self, bytes: Bytes) -> Result<(), PartError>;

    /// Ends the part; its bytes are durable when this returns. Says whether all of them came.
    async fn finish(self: Box<Self>) -> Result<bool, PartError>;
}

/// Why a blob could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The disk is full, or would be.
    #[error("the server's disk has no room left")]
    Full,
    /// The disk or the object store failed.
    #[error("the server's blob store failed")]
    Store(#[source] io::Error),
    /// Parts of an upload session that were received are not there any more.
    #[error("parts of the upload session are lost")]
    PartsLost,
    /// More bytes than the store takes as one blob.
    #[error("the blob is larger than the server's store takes")]
    TooLarge,
    /// The operating system gave no random name.
    #[error("the server has no random numbers")]
    Random,
}

impl From<io::Error> for WriteError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Full,
            _ => Self::Store(error),
        }
    }
}

impl WriteError {
    /// The same failure for another blob of a group.
    fn again(&self) -> Self {
        match self {
            Self::Full => Self::Full,
            Self::Store(error) => Self::Store(io::Error::new(error.kind(), error.to_string())),
            Self::PartsLost => Self::PartsLost,
            Self::TooLarge => Self::TooLarge,
            Self::Random => Self::Random,
        }
    }
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
    /// The store.
    #[error(transparent)]
    Write(#[from] WriteError),
}
