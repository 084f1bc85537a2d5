//! Removal of what nobody needs: objects that no row points to, and parts of upload sessions that are gone.
//!
//! Mark, then remove. An object is marked by the transaction that takes its last row away, or by a sweep over the whole
//! store that finds it without one (a server died between the two stores, or an upload was refused). It is removed when
//! it has been marked for the grace period and is settled: then no upload, here or on another server, can still be about
//! to point a row there (see [`crate::blobs`]). Nothing is locked; a server may go on, and several may collect at once.
//!
//! A pack of which less than half is needed is written anew without the rest, and then removed like any other object.

use std::collections::{BTreeMap, BTreeSet};

use crate::Clock;
use crate::blobs::{BlobStore, ObjectName, WriteError};
use crate::metadata::{MetadataError, MetadataStore, PlacedBlob};

/// Rows or objects that are looked at together.
const BATCH: u32 = 1000;

/// What keeps unneeded objects in the store; the next attempt goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Blobs(#[from] WriteError),
}

/// Both stores, and the time.
pub(crate) struct Collector<'a> {
    pub(crate) metadata: &'a dyn MetadataStore,
    pub(crate) blobs: &'a dyn BlobStore,
    pub(crate) clock: &'a Clock,
    /// Seconds between an object's mark and its removal.
    pub(crate) grace: u64,
}

impl Collector<'_> {
    /// Removes the objects whose grace is over; how many there were.
    pub(crate) async fn remove_marked(&self) -> Result<u64, CollectError> {
        let mut removed = 0;
        let mut after = None;
        loop {
            let batch = self.metadata.unused(self.grace, after, BATCH).await?;
            let Some(last) = batch.last() else { return Ok(removed) };
            after = Some(*last);
            let now = self.clock.seconds();
            // Before the rows are asked for: of an object that is settled now, the answer is final.
            let settled: Vec<_> = batch.into_iter().filter(|object| object.is_settled(now)).collect();
            let free = self.metadata.unreferenced(settled.clone()).await?;
            self.blobs.remove(free.clone()).await?;
            removed += free.len() as u64;
            // Those that are needed after all are packs; they are marked again when their next row goes.
            self.metadata.unmark_unused(settled).await?;
        }
    }

    /// Looks at every object: marks those without rows, and writes packs anew that are mostly unneeded. Gives how many
    /// of each.
    pub(crate) async fn sweep(&self) -> Result<(u64, u64), CollectError> {
        let (mut marked, mut repacked) = (0, 0);
        for shard in 0..=u8::MAX {
            let now = self.clock.seconds();
            // The objects first, the rows second: a row that comes in between belongs to an object that is not settled.
            let objects: BTreeMap<ObjectName, u64> = self.blobs.list(shard).await?.into_iter().collect();
            let mut lonely: BTreeSet<ObjectName> =
                objects.keys().copied().filter(|object| object.is_settled(now)).collect();
            let mut rows = Rows::new(self.metadata, shard);
            while let Some(group) = rows.next_object().await? {
                let Some(object) = group.first().map(|blob| blob.place.object) else { break };
                let is_settled = lonely.remove(&object);
                let needed: u64 = group.iter().map(|blob| blob.place.length).sum();
                let length = objects.get(&object).copied().unwrap_or(0);
                if is_settled && object.is_pack() && needed < length / 2 {
                    repacked += u64::from(self.repack(&group).await?);
                }
            }
            marked += lonely.len() as u64;
            self.metadata.mark_unused(lonely.into_iter().collect()).await?;
        }
        Ok((marked, repacked))
    }

    /// Gives blobs new places; says whether all of them moved.
    async fn repack(&self, group: &[PlacedBlob]) -> Result<bool, CollectError> {
        let mut moved = true;
        for blob in group {
            let Some(open) = self.blobs.open(blob.place).await? else { return Ok(false) };
            let length = open.length;
            let bytes = axum::body::to_bytes(open.body(0..length), crate::blobs::PIECE).await;
            let bytes = bytes.map_err(|error| WriteError::Store(std::io::Error::other(error)))?;
            if *blake3::hash(&bytes).as_bytes() != blob.ciphertext.0 {
                // Damage is for `check` to tell; it is not carried on.
                return Ok(false);
            }
            let mut receiving = self.blobs.receive(length).await?;
            receiving.write(bytes).await?;
            let place = receiving.finish().await?.place().await?;
            moved &= self.metadata.move_blob(*blob, place).await?;
        }
        Ok(moved)
    }

    /// Removes what sessions that are gone have received; how many there were.
    pub(crate) async fn sweep_sessions(&self) -> Result<u64, CollectError> {
        // The parts first, the rows second: a session's row is older than its first part.
        let spooled = self.blobs.spooled().await?;
        let receiving: BTreeSet<_> = self.metadata.receiving_sessions().await?.into_iter().collect();
        let mut removed = 0;
        for id in spooled.difference(&receiving) {
            self.blobs.remove_spool(*id).await?;
            removed += 1;
        }
        Ok(removed)
    }
}

/// The blobs that rows point to in a shard, object by object.
pub(crate) struct Rows<'a> {
    metadata: &'a dyn MetadataStore,
    shard: u8,
    page: std::vec::IntoIter<PlacedBlob>,
    last: Option<PlacedBlob>,
    peeked: Option<PlacedBlob>,
    ended: bool,
}

impl<'a> Rows<'a> {
    /// Starts at the first object of a shard.
    pub(crate) fn new(metadata: &'a dyn MetadataStore, shard: u8) -> Self {
        Self { metadata, shard, page: Vec::new().into_iter(), last: None, peeked: None, ended: false }
    }

    async fn next(&mut self) -> Result<Option<PlacedBlob>, MetadataError> {
        if let Some(peeked) = self.peeked.take() {
            return Ok(Some(peeked));
        }
        if self.page.len() == 0 && !self.ended {
            let page = self.metadata.placed(self.shard, self.last, BATCH).await?;
            self.ended = page.is_empty();
            self.last = page.last().copied().or(self.last);
            self.page = page.into_iter();
        }
        Ok(self.page.next())
    }

    /// All blobs of the next object; `None` after the last.
    pub(crate) async fn next_object(&mut self) -> Result<Option<Vec<PlacedBlob>>, MetadataError> {
        let Some(first) = self.next().await? else { return Ok(None) };
        let mut group = vec![first];
        while let Some(next) = self.next().await? {
            if next.place.object != first.place.object {
                self.peeked = Some(next);
                break;
            }
            group.push(next);
        }
        Ok(Some(group))
    }
}
