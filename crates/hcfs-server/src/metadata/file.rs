//! Files: the current revision of each, its commit by compare-and-swap, the listing, and removal.

use async_trait::async_trait;
use hcfs_model::{CiphertextHash, FileId, Revision, RevisionId, SaltedHash};
use hcfs_wire::StateTag;

use crate::blobs::BlobPlace;

use super::{FolderKey, MetadataError, Outcome, Rename, RenameOutcome, SessionId};

/// Bytes of a page as JSON, where its rows are unusually large; below what a client reads (`MAX_PAGE_BODY`).
pub(super) const PAGE_BYTES: usize = 24 << 20;

/// Names one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileKey {
    pub(crate) folder: FolderKey,
    pub(crate) file: FileId,
}

/// A revision that wants to become a file's current one.
#[derive(Debug)]
pub(crate) struct NewRevision {
    pub(crate) key: FileKey,
    pub(crate) salted_hash: SaltedHash,
    /// Plaintext bytes.
    pub(crate) size: u64,
    pub(crate) revision: Revision,
    /// The revision it replaces; `None` for a new file.
    pub(crate) base: Option<RevisionId>,
    pub(crate) ciphertext: CiphertextHash,
    pub(crate) encrypted_path: Vec<u8>,
    pub(crate) file_name: Option<String>,
    pub(crate) relative_path: Option<String>,
    pub(crate) source: Option<String>,
    /// The session it came through; finalized by the same commit.
    pub(crate) session: Option<SessionId>,
    /// Unix seconds.
    pub(crate) now: i64,
}

/// What became of a [`NewRevision`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Committed {
    /// It is the current one.
    Stored(StoredRevision),
    /// Its base is not the current revision, which is given.
    Conflict(Option<Revision>),
    /// Its number is not above the current one's, which is given.
    Stale(Revision),
}

/// A committed revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredRevision {
    pub(crate) id: RevisionId,
    /// When the file was first stored, Unix seconds.
    pub(crate) created_at: i64,
    /// When this revision was stored, Unix seconds.
    pub(crate) updated_at: i64,
}

/// What a download needs to know of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileRow {
    pub(crate) revision: Revision,
    /// Plaintext bytes.
    pub(crate) size: u64,
    pub(crate) ciphertext: CiphertextHash,
    pub(crate) place: BlobPlace,
}

/// A file in the listing of its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedFile {
    pub(crate) file: FileId,
    pub(crate) salted_hash: SaltedHash,
    pub(crate) size: u64,
    pub(crate) revision: Revision,
    pub(crate) ciphertext: CiphertextHash,
    pub(crate) encrypted_path: Vec<u8>,
    pub(crate) file_name: Option<String>,
    pub(crate) relative_path: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl ListedFile {
    /// An upper bound of its bytes as JSON: integers take up to four characters a byte, escapes up to six.
    pub(super) fn json_bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        1024 + 4 * self.encrypted_path.len() + 6 * (text(&self.file_name) + text(&self.relative_path))
    }
}

/// One page of a folder's listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) files: Vec<ListedFile>,
    /// Files in the folder.
    pub(crate) total: u64,
    pub(crate) tag: StateTag,
}

/// What became of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The file is gone.
    Removed,
    /// There was no such file.
    NotFound,
    /// The file has another revision than the one asked for.
    Changed(Revision),
}

/// The files of all folders.
#[async_trait]
pub(crate) trait Files: Send + Sync {
    /// What a commit of this revision would answer now, without committing it: spares a client the upload of a blob
    /// that will be refused. `None` when it would be stored.
    async fn precheck(&self, key: FileKey, base: Option<RevisionId>, seq: u64) -> Outcome<Option<Committed>> {
        let found = self.file(key).await?;
        Ok(refuse(found.map(|row| row.revision), base, seq))
    }

    /// Makes a revision the current one if its base still is. Its blob is durable at `place`, whose object takes rows.
    async fn commit(&self, new: NewRevision, place: BlobPlace) -> Outcome<Committed>;

    /// As [`Files::commit`], one after the other in one transaction. The answers are in the order of `news`; when it
    /// fails, none is stored.
    async fn commit_all(&self, news: Vec<(NewRevision, BlobPlace)>) -> Outcome<Vec<Committed>>;

    /// The current revision of a file.
    async fn file(&self, key: FileKey) -> Outcome<Option<FileRow>>;

    /// The current revisions of files of one folder, in the order of `files`.
    async fn files(&self, folder: FolderKey, files: Vec<FileId>) -> Outcome<Vec<Option<FileRow>>>;

    /// Removes a file, if `only` names its current revision or nothing.
    async fn remove(&self, key: FileKey, only: Option<RevisionId>, now: i64) -> Outcome<Removal>;

    /// Removes files in one commit; the answers are in the order of `files`.
    async fn remove_all(&self, folder: FolderKey, files: Vec<FileId>, now: i64) -> Outcome<Vec<Removal>>;

    /// The tag of a folder's state.
    async fn state_tag(&self, folder: FolderKey) -> Outcome<StateTag>;

    /// A page of a folder's files, in the order of their first upload.
    async fn listing(&self, folder: FolderKey, offset: u64, limit: u64) -> Outcome<Listing>;

    /// Renames files of one folder in one commit.
    async fn rename(&self, folder: FolderKey, batch: Vec<Rename>, now: i64) -> Outcome<Vec<RenameOutcome>>;
}

/// Whether a revision may follow `current`; `None` when it may.
///
/// The base is looked at first, the number second: of two clients that both built on revision 1, the loser learns of a
/// conflict, not of a stale number.
pub(super) fn refuse(current: Option<Revision>, base: Option<RevisionId>, seq: u64) -> Option<Committed> {
    let Some(current) = current else {
        // A new file may start at any number: a client that remembers a deleted file's last number goes on from it.
        return base.map(|_| Committed::Conflict(None));
    };
    if base != Some(current.id) {
        return Some(Committed::Conflict(Some(current)));
    }
    (seq <= current.seq).then_some(Committed::Stale(current))
}

/// Names one state of a folder. The counter alone would come back after a restored backup; the random half does not.
pub(super) fn tag(changes: u64, random: [u8; 8]) -> Outcome<StateTag> {
    StateTag::from_text(&format!("{changes}-{}", hex::encode(random)))
        .map_err(|_| MetadataError::Impossible("a state tag"))
}
