//! Files whose blob everybody may fetch by its hash, until their owner withdraws it or changes the file.

use async_trait::async_trait;
use hcfs_model::CiphertextHash;

use super::{FileKey, Outcome};
use crate::blobs::BlobPlace;

/// Publications.
#[async_trait]
pub(crate) trait Publications: Send + Sync {
    /// Publishes a file's current blob, and gives its hash; `None` when there is no such file.
    async fn publish(&self, key: FileKey, now: i64) -> Outcome<Option<CiphertextHash>>;

    /// Ends a publication, and gives the hash that was published; `None` when there was none.
    async fn withdraw(&self, key: FileKey) -> Outcome<Option<CiphertextHash>>;

    /// Where a published blob lies.
    async fn published(&self, hash: CiphertextHash) -> Outcome<Option<BlobPlace>>;
}
