//! The change feed: what changed in a folder since a number.
//!
//! A change's number is given in the transaction that makes it, while the folder's row is locked by it: so no number is
//! ever seen before a lower one of the same folder.

use async_trait::async_trait;
use hcfs_model::FileId;

use super::{Bells, FolderKey, ListedFile, Outcome};

/// The last change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) seq: u64,
    pub(crate) what: Changed,
}

/// What a file is after its last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Changed {
    /// Stored, as a listing shows it.
    Listed(ListedFile),
    /// Gone.
    Removed(FileId),
}

/// What the feed has after a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FeedPage {
    /// Changes in the order of their numbers.
    Changes {
        changes: Vec<Change>,
        /// What to ask for next.
        next: u64,
        /// Whether changes follow that did not fit.
        has_more: bool,
    },
    /// The feed does not reach back so far, or the number was never reached.
    Reset,
}

/// The feeds of all folders.
#[async_trait]
pub(crate) trait Feeds: Send + Sync {
    /// At most `limit` changes after the number `after`; without it none, and `next` is the number of the last.
    async fn changes(&self, folder: FolderKey, after: Option<u64>, limit: u64) -> Outcome<FeedPage>;

    /// Drops at most `limit` removals from before `before`, in Unix seconds, from the feeds; how many there were.
    async fn forget_removals(&self, before: i64, limit: u64) -> Outcome<u64>;

    /// What is rung after every change, made by whichever server.
    fn bells(&self) -> &Bells;
}

/// Puts the changes of stored files and the removals together, both in the order of their numbers and each of at most one
/// entry more than `limit`. `last` is the number of the last change of all.
pub(super) fn page(files: Vec<Change>, removals: Vec<Change>, limit: usize, last: u64) -> FeedPage {
    let mut changes = files;
    changes.extend(removals);
    changes.sort_unstable_by_key(|change| change.seq);
    let mut room = super::file::PAGE_BYTES;
    let fits = |change: &&Change| {
        let bytes = match &change.what {
            Changed::Listed(file) => file.json_bytes(),
            Changed::Removed(_) => 128,
        };
        room = room.saturating_sub(bytes);
        room > 0
    };
    let kept = changes.iter().take(limit).take_while(fits).count().max(1).min(changes.len());
    let has_more = kept < changes.len();
    changes.truncate(kept);
    let next = changes.last().filter(|_| has_more).map_or(last, |change| change.seq);
    FeedPage::Changes { changes, next, has_more }
}
