//! The feed of the server in memory.

use std::sync::Arc;

use hcfs_model::{FileId, FolderHash};
use hcfs_wire::{ErrorCode, Failure};
use tokio::sync::Notify;

use super::server::{MemoryServer, refused};
use crate::{ChangePage, FileChange};

impl MemoryServer {
    /// What changed in a folder since the change `after`, at most `limit` files; without `after` where the feed stands.
    ///
    /// # Errors
    /// `feed_reset`: the feed does not reach back so far.
    pub fn changes(&self, folder: FolderHash, after: Option<u64>, limit: u32) -> Result<ChangePage, Failure> {
        let mut state = self.state();
        let limit = limit.min(state.page_rows) as usize;
        let folder = state.folders.entry(folder).or_default();
        let Some(after) = after else {
            return Ok(ChangePage { changes: Vec::new(), next: folder.changes, has_more: false });
        };
        if after < folder.floor || after > folder.changes {
            return Err(refused(ErrorCode::FeedReset, "the feed does not reach back so far"));
        }
        if folder.is_muted {
            return Ok(ChangePage { changes: Vec::new(), next: after, has_more: false });
        }
        let mut numbers: Vec<(u64, FileId)> =
            folder.last.iter().filter(|(_, seq)| **seq > after).map(|(id, seq)| (*seq, *id)).collect();
        numbers.sort_unstable();
        let has_more = numbers.len() > limit;
        numbers.truncate(limit);
        let next = numbers.last().filter(|_| has_more).map_or(folder.changes, |(seq, _)| *seq);
        let change = |(_, id): (u64, FileId)| match folder.files.get(&id) {
            Some(file) => FileChange::Listed(folder.row(id, file)),
            None => FileChange::Removed(id),
        };
        Ok(ChangePage { changes: numbers.into_iter().map(change).collect(), next, has_more })
    }

    /// Lets the feed of a folder leave out what changes, as a hostile or broken server's would, or tell it again.
    pub fn mute_feed(&self, folder: FolderHash, muted: bool) {
        self.state().folders.entry(folder).or_default().is_muted = muted;
    }

    /// Drops what the feed of a folder knows: whoever knows less than its last change is told to begin anew.
    pub fn reset_feed(&self, folder: FolderHash) {
        let mut state = self.state();
        let folder = state.folders.entry(folder).or_default();
        folder.count();
        folder.floor = folder.changes;
        folder.bell.notify_waiters();
    }

    /// Rung at every change of a folder.
    pub(super) fn bell(&self, folder: FolderHash) -> Arc<Notify> {
        Arc::clone(&self.state().folders.entry(folder).or_default().bell)
    }
}
