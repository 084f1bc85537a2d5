//! What every request works with.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use hcfs_model::CiphertextHash;
use hcfs_wire::ErrorCode;

use crate::answer::Failure;
use crate::blobs::{BlobStore, remove_unreferenced};
use crate::metadata::{Metadata, SessionId};
use crate::place::Lock;
use crate::{Clock, Limits};

/// The two stores of a server, its limits and its clock.
pub(crate) struct Stores {
    pub(crate) metadata: Metadata,
    pub(crate) blobs: Arc<BlobStore>,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    /// Work that goes on when its client leaves.
    pub(crate) tasks: TaskTracker,
    transfers: Arc<Semaphore>,
    /// Last, so that the directory is given back after everything that writes there.
    _lock: Lock,
}

/// The right to move one blob; bounds the memory of all transfers.
pub(crate) type TransferSlot = OwnedSemaphorePermit;

impl Stores {
    pub(crate) fn new(metadata: Metadata, blobs: BlobStore, limits: Limits, clock: Clock, lock: Lock) -> Arc<Self> {
        let transfers = Arc::new(Semaphore::new(limits.transfers));
        Arc::new(Self {
            metadata,
            blobs: Arc::new(blobs),
            limits,
            clock,
            tasks: TaskTracker::new(),
            transfers,
            _lock: lock,
        })
    }

    /// Waits for the right to move a blob.
    pub(crate) async fn transfer(&self) -> Result<TransferSlot, Failure> {
        let slot = Arc::clone(&self.transfers).acquire_owned().await;
        slot.map_err(|_| Failure::new(ErrorCode::Unavailable, "the server is stopping"))
    }

    /// Removes those of `blobs` that no row points to. A failure costs disk space until the next start, not the answer.
    pub(crate) async fn discard(&self, blobs: Vec<CiphertextHash>) {
        if let Err(error) = remove_unreferenced(&self.blobs, &self.metadata, blobs).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "unused blobs stay until the next start");
        }
    }

    /// Removes the file of a session that is gone; a failure leaves it until the next start.
    pub(crate) async fn remove_spool(&self, id: SessionId) {
        if let Err(error) = self.blobs.remove_spool(id).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "an upload session's file stays until the next start"
            );
        }
    }

    /// Runs work that must not be left half done: it goes on when the client that asked for it is gone.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        self.tasks.spawn(work).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a request ended by a panic");
            Err(Failure::new(ErrorCode::DatabaseError, "the server failed; see its log"))
        })
    }
}

/// `N` random bytes: names of revisions and sessions.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| Failure::new(ErrorCode::Unavailable, "the server has no random numbers"))?;
    Ok(bytes)
}
