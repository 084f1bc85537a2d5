//! Batches of the server in memory.

use bytes::Bytes;
use hcfs_model::{FolderHash, RevisionId};
use hcfs_wire::{BATCH_START_LEN, BatchLimits, ErrorCode, Failure, Manifest, UploadResult, batch_entry_len};

use super::server::{MemoryServer, conflict, refused};
use crate::{BatchBlob, Expected};

/// What a download's head takes at most.
const HEAD: usize = 512;

impl MemoryServer {
    /// Bounds what a batch may hold.
    pub fn set_batch_limits(&self, limits: BatchLimits) {
        self.state().batch = limits;
    }

    /// Carries uploads out, each on its own, in their order.
    ///
    /// # Errors
    /// The batch as a whole is too large.
    pub fn upload_batch(&self, uploads: &[(Manifest, Bytes)]) -> Result<Vec<Result<UploadResult, Failure>>, Failure> {
        let limits = self.state().batch;
        if uploads.len() > limits.max_entries as usize {
            return Err(refused(ErrorCode::BatchTooLarge, "too many entries"));
        }
        let length = |(manifest, blob): &(Manifest, Bytes)| {
            let head = serde_json::to_vec(manifest).map_or(0, |head| head.len());
            batch_entry_len(head, blob.len() as u64)
        };
        let total = BATCH_START_LEN + uploads.iter().map(length).sum::<u64>();
        if total > limits.max_bytes || uploads.iter().any(|(_, blob)| blob.len() as u64 > limits.max_blob) {
            return Err(refused(ErrorCode::PayloadTooLarge, "the batch is too large"));
        }
        Ok(uploads.iter().map(|(manifest, blob)| self.upload(manifest, blob.clone())).collect())
    }

    /// Gives the blobs of files, or their first bytes, in their order.
    ///
    /// # Errors
    /// The batch as a whole has too many entries.
    pub fn download_batch(
        &self,
        folder: FolderHash,
        files: &[(hcfs_model::FileId, Option<RevisionId>)],
        first_bytes: Option<u64>,
    ) -> Result<Vec<Result<BatchBlob, Failure>>, Failure> {
        let limits = self.state().batch;
        if files.len() > limits.max_entries as usize {
            return Err(refused(ErrorCode::BatchTooLarge, "too many entries"));
        }
        let mut room = limits.max_bytes.saturating_sub(BATCH_START_LEN);
        let mut blob_of = |(file, wanted): (hcfs_model::FileId, Option<RevisionId>)| {
            let stored = self.file(folder, file).ok_or_else(|| refused(ErrorCode::NotFound, "no such file"))?;
            if wanted.is_some_and(|wanted| wanted != stored.revision.id) {
                return Err(conflict(Some(stored.revision)));
            }
            let whole = stored.blob.len() as u64;
            let length = first_bytes.map_or(whole, |first| first.min(whole));
            let taken = batch_entry_len(HEAD, length);
            if length > limits.max_blob || taken > room {
                return Err(refused(ErrorCode::PayloadTooLarge, "the answer has no room for the file"));
            }
            room -= taken;
            let bytes = stored.blob.slice(..usize::try_from(length).unwrap_or(usize::MAX).min(stored.blob.len()));
            Ok(BatchBlob { found: Expected { revision: stored.revision, size: stored.size }, bytes })
        };
        Ok(files.iter().map(|wanted| blob_of(*wanted)).collect())
    }
}
