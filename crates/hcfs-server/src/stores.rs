//! What every request works with.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use hcfs_wire::ErrorCode;

use crate::access::Access;
use crate::answer::Failure;
use crate::blobs::{BlobPlace, BlobStore, Disk, Received, S3};
use crate::collect::{CollectError, Collector};
use crate::metadata::{Committed, MetadataError, MetadataStore, NewRevision, Outcome, Postgres, SessionId, Sqlite};
use crate::metrics::Metrics;
use crate::place::{self, Lock};
use crate::{Clock, Limits, ServerError, Storage};

/// Batches that are received at the same time; each holds up to 8 MiB.
const BATCHES: usize = 4;

/// The two stores of a server, its limits and its clock.
pub(crate) struct Stores {
    pub(crate) metadata: Arc<dyn MetadataStore>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    /// Work that goes on when its client leaves.
    pub(crate) tasks: TaskTracker,
    /// Ends with the server: what waits for something answers then.
    pub(crate) stopping: CancellationToken,
    batches: Arc<Semaphore>,
    waiters: Arc<Semaphore>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) access: Access,
    transfers: Arc<Semaphore>,
    /// Places for requests that wait for one of `transfers`.
    waiting: Semaphore,
    /// The part of the transfers that people without a token may use.
    public: Arc<Semaphore>,
    /// When both stores were asked last and answered.
    pub(crate) last_ready: Mutex<Option<Instant>>,
    /// Last, so that the directory is given back after everything that writes there.
    _lock: Option<Lock>,
}

/// The right to move one blob; bounds the memory of all transfers.
pub(crate) type TransferSlot = OwnedSemaphorePermit;

impl Stores {
    pub(crate) fn new(
        metadata: Arc<dyn MetadataStore>,
        blobs: Arc<dyn BlobStore>,
        access: Access,
        limits: Limits,
        clock: Clock,
        lock: Option<Lock>,
    ) -> Arc<Self> {
        Arc::new(Self {
            metadata,
            blobs,
            clock,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
            metrics: Metrics::new(),
            access,
            transfers: Arc::new(Semaphore::new(limits.transfers)),
            waiting: Semaphore::new(limits.transfers),
            public: Arc::new(Semaphore::new(limits.transfers.div_ceil(4))),
            last_ready: Mutex::default(),
            batches: Arc::new(Semaphore::new(BATCHES)),
            waiters: Arc::new(Semaphore::new(limits.connections / 2)),
            limits,
            _lock: lock,
        })
    }

    /// Waits for the right to move a blob. Who waits holds a connection and what it sent ahead, so too many do not.
    pub(crate) async fn transfer(&self) -> Result<TransferSlot, Failure> {
        if let Ok(slot) = Arc::clone(&self.transfers).try_acquire_owned() {
            return Ok(slot);
        }
        let _place = self
            .waiting
            .try_acquire()
            .map_err(|_| Failure::new(ErrorCode::Unavailable, "the server moves as many files as it can"))?;
        self.metrics.waiting.inc();
        let slot = Arc::clone(&self.transfers).acquire_owned().await;
        self.metrics.waiting.dec();
        slot.map_err(|_| Failure::new(ErrorCode::Unavailable, "the server is stopping"))
    }

    /// Waits for the right to receive a batch, which is held in memory.
    pub(crate) async fn batch(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let slot = Arc::clone(&self.batches).acquire_owned().await;
        slot.map_err(|_| Failure::new(ErrorCode::Unavailable, "the server is stopping"))
    }

