//! Blobs in an S3 store, shared by any number of servers.
//!
//! ```text
//! <prefix>/00 … ff/<object>          objects, by the first byte of their name
//! <prefix>/sessions/<id>/<part>      what upload sessions have received, each part an object
//! <prefix>/ready                     written at the start, and looked for by readiness checks
//! ```
//!
//! Nothing here relies on a conditional request: names are never used twice, and what must be decided is decided in SQL.
//! Memory is bounded by a budget that all uploads of a server share; who comes when it is used up waits. A multipart
//! upload whose server dies is invisible to listings: let the bucket's lifecycle rules abort those after two days.

mod connect;
mod receive;
mod session;

use std::collections::BTreeSet;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::name::Kind;
use super::pack::{PackStore, Packer, Small};
use super::{
    BlobPlace, BlobStore, ObjectId, ObjectName, OpenBlob, PIECE, Received, Receiving, Source, Spool, WriteError,
};
use crate::Clock;
use crate::config::Bucket as Location;
use crate::metadata::SessionId;

use receive::S3Receiving;
use session::Spools;

/// Packs that are written at the same time.
const PACK_WRITERS: usize = 8;
/// Pieces of memory that uploads hold together: 96 MiB.
const BUDGET: u32 = 768;
/// How long the store may send no byte of an object.
const STALL: Duration = Duration::from_secs(30);

/// The blobs of a bucket.
pub(crate) struct S3 {
    bucket: Arc<Bucket>,
    packer: Packer,
    spools: Spools,
}

/// The bucket, shared with the work that goes on in it.
struct Bucket {
    store: AmazonS3,
    prefix: Path,
    clock: Clock,
    memory: Arc<Semaphore>,
}

impl S3 {
    /// Reaches the bucket and writes to it. Needs a tokio runtime.
    pub(crate) async fn open(location: &Location, clock: Clock) -> Result<Self, WriteError> {
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(&location.bucket)
            .with_allow_http(true)
            .with_http_connector(connect::Hyper);
        if let Some(endpoint) = &location.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &location.region {
            builder = builder.with_region(region);
        }
        if let Some((id, secret)) = &location.credentials {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret.expose());
        }
        let bucket = Arc::new(Bucket {
            store: builder.build().map_err(failed)?,
            prefix: Path::from(location.prefix.as_str()),
            clock,
            memory: Arc::new(Semaphore::new(BUDGET as usize)),
        });
        bucket.put(&bucket.ready(), Bytes::from_static(b"hcfs")).await?;
        Ok(Self { packer: Packer::start(&bucket, PACK_WRITERS), bucket, spools: Spools::default() })
    }
}

impl Bucket {
    fn path(&self, object: &ObjectName) -> Path {
        self.shard(object.shard()).join(object.to_hex())
    }

    fn shard(&self, shard: u8) -> Path {
        self.prefix.clone().join(format!("{shard:02x}"))
    }

    fn sessions(&self) -> Path {
        self.prefix.clone().join("sessions")
    }

    fn session(&self, id: SessionId) -> Path {
        self.sessions().join(id.to_hex())
    }

    fn ready(&self) -> Path {
        self.prefix.clone().join("ready")
    }

    fn new_name(&self, kind: Kind) -> Result<ObjectName, WriteError> {
        Ok(ObjectName::Id(ObjectId::new(kind, self.clock.seconds())?))
    }

    async fn put(&self, path: &Path, bytes: impl Into<PutPayload>) -> Result<(), WriteError> {
        self.store.put(path, bytes.into()).await.map_err(failed)?;
        Ok(())
    }

    /// The right to hold `bytes` bytes; waits while others hold too much.
    async fn memory(&self, bytes: u64) -> Result<OwnedSemaphorePermit, WriteError> {
        let pieces = u32::try_from(bytes.div_ceil(PIECE as u64)).unwrap_or(BUDGET).clamp(1, BUDGET);
        let held = Arc::clone(&self.memory).acquire_many_owned(pieces).await;
        held.map_err(|_| WriteError::Store(io::Error::other("the blob store is closed")))
    }

    /// The length of an object; `None` when there is none.
    async fn length(&self, path: &Path) -> Result<Option<u64>, WriteError> {
        match self.store.head(path).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// The bytes of an object, or a part of them; `None` when there is none. Fails when the store sends nothing for long.
    async fn read(
        &self,
        path: &Path,
        range: Option<Range<u64>>,
    ) -> Result<Option<BoxStream<'static, io::Result<Bytes>>>, WriteError> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let bytes = match self.store.get_opts(path, options).await {
            Ok(found) => found.into_stream(),
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let bounded = stream::unfold(bytes, |mut bytes| async move {
            match tokio::time::timeout(STALL, bytes.next()).await {
                Ok(next) => Some((next?.map_err(io::Error::other), bytes)),
                Err(_) => Some((Err(io::Error::new(io::ErrorKind::TimedOut, "the object store stalled")), bytes)),
            }
        });
        Ok(Some(bounded.boxed()))
    }

