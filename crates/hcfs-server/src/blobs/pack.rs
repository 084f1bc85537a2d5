//! Writing small blobs together.
//!
//! Blobs that are whole wait here for each other only as long as the write before them takes: whoever comes while a pack
//! is being written goes into the next one. A lone upload waits for nobody; a hundred at once cost one sync.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use hcfs_model::CiphertextHash;
use tokio::sync::{mpsc, oneshot};

use super::{BlobPlace, ObjectName, Placing, Received, WriteError};

/// Blobs that may wait before those who bring them wait.
const QUEUE: usize = 1024;
/// Blobs of one pack.
const PACK_BLOBS: usize = 1024;
/// Bytes of one pack, unless its first blob has more.
const PACK_BYTES: usize = 8 << 20;

/// Writes whole objects.
#[async_trait]
pub(super) trait PackStore: Send + Sync + 'static {
    /// Stores the bytes under a new name of a pack; they are durable when this returns.
    async fn store_pack(&self, blobs: Vec<Bytes>) -> Result<ObjectName, WriteError>;
}

struct Waiting {
    blob: Bytes,
    answer: oneshot::Sender<Result<BlobPlace, WriteError>>,
}

/// The way to the packs that are written next.
#[derive(Clone)]
pub(super) struct Packer(mpsc::Sender<Waiting>);

impl Packer {
    /// Starts `writers` tasks that each write one pack at a time; they end when the last packer is dropped. Needs a tokio
    /// runtime.
    pub(super) fn start(store: &Arc<impl PackStore>, writers: usize) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let waiting = Arc::new(tokio::sync::Mutex::new(waiting));
        for _ in 0..writers {
            tokio::spawn(write_packs(Arc::clone(store), Arc::clone(&waiting)));
        }
        Self(queue)
    }

    /// Stores a blob in the next pack.
    async fn store(&self, blob: Bytes) -> Result<BlobPlace, WriteError> {
        let closed = || WriteError::Store(io::Error::other("the blob store is closed"));
        let (answer, answered) = oneshot::channel();
        self.0.send(Waiting { blob, answer }).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

async fn write_packs(store: Arc<impl PackStore>, waiting: Arc<tokio::sync::Mutex<mpsc::Receiver<Waiting>>>) {
    loop {
        let mut pack = Vec::new();
        {
            let mut waiting = waiting.lock().await;
            let Some(first) = waiting.recv().await else { return };
            let mut bytes = first.blob.len();
            pack.push(first);
            while pack.len() < PACK_BLOBS
                && bytes < PACK_BYTES
                && let Ok(next) = waiting.try_recv()
            {
                bytes += next.blob.len();
                pack.push(next);
            }
        }
        let blobs: Vec<Bytes> = pack.iter().map(|waiting| waiting.blob.clone()).collect();
        let stored = store.store_pack(blobs).await;
        let mut at = 0;
        for Waiting { blob, answer } in pack {
            let length = blob.len() as u64;
            let place = match &stored {
                Ok(object) => Ok(BlobPlace { object: *object, at, length }),
                Err(error) => Err(error.again()),
            };
            at += length;
            // Whoever brought it may have gone; its bytes stay unused.
            let _ = answer.send(place);
        }
    }
}

/// A small blob that is whole.
pub(super) struct Small {
    packer: Packer,
    bytes: Bytes,
}

impl Small {
    /// A small blob for the next pack.
    pub(super) fn received(packer: &Packer, bytes: Bytes) -> Received {
        let hash = CiphertextHash(*blake3::hash(&bytes).as_bytes());
        let length = bytes.len() as u64;
        Received { hash, length, blob: Box::new(Self { packer: packer.clone(), bytes }) }
    }
}

#[async_trait]
impl Placing for Small {
    async fn place(self: Box<Self>) -> Result<BlobPlace, WriteError> {
        self.packer.store(self.bytes).await
    }
}
