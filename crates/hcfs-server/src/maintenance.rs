//! What an operator asks of a server's storage: removal of what nobody needs, a check, and figures.
//!
//! All of it is safe while servers run on the storage, and while others do the same: names of objects are never used
//! again, rows are asked for after objects, and what looks wrong is looked at twice.

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::BodyExt;

use crate::blobs::{BlobPlace, BlobStore, WriteError};
use crate::collect::{CollectError, Collector, Rows};
use crate::metadata::{MetadataStore, PlacedBlob};
use crate::stores::{Sharing, open_blobs, open_metadata};
use crate::{Clock, ServerError, Storage};

/// Faults that are named; further ones are counted.
const NAMED: usize = 1000;

/// What a collection did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// Objects that had no row and were not known to be unneeded: they are removed after the grace period.
    pub marked: u64,
    /// Packs written anew without what nobody needs.
    pub repacked: u64,
    /// Objects removed.
    pub removed: u64,
    /// Upload sessions that are gone and whose parts were removed.
    pub sessions: u64,
}

/// Looks through the whole storage and removes what has been unneeded for `grace`.
///
/// # Errors
/// The storage cannot be used.
pub async fn collect(storage: &Storage, grace: Duration, clock: &Clock) -> Result<Collected, ServerError> {
    let metadata = open_metadata(storage).await?;
    let blobs = open_blobs(storage, clock, Sharing::Beside).await?;
    let collector = Collector { metadata: metadata.as_ref(), blobs: blobs.as_ref(), clock, grace: grace.as_secs() };
    let work = async {
        let sessions = collector.sweep_sessions().await?;
        let (marked, repacked) = collector.sweep().await?;
        let removed = collector.remove_marked().await?;
        Ok(Collected { marked, repacked, removed, sessions })
    };
    work.await.map_err(|error: CollectError| ServerError::storage(storage, error))
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Rows looked at: files.
    pub rows: u64,
    /// Objects looked at.
    pub objects: u64,
    /// Bytes of the objects.
    pub object_bytes: u64,
    /// Rows whose blob is not there.
    pub missing: u64,
    /// Rows whose blob has another hash than the row says; only found when hashes are verified.
    pub damaged: u64,
    /// Objects without a row that wait for their removal, or that an upload may still point a row to.
    pub waiting: u64,
    /// Objects without a row that nothing knows of; a collection removes them.
    pub stray: u64,
    /// The missing and damaged blobs, the first thousand of them.
    pub faults: Vec<Fault>,
}

/// A row whose blob is missing or damaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The row's number in the database.
    pub row: i64,
    /// The object it points to.
    pub object: String,
    /// The hash its blob should have, in hexadecimal characters.
    pub ciphertext_hash: String,
    /// Whether the blob is there, but with other bytes.
    pub damaged: bool,
}

impl Report {
    /// Whether every row has its blob.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.missing == 0 && self.damaged == 0
    }

    fn add(&mut self, blob: &PlacedBlob, damaged: bool) {
        if damaged {
            self.damaged += 1;
        } else {
            self.missing += 1;
        }
        if self.faults.len() < NAMED {
            self.faults.push(Fault {
                row: blob.row,
                object: blob.place.object.to_hex(),
                ciphertext_hash: blob.ciphertext.to_hex(),
                damaged,
            });
        }
    }
}

/// Checks that every row has its blob and every object its row; with `hashes`, reads every blob and compares its hash.
/// Changes nothing.
///
/// # Errors
/// The storage cannot be used.
pub async fn check(storage: &Storage, hashes: bool, clock: &Clock) -> Result<Report, ServerError> {
    let metadata = open_metadata(storage).await?;
    let blobs = open_blobs(storage, clock, Sharing::Beside).await?;
    let checker = Checker { metadata: metadata.as_ref(), blobs: blobs.as_ref(), clock, hashes };
    let mut report = Report::default();
    for shard in 0..=u8::MAX {
        checker.shard(shard, &mut report).await.map_err(|error| ServerError::storage(storage, error))?;
    }
    Ok(report)
}

struct Checker<'a> {
    metadata: &'a dyn MetadataStore,
    blobs: &'a dyn BlobStore,
    clock: &'a Clock,
    hashes: bool,
}

impl Checker<'_> {
    async fn shard(&self, shard: u8, report: &mut Report) -> Result<(), CollectError> {
        let now = self.clock.seconds();
        let mut objects: BTreeMap<_, _> = self.blobs.list(shard).await?.into_iter().collect();
        report.objects += objects.len() as u64;
        report.object_bytes += objects.values().sum::<u64>();
        let mut rows = Rows::new(self.metadata, shard);
        while let Some(group) = rows.next_object().await? {
            let Some(object) = group.first().map(|blob| blob.place.object) else { break };
            let length = objects.remove(&object).unwrap_or(0);
            for blob in &group {
                report.rows += 1;
                self.blob(blob, length, report).await?;
            }
        }
        let (settled, young): (Vec<_>, Vec<_>) = objects.into_keys().partition(|object| object.is_settled(now));
        let lonely = settled.len() as u64;
        // A row may have gone since the objects were listed: then its object is marked.
        let stray = self.metadata.unmarked(settled).await?.len() as u64;
        report.stray += stray;
        report.waiting += lonely - stray + young.len() as u64;
        Ok(())
    }

    async fn blob(&self, blob: &PlacedBlob, object_length: u64, report: &mut Report) -> Result<(), CollectError> {
        let is_there = blob.place.end() <= object_length;
        if is_there && !self.hashes {
            return Ok(());
        }
        let hash = self.hash(blob.place).await?;
        if hash == Some(blob.ciphertext.0) {
            return Ok(());
        }
        // The row may have gone meanwhile, and its blob after it.
        if self.metadata.place_of(blob.row).await? == Some(blob.place) {
            report.add(blob, hash.is_some());
        }
        Ok(())
    }

    /// The hash of a blob; `None` when it is not all there.
    async fn hash(&self, place: BlobPlace) -> Result<Option<[u8; 32]>, WriteError> {
        let Some(open) = self.blobs.open(place).await? else { return Ok(None) };
        let mut hasher = blake3::Hasher::new();
        let mut body = open.body(0..place.length);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| WriteError::Store(std::io::Error::other(error)))?;
            if let Ok(bytes) = frame.into_data() {
                hasher.update(&bytes);
            }
        }
        Ok(Some(*hasher.finalize().as_bytes()))
    }
}

/// How much a storage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Accounts that were ever seen.
    pub accounts: u64,
    /// Folders that are registered or hold files.
    pub folders: u64,
    /// Files.
    pub files: u64,
    /// Plaintext bytes of the files.
    pub bytes: u64,
    /// Upload sessions that receive.
    pub sessions: u64,
    /// Objects that wait for their removal.
    pub unused_objects: u64,
}

/// How much a storage holds, from its database alone.
///
/// # Errors
/// The database cannot be used.
pub async fn stats(storage: &Storage) -> Result<Stats, ServerError> {
    let metadata = open_metadata(storage).await?;
    let totals = metadata.totals().await.map_err(|source| ServerError::database(storage, source))?;
    Ok(Stats {
        accounts: totals.accounts,
        folders: totals.folders,
        files: totals.files,
        bytes: totals.bytes,
        sessions: totals.sessions,
        unused_objects: totals.unused_objects,
    })
}