    /// The right to hold a connection while nothing happens; `None` when too many do.
    pub(crate) fn wait(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.waiters).try_acquire_owned().ok()
    }

    /// The right to move a published blob, if there is one now.
    pub(crate) fn public_transfer(&self) -> Result<TransferSlot, Failure> {
        let slot = Arc::clone(&self.public).try_acquire_owned();
        slot.map_err(|_| Failure::new(ErrorCode::Unavailable, "the server sends as many published files as it can"))
    }

    /// Makes a received blob the current revision of its file: gives it its place, durably, and then commits its row.
    /// What a refused revision leaves behind is removed. Must run to its end ([`Stores::to_the_end`]).
    pub(crate) async fn commit(&self, received: Received, new: NewRevision) -> Result<Committed, Failure> {
        let place = received.place().await?;
        if !place.object.takes_rows(self.clock.seconds()) {
            self.abandon(place).await;
            return Err(Failure::new(ErrorCode::Unavailable, "the upload took too long; start it again"));
        }
        let committed: Outcome<Committed> = self.metadata.commit(new, place).await;
        match &committed {
            Ok(Committed::Stored(_)) => {}
            Ok(Committed::Conflict(_) | Committed::Stale(_)) | Err(MetadataError::SessionGone) => {
                self.abandon(place).await;
            }
            // The row may be there: the blob stays until a sweep knows.
            Err(_) => {}
        }
        Ok(committed?)
    }

    /// As [`Stores::commit`], of blobs that came together: they are stored together, and their rows committed in one
    /// transaction, in their order.
    pub(crate) async fn commit_all(&self, batch: Vec<(Received, NewRevision)>) -> Vec<Result<Committed, Failure>> {
        let (blobs, news): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let places = join_all(blobs.into_iter().map(Received::place)).await;
        let (mut answers, mut rows) = (Vec::new(), Vec::new());
        for (place, new) in places.into_iter().zip(news) {
            answers.push(match place {
                Ok(place) if place.object.takes_rows(self.clock.seconds()) => {
                    rows.push((new, place));
                    None
                }
                Ok(place) => {
                    self.abandon(place).await;
                    Some(Failure::new(ErrorCode::Unavailable, "the upload took too long; start it again"))
                }
                Err(error) => Some(error.into()),
            });
        }
        let stored: Vec<BlobPlace> = rows.iter().map(|(_, place)| *place).collect();
        let committed: Vec<Result<Committed, Failure>> = match self.metadata.commit_all(rows).await {
            Ok(committed) => committed.into_iter().map(Ok).collect(),
            // The rows may be there: the blobs stay until a sweep knows.
            Err(error) => stored.iter().map(|_| Err(error.clone().into())).collect(),
        };
        for (place, outcome) in stored.into_iter().zip(&committed) {
            if matches!(outcome, Ok(Committed::Conflict(_) | Committed::Stale(_))) {
                self.abandon(place).await;
            }
        }
        let mut committed = committed.into_iter();
        let closed = || Err(Failure::from(MetadataError::Closed));
        answers.into_iter().map(|early| early.map_or_else(|| committed.next().unwrap_or_else(closed), Err)).collect()
    }

    /// Leaves a blob to its removal that no row points to, nor will; a failure leaves it to the next sweep.
    async fn abandon(&self, place: BlobPlace) {
        let left = if place.object.is_pack() {
            self.metadata.mark_unused(vec![place.object]).await.map_err(CollectError::from)
        } else {
            self.blobs.remove(vec![place.object]).await.map_err(CollectError::from)
        };
        if let Err(error) = left {
            tracing::warn!(error = &error as &dyn std::error::Error, "a refused upload's blob stays for now");
        }
    }

    /// What removes objects that nobody needs.
    pub(crate) fn collector(&self) -> Collector<'_> {
        Collector {
            metadata: self.metadata.as_ref(),
            blobs: self.blobs.as_ref(),
            clock: &self.clock,
            grace: self.limits.blob_grace.as_secs(),
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

/// Opens a storage's metadata alone; servers may run on it.
pub(crate) async fn open_metadata(storage: &Storage) -> Result<Arc<dyn MetadataStore>, ServerError> {
    if let Some(config) = &storage.database {
        let opened = Postgres::open(config).await;
        return Ok(Arc::new(opened.map_err(|source| ServerError::database(storage, source))?));
    }
    let storage = storage.clone();
    let open = move || {
        place::create(&storage.data)?;
        let opened = Sqlite::open(&place::database(&storage.data));
        let opened = opened.map_err(|source| ServerError::database(&storage, source))?;
        Ok(Arc::new(opened) as Arc<dyn MetadataStore>)
    };
    tokio::task::spawn_blocking(open).await.map_err(|_| ServerError::Cut)?
}

/// How the blobs of a storage are opened.
pub(crate) enum Sharing {
    /// By the server that has the directory to itself; uploads leave so many bytes of its disk free.
    Alone {
        /// Bytes left free.
        reserve_bytes: u64,
    },
    /// Beside servers that may run.
    Beside,
}

/// Opens a storage's blobs.
pub(crate) async fn open_blobs(
    storage: &Storage,
    clock: &Clock,
    sharing: Sharing,
) -> Result<Arc<dyn BlobStore>, ServerError> {
    if let Some(bucket) = &storage.bucket {
        let opened = S3::open(bucket, clock.clone()).await;
        return Ok(Arc::new(opened.map_err(|source| ServerError::blobs(storage, source))?));
    }
    let (root, clock) = (place::blobs(&storage.data), clock.clone());
    let open = move || {
        let opened = match sharing {
            Sharing::Alone { reserve_bytes } => Disk::open(&root, reserve_bytes, clock),
            Sharing::Beside => Disk::share(&root, 0, clock),
        };
        let opened = opened.map_err(|source| ServerError::Data { path: root, source })?;
        Ok(Arc::new(opened) as Arc<dyn BlobStore>)
    };
    tokio::task::spawn_blocking(open).await.map_err(|_| ServerError::Cut)?
}

/// `N` random bytes: names of revisions and sessions.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|_| Failure::new(ErrorCode::Unavailable, "the server has no random numbers"))?;
    Ok(bytes)
}
