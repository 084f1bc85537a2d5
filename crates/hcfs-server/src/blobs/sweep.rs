//! Removal of blobs that no row points to.
//!
//! Both ways in, a deletion and the sweep after the start, take the shard alone first and ask the metadata store second:
//! an upload that shares the shard has committed its row or given up by then.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::Arc;

use hcfs_model::CiphertextHash;

use super::write::blocking;
use super::{BlobStore, ShardClosed, WriteError};
use crate::metadata::{MetadataError, MetadataStore};

/// What keeps unreferenced blobs on the disk; the next start tries again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SweepError {
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Disk(#[from] WriteError),
}

/// Removes those of `blobs` that no row points to any more.
pub(crate) async fn remove_unreferenced(
    store: &Arc<BlobStore>,
    metadata: &dyn MetadataStore,
    blobs: Vec<CiphertextHash>,
) -> Result<(), SweepError> {
    let mut shards: BTreeMap<u8, Vec<CiphertextHash>> = BTreeMap::new();
    for blob in blobs {
        shards.entry(blob.0[0]).or_default().push(blob);
    }
    for (shard, blobs) in shards {
        let closed = store.close(shard).await;
        let free = metadata.unreferenced(blobs).await?;
        unlink(store, closed, free).await?;
    }
    Ok(())
}

/// Removes every blob that no row points to, one shard at a time; how many there were.
pub(crate) async fn sweep(store: &Arc<BlobStore>, metadata: &dyn MetadataStore) -> Result<u64, SweepError> {
    let mut removed = 0;
    for shard in 0..=u8::MAX {
        let closed = store.close(shard).await;
        let referenced = metadata.referenced(shard).await?;
        let directory = store.shard_directory(shard);
        let orphans = blocking(move || {
            let mut orphans = Vec::new();
            for entry in fs::read_dir(directory)? {
                // Names that are no hashes are not ours to remove.
                if let Some(hash) = entry?.file_name().to_str().and_then(|name| CiphertextHash::from_hex(name).ok())
                    && !referenced.contains(&hash)
                {
                    orphans.push(hash);
                }
            }
            Ok(orphans)
        })
        .await?;
        removed += orphans.len() as u64;
        unlink(store, closed, orphans).await?;
    }
    Ok(removed)
}

/// Removes files while their shard is closed. Not synced: a blob that comes back after a power cut is swept again.
async fn unlink(store: &Arc<BlobStore>, closed: ShardClosed, blobs: Vec<CiphertextHash>) -> Result<(), WriteError> {
    let store = Arc::clone(store);
    blocking(move || {
        for blob in blobs {
            match fs::remove_file(store.path(blob)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        drop(closed);
        Ok(())
    })
    .await
}
