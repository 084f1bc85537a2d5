//! The change feed: what changed in a folder since a number (`EXTENSIONS.md`).

use hcfs_model::{AccountAddress, FileId, FolderHash};
use serde::{Deserialize, Serialize};

use crate::{RemoteFileEntry, Row, encoding, limits};

/// What is asked of `GET /changes/{ss58}/{folder_hash}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedQuery {
    /// The number of the last change that is known; `None` to learn where the feed stands, without any changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// How many changes to send at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Seconds to wait for a change while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
}

/// The answer to `GET /changes/{ss58}/{folder_hash}`. A reader uses `Row<RemoteFileEntry>` as `F`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "F: Deserialize<'de>"))]
pub struct Feed<F = RemoteFileEntry> {
    /// The account.
    #[serde(with = "encoding::address")]
    pub ss58_address: AccountAddress,
    /// The folder.
    #[serde(with = "encoding::folder")]
    pub folder_hash: FolderHash,
    /// The last change of each file that changed, in the order of their numbers.
    #[serde(deserialize_with = "encoding::list::<_, _, { limits::MAX_PAGE_ROWS as usize }>")]
    pub changes: Vec<FeedChange<F>>,
    /// What to give as `after` next time: everything up to this number is in this answer or was before `after`.
    pub next: u64,
    /// Whether changes follow that did not fit.
    pub has_more: bool,
}

/// One change: a file as it is now, or the id of one that is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound(deserialize = "F: Deserialize<'de>"))]
pub struct FeedChange<F = RemoteFileEntry> {
    /// The change's number: above those of all changes that were committed before it.
    pub seq: u64,
    /// The file's row, as a listing has it.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub file: Option<F>,
    /// The id of a file that is gone, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "encoding::hex_option")]
    pub removed: Option<FileId>,
}

fn none<F>() -> Option<F> {
    None
}

/// Why a feed's answer makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    /// A number at or below the one before it, or below `after`.
    #[error("the changes are not in the order of their numbers")]
    Order,
    /// `next` is below the last change, or below `after`.
    #[error("the number to go on from is below the last change")]
    Next,
    /// More is said to follow, and the answer does not lead on.
    #[error("an answer without changes says that more follow")]
    Empty,
    /// Changes for somebody who only asked where the feed stands.
    #[error("changes came that were not asked for")]
    Unasked,
    /// A change with both a row and a removed id, or neither.
    #[error("a change is neither a row nor a removal")]
    Neither,
}

impl<F> Feed<F> {
    /// Checks the order of the changes against the number they were asked for.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, after: Option<u64>) -> Result<(), FeedError> {
        if after.is_none() && !self.changes.is_empty() {
            return Err(FeedError::Unasked);
        }
        let mut last = after.unwrap_or(0);
        for change in &self.changes {
            if change.seq <= last {
                return Err(FeedError::Order);
            }
            last = change.seq;
            if change.file.is_some() == change.removed.is_some() {
                return Err(FeedError::Neither);
            }
        }
        if self.next < last {
            return Err(FeedError::Next);
        }
        if self.has_more && self.changes.is_empty() {
            return Err(FeedError::Empty);
        }
        Ok(())
    }
}

/// A feed as a reader takes it: one bad row does not hide the others.
pub type ReadFeed = Feed<Row<RemoteFileEntry>>;
