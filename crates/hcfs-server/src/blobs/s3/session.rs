//! What upload sessions receive: each part an object, so that a session started on one server goes on at another.
//!
//! A part that is sent again, or to two servers at once, is written again; the finalize reads what is there, and its hash
//! decides.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use object_store::path::Path;
use tokio::sync::OwnedSemaphorePermit;

use super::Bucket;
use super::receive::S3Receiving;
use crate::blobs::pack::Packer;
use crate::blobs::{PartError, Received, Receiving, ReceivingPart, Spool, WriteError};
use crate::metadata::SessionId;

/// The sessions that requests to this server use now: all requests of a session share one.
#[derive(Default)]
pub(super) struct Spools(Mutex<HashMap<SessionId, Weak<PartSpool>>>);

impl Spools {
    /// The parts of a session; shared with the other requests of the session.
    pub(super) fn spool(&self, id: SessionId, bucket: &Arc<Bucket>, packer: &Packer) -> Arc<PartSpool> {
        let mut spools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spool) = spools.get(&id).and_then(Weak::upgrade) {
            return spool;
        }
        spools.retain(|_, spool| spool.strong_count() > 0);
        let spool = Arc::new(PartSpool {
            bucket: Arc::clone(bucket),
            packer: packer.clone(),
            directory: bucket.session(id),
            is_sealed: AtomicBool::new(false),
            finalizing: tokio::sync::Mutex::new(()),
        });
        spools.insert(id, Arc::downgrade(&spool));
        spool
    }
}

/// The parts of one session.
pub(super) struct PartSpool {
    bucket: Arc<Bucket>,
    packer: Packer,
    directory: Path,
    is_sealed: AtomicBool,
    finalizing: tokio::sync::Mutex<()>,
}

impl PartSpool {
    fn path(&self, index: u32) -> Path {
        self.directory.clone().join(format!("{index:010}"))
    }
}

#[async_trait]
impl Spool for PartSpool {
    async fn part(self: Arc<Self>, index: u32, range: Range<u64>) -> Result<Box<dyn ReceivingPart>, PartError> {
        if self.is_sealed.load(Ordering::Acquire) {
            return Err(PartError::Sealed);
        }
        let length = range.end - range.start;
        let memory = self.bucket.memory(length).await?;
        Ok(Box::new(Part { spool: self, index, length, bytes: BytesMut::new(), _memory: memory }))
    }

    async fn seal(self: Arc<Self>, parts: u32, length: u64) -> Result<Received, WriteError> {
        self.is_sealed.store(true, Ordering::Release);
        let mut receiving = Box::new(S3Receiving::new(&self.bucket, &self.packer, length).await?);
        for index in 0..parts {
            let part = self.bucket.read(&self.path(index), None).await?;
            let mut part = part.ok_or(WriteError::PartsLost)?;
            while let Some(bytes) = part.try_next().await? {
                receiving.write(bytes).await?;
            }
        }
        receiving.finish().await
    }

    fn unseal(&self) {
        self.is_sealed.store(false, Ordering::Release);
    }

    fn close(&self) {
        self.is_sealed.store(true, Ordering::Release);
    }

    fn finalizing(&self) -> &tokio::sync::Mutex<()> {
        &self.finalizing
    }
}

/// A part on its way: whole in memory before it is sent, for S3 takes no object of unknown length.
struct Part {
    spool: Arc<PartSpool>,
    index: u32,
    length: u64,
    bytes: BytesMut,
    _memory: OwnedSemaphorePermit,
}

#[async_trait]
impl ReceivingPart for Part {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PartError> {
        if (self.bytes.len() + bytes.len()) as u64 > self.length {
            return Err(PartError::TooLong);
        }
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<bool, PartError> {
        let Self { spool, index, length, bytes, _memory } = *self;
        if bytes.len() as u64 != length {
            return Ok(false);
        }
        if spool.is_sealed.load(Ordering::Acquire) {
            return Err(PartError::Sealed);
        }
        spool.bucket.put(&spool.path(index), bytes.freeze()).await?;
        Ok(true)
    }
}
