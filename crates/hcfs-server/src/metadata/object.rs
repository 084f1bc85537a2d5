//! Which objects of the blob store rows point to, and which ones rows have stopped pointing to.

use async_trait::async_trait;
use hcfs_model::CiphertextHash;

use super::Outcome;
use crate::blobs::{BlobPlace, ObjectName};

/// A blob that a row points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlacedBlob {
    /// The row, as this database numbers it.
    pub(crate) row: i64,
    pub(crate) place: BlobPlace,
    pub(crate) ciphertext: CiphertextHash,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    pub(crate) accounts: u64,
    /// Folders that are registered or hold files.
    pub(crate) folders: u64,
    pub(crate) files: u64,
    /// Plaintext bytes.
    pub(crate) bytes: u64,
    /// Upload sessions that receive.
    pub(crate) sessions: u64,
    /// Objects that wait for their removal.
    pub(crate) unused_objects: u64,
}

/// The objects behind the files.
#[async_trait]
pub(crate) trait Objects: Send + Sync {
    /// The objects that rows stopped pointing to at least `grace` seconds ago by the database's clock, and whose name
    /// comes after `after`, in order; at most `limit`.
    async fn unused(&self, grace: u64, after: Option<ObjectName>, limit: u32) -> Outcome<Vec<ObjectName>>;

    /// Notes objects that no row points to, as if a row had just stopped.
    async fn mark_unused(&self, objects: Vec<ObjectName>) -> Outcome<()>;

    /// Takes the note of objects back: they are gone, or needed.
    async fn unmark_unused(&self, objects: Vec<ObjectName>) -> Outcome<()>;

    /// Those of `objects` that are not noted as unused.
    async fn unmarked(&self, objects: Vec<ObjectName>) -> Outcome<Vec<ObjectName>>;

    /// Those of `objects` that no row points to.
    async fn unreferenced(&self, objects: Vec<ObjectName>) -> Outcome<Vec<ObjectName>>;

    /// The blobs that rows point to in the objects of a shard, in the order of their objects and of their offsets there,
    /// after the blob `after`; at most `limit`.
    async fn placed(&self, shard: u8, after: Option<PlacedBlob>, limit: u32) -> Outcome<Vec<PlacedBlob>>;

    /// The place a row points to now; `None` when the row is gone.
    async fn place_of(&self, row: i64) -> Outcome<Option<BlobPlace>>;

    /// Lets a row point to an equal blob elsewhere, if it still points to the old one; says whether it did. To clients
    /// nothing has changed.
    async fn move_blob(&self, blob: PlacedBlob, to: BlobPlace) -> Outcome<bool>;

    /// How much there is; exact.
    async fn totals(&self) -> Outcome<Totals>;
}