    async fn remove(&self, paths: Vec<Path>) -> Result<(), WriteError> {
        let mut removed = self.store.delete_stream(stream::iter(paths.into_iter().map(Ok)).boxed());
        while let Some(done) = removed.next().await {
            match done {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(())
    }
}

#[async_trait]
impl PackStore for Bucket {
    async fn store_pack(&self, blobs: Vec<Bytes>) -> Result<ObjectName, WriteError> {
        let object = self.new_name(Kind::Pack)?;
        self.put(&self.path(&object), PutPayload::from_iter(blobs)).await?;
        Ok(object)
    }
}

#[async_trait]
impl BlobStore for S3 {
    async fn receive(&self, length: u64) -> Result<Box<dyn Receiving>, WriteError> {
        Ok(Box::new(S3Receiving::new(&self.bucket, &self.packer, length).await?))
    }

    fn small(&self, blob: Bytes) -> Received {
        Small::received(&self.packer, blob)
    }

    async fn open(&self, place: BlobPlace) -> Result<Option<OpenBlob>, WriteError> {
        let path = self.bucket.path(&place.object);
        let length = self.bucket.length(&path).await?;
        if length.is_none_or(|length| length < place.end()) {
            return Ok(None);
        }
        let bytes = OpenObject { bucket: Arc::clone(&self.bucket), path, at: place.at };
        Ok(Some(OpenBlob { length: place.length, bytes: Box::new(bytes) }))
    }

    async fn remove(&self, objects: Vec<ObjectName>) -> Result<(), WriteError> {
        self.bucket.remove(objects.iter().map(|object| self.bucket.path(object)).collect()).await
    }

    async fn list(&self, shard: u8) -> Result<Vec<(ObjectName, u64)>, WriteError> {
        let mut found = Vec::new();
        let mut objects = self.bucket.store.list(Some(&self.bucket.shard(shard)));
        while let Some(meta) = objects.try_next().await.map_err(failed)? {
            // Names that are no objects are not ours to judge.
            if let Some(object) = meta.location.filename().and_then(ObjectName::from_hex) {
                found.push((object, meta.size));
            }
        }
        Ok(found)
    }

    async fn has_room(&self, _length: u64) -> Result<bool, WriteError> {
        Ok(true)
    }

    async fn ping(&self) -> Result<(), WriteError> {
        match self.bucket.length(&self.bucket.ready()).await? {
            Some(_) => Ok(()),
            None => Err(WriteError::Store(io::Error::other("the bucket is not the one the server was started with"))),
        }
    }

    fn spool(&self, id: SessionId) -> Arc<dyn Spool> {
        self.spools.spool(id, &self.bucket, &self.packer)
    }

    async fn remove_spool(&self, id: SessionId) -> Result<(), WriteError> {
        let parts = self.bucket.store.list(Some(&self.bucket.session(id)));
        let paths = parts.map_ok(|meta| meta.location).try_collect().await.map_err(failed)?;
        self.bucket.remove(paths).await
    }

    async fn spooled(&self) -> Result<BTreeSet<SessionId>, WriteError> {
        let listed = self.bucket.store.list_with_delimiter(Some(&self.bucket.sessions())).await.map_err(failed)?;
        // Names that are no sessions are not ours to judge.
        Ok(listed.common_prefixes.iter().filter_map(|path| SessionId::from_hex(path.filename()?)).collect())
    }

    async fn doubtful(&self, _sessions: BTreeSet<SessionId>) -> Result<BTreeSet<SessionId>, WriteError> {
        // A part is marked as received after the store has it.
        Ok(BTreeSet::new())
    }
}

/// An object that is read when its body is.
struct OpenObject {
    bucket: Arc<Bucket>,
    path: Path,
    /// Where the blob starts.
    at: u64,
}

impl Source for OpenObject {
    fn body(self: Box<Self>, range: Range<u64>) -> Body {
        if range.is_empty() {
            return Body::empty();
        }
        let range = self.at + range.start..self.at + range.end;
        let read = async move {
            let gone = || io::Error::new(io::ErrorKind::NotFound, "the object was removed");
            self.bucket.read(&self.path, Some(range)).await.map_err(io::Error::other)?.ok_or_else(gone)
        };
        Body::from_stream(stream::once(read).try_flatten())
    }
}

/// A failure of the object store.
fn failed(error: object_store::Error) -> WriteError {
    WriteError::Store(io::Error::other(error))
}
