//! The board a folder shows its status on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hcfs_model::RelPath;
use tokio::sync::watch;

use crate::status::{Direction, FolderStatus, Transfer};

/// Counts the plaintext bytes of one transfer as they move.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    done: Arc<AtomicU64>,
}

impl Progress {
    /// Adds bytes that have moved.
    pub(crate) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Says how far the transfer is, where it starts in the middle or starts again.
    pub(crate) fn set(&self, bytes: u64) {
        self.done.store(bytes, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}

struct InFlight {
    size: u64,
    progress: Progress,
}

/// The current status of a folder, and who watches it.
pub(crate) struct Board {
    watched: watch::Sender<Arc<FolderStatus>>,
    status: FolderStatus,
    in_flight: BTreeMap<(RelPath, Direction), InFlight>,
}

impl Board {
    /// A board that says `starting`, and its first reader.
    pub(crate) fn new() -> (Self, watch::Receiver<Arc<FolderStatus>>) {
        let status = FolderStatus::starting();
        let (watched, reader) = watch::channel(Arc::new(status.clone()));
        (Self { watched, status, in_flight: BTreeMap::new() }, reader)
    }

    /// The status as last written.
    pub(crate) fn status(&self) -> &FolderStatus {
        &self.status
    }

    /// Changes the status and shows it, if it differs from what was shown.
    pub(crate) fn update(&mut self, change: impl FnOnce(&mut FolderStatus)) {
        change(&mut self.status);
        self.show();
    }

    /// Starts showing a transfer.
    pub(crate) fn begin(&mut self, path: RelPath, direction: Direction, size: u64) -> Progress {
        let progress = Progress::default();
        self.in_flight.insert((path, direction), InFlight { size, progress: progress.clone() });
        progress
    }

    /// Stops showing a transfer. What it moved is counted where it was `done`, and what was left is no longer pending.
    pub(crate) fn end(&mut self, path: &RelPath, direction: Direction, done: bool) {
        let Some(transfer) = self.in_flight.remove(&(path.clone(), direction)) else { return };
        let (moved, pending) = match direction {
            Direction::Up => (&mut self.status.sent, &mut self.status.pending_up),
            Direction::Down => (&mut self.status.received, &mut self.status.pending_down),
        };
        if done {
            *moved += transfer.size;
        }
        *pending = pending.saturating_sub(transfer.size);
    }

    /// Forgets the transfers of a cycle that was broken off.
    pub(crate) fn clear(&mut self) {
        self.in_flight.clear();
        self.update(|status| {
            status.pending = 0;
            status.pending_up = 0;
            status.pending_down = 0;
        });
    }

    /// Shows the transfers as they stand now.
    pub(crate) fn show(&mut self) {
        self.status.transfers = self
            .in_flight
            .iter()
            .map(|((path, direction), transfer)| Transfer {
                path: path.clone(),
                direction: *direction,
                done: transfer.progress.get().min(transfer.size),
                size: transfer.size,
            })
            .collect();
        self.watched.send_if_modified(|shown| {
            let differs = **shown != self.status;
            if differs {
                *shown = Arc::new(self.status.clone());
            }
            differs
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_progress_and_counts_what_was_done() {
        let (mut board, mut reader) = Board::new();
        let path = RelPath::new("a").unwrap();
        board.update(|status| status.pending_up = 100);
        let progress = board.begin(path.clone(), Direction::Up, 100);
        progress.add(40);
        board.show();
        assert_eq!(reader.borrow_and_update().transfers[0].done, 40);
        board.end(&path, Direction::Up, true);
        board.show();
        let status = reader.borrow_and_update().clone();
        assert_eq!((status.transfers.len(), status.sent, status.pending_up), (0, 100, 0));
        board.show();
        assert!(!reader.has_changed().unwrap());
    }
}
