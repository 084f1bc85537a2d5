//! Receiving a blob into S3: hashed while it comes, in parts, one on its way while the next fills.

use std::io;
use std::mem;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use hcfs_model::CiphertextHash;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::{Bucket, failed};
use crate::blobs::name::Kind;
use crate::blobs::pack::{Packer, Small};
use crate::blobs::{BlobPlace, ObjectName, PIECE, Placing, Received, Receiving, WriteError};

/// Bytes of a part, unless the blob would have too many parts then.
const PART: u64 = 8 << 20;
/// The largest part; it must fit into the memory of all uploads.
const MAX_PART: u64 = 64 << 20;
/// Parts of one blob; S3 takes 10,000.
const PARTS: u64 = 9_000;

/// A blob while it is received. Dropped early, it leaves nothing.
pub(super) struct S3Receiving {
    bucket: Arc<Bucket>,
    packer: Packer,
    hasher: blake3::Hasher,
    length: u64,
    part_length: usize,
    buffer: BytesMut,
    /// The memory of the buffer; a small blob needs none.
    memory: Option<OwnedSemaphorePermit>,
    upload: Option<Upload>,
}

/// A multipart upload; aborted when it is dropped before its end.
struct Upload {
    bucket: Arc<Bucket>,
    object: ObjectName,
    path: Path,
    id: String,
    parts: Vec<PartId>,
    sending: Option<JoinHandle<Result<PartId, WriteError>>>,
    is_complete: bool,
}

impl S3Receiving {
    /// Starts a blob of at most `length` bytes.
    pub(super) async fn new(bucket: &Arc<Bucket>, packer: &Packer, length: u64) -> Result<Self, WriteError> {
        let part = PART.max(length.div_ceil(PARTS).next_multiple_of(1 << 20));
        if part > MAX_PART {
            return Err(WriteError::TooLarge);
        }
        let memory = if length > PIECE as u64 { Some(bucket.memory(length.min(part)).await?) } else { None };
        Ok(Self {
            bucket: Arc::clone(bucket),
            packer: packer.clone(),
            hasher: blake3::Hasher::new(),
            length: 0,
            part_length: usize::try_from(part).unwrap_or(usize::MAX),
            buffer: BytesMut::new(),
            memory,
            upload: None,
        })
    }

    /// Sends the buffer as the next part, once the one before is sent.
    async fn send(&mut self) -> Result<(), WriteError> {
        if self.upload.is_none() {
            self.upload = Some(Upload::start(&self.bucket).await?);
        }
        let Some(upload) = &mut self.upload else { return Ok(()) };
        upload.settle().await?;
        let (part, held) = (mem::take(&mut self.buffer).freeze(), self.memory.take());
        let (bucket, path, id, index) =
            (Arc::clone(&self.bucket), upload.path.clone(), upload.id.clone(), upload.parts.len());
        upload.sending = Some(tokio::spawn(async move {
            let sent = bucket.store.put_part(&path, &id, index, part.into()).await.map_err(failed);
            drop(held);
            sent
        }));
        Ok(())
    }
}

#[async_trait]
impl Receiving for S3Receiving {
    async fn write(&mut self, mut bytes: Bytes) -> Result<(), WriteError> {
        self.hasher.update(&bytes);
        self.length += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.buffer.len() == self.part_length {
                self.send().await?;
                self.memory = Some(self.bucket.memory(self.part_length as u64).await?);
            }
            let room = self.part_length - self.buffer.len();
            self.buffer.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<Received, WriteError> {
        if self.upload.is_some() {
            self.send().await?;
        }
        let Self { bucket, packer, hasher, length, buffer, memory, upload, .. } = *self;
        let hash = CiphertextHash(*hasher.finalize().as_bytes());
        let bytes = buffer.freeze();
        let blob: Box<dyn Placing> = match upload {
            Some(mut upload) => {
                upload.settle().await?;
                Box::new(Parts { upload, length })
            }
            None if bytes.len() <= PIECE => return Ok(Small::received(&packer, bytes)),
            None => Box::new(Whole { bucket, bytes, _memory: memory }),
        };
        Ok(Received { hash, length, blob })
    }
}

impl Upload {
    async fn start(bucket: &Arc<Bucket>) -> Result<Self, WriteError> {
        let object = bucket.new_name(Kind::Own)?;
        let path = bucket.path(&object);
        let id = bucket.store.create_multipart(&path).await.map_err(failed)?;
        let bucket = Arc::clone(bucket);
        Ok(Self { bucket, object, path, id, parts: Vec::new(), sending: None, is_complete: false })
    }

    /// Waits for the part on its way.
    async fn settle(&mut self) -> Result<(), WriteError> {
        if let Some(sending) = self.sending.take() {
            let sent = sending.await.map_err(|error| WriteError::Store(io::Error::other(error)))?;
            self.parts.push(sent?);
        }
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.is_complete {
            return;
        }
        let (bucket, path, id) = (Arc::clone(&self.bucket), self.path.clone(), self.id.clone());
        let sending = self.sending.take();
        runtime.spawn(async move {
            if let Some(sending) = sending {
                // A part that arrives after the end of its upload would stay.
                let _ = sending.await;
            }
            if let Err(error) = bucket.store.abort_multipart(&path, &id).await {
                tracing::warn!(%error, "an unfinished multipart upload stays until the bucket's rules remove it");
            }
        });
    }
}

/// A blob whose parts are in the store, but not one object yet.
struct Parts {
    upload: Upload,
    length: u64,
}

#[async_trait]
impl Placing for Parts {
    async fn place(mut self: Box<Self>) -> Result<BlobPlace, WriteError> {
        let upload = &mut self.upload;
        let parts = mem::take(&mut upload.parts);
        upload.bucket.store.complete_multipart(&upload.path, &upload.id, parts).await.map_err(failed)?;
        upload.is_complete = true;
        Ok(BlobPlace::whole(upload.object, self.length))
    }
}

/// A blob of one part.
struct Whole {
    bucket: Arc<Bucket>,
    bytes: Bytes,
    _memory: Option<OwnedSemaphorePermit>,
}

#[async_trait]
impl Placing for Whole {
    async fn place(self: Box<Self>) -> Result<BlobPlace, WriteError> {
        let object = self.bucket.new_name(Kind::Own)?;
        let length = self.bytes.len() as u64;
        self.bucket.put(&self.bucket.path(&object), self.bytes.clone()).await?;
        Ok(BlobPlace::whole(object, length))
    }
}
