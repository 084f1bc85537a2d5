//! The board a folder shows its status on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hcfs_model::{RelPath, UnixNanos};
use tokio::sync::watch;

use crate::status::{Direction, FolderStatus, Transfer};

/// Counts the plaintext bytes of one transfer as they move.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    /// How far the file is, with what an earlier try had moved.
    done: Arc<AtomicU64>,
    /// What this try moved.
    moved: Arc<AtomicU64>,
}

impl Progress {
    /// Adds bytes that have moved.
    pub(crate) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
        self.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Says how far the transfer is, where it starts in the middle or starts again.
    pub(crate) fn set(&self, bytes: u64) {
        self.done.store(bytes, Ordering::Relaxed);
    }

    fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
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

    /// Counts a cycle that ended. It is shown with the next update: nobody sees the rest without the cycle that led to it.
    pub(crate) fn count_cycle(&mut self, now: UnixNanos) {
        self.status.last_cycle = Some(now);
        self.status.cycles += 1;
    }

    /// Starts showing a transfer.
    pub(crate) fn begin(&mut self, path: RelPath, direction: Direction, size: u64) -> Progress {
        let progress = Progress::default();
        self.in_flight.insert((path, direction), InFlight { size, progress: progress.clone() });
        progress
    }

    /// Whether a file is in flight.
    pub(crate) fn is_moving(&self, path: &RelPath) -> bool {
        [Direction::Up, Direction::Down].into_iter().any(|way| self.in_flight.contains_key(&(path.clone(), way)))
    }

    /// Stops showing a transfer: what it moved stays counted, and what was left is no longer pending.
    pub(crate) fn end(&mut self, path: &RelPath, direction: Direction) {
        let Some(transfer) = self.in_flight.remove(&(path.clone(), direction)) else { return };
        let (moved, pending) = match direction {
            Direction::Up => (&mut self.status.sent, &mut self.status.pending_up),
            Direction::Down => (&mut self.status.received, &mut self.status.pending_down),
        };
        *moved += transfer.progress.moved();
        *pending = pending.saturating_sub(transfer.size);
    }

    /// Forgets the transfers of a cycle that was broken off, and says which files they were.
    pub(crate) fn clear(&mut self) -> Vec<RelPath> {
        let in_flight = std::mem::take(&mut self.in_flight);
        self.update(|status| {
            status.pending = 0;
            status.pending_up = 0;
            status.pending_down = 0;
        });
        in_flight.into_keys().map(|(path, _)| path).collect()
    }

    /// Shows the transfers as they stand now.
    pub(crate) fn show(&mut self) {
        let mut now = self.status.clone();
        for ((_, direction), transfer) in &self.in_flight {
            let (moved, pending) = match direction {
                Direction::Up => (&mut now.sent, &mut now.pending_up),
                Direction::Down => (&mut now.received, &mut now.pending_down),
            };
            *moved += transfer.progress.moved();
            *pending = pending.saturating_sub(transfer.progress.done());
        }
        now.transfers = self
            .in_flight
            .iter()
            .map(|((path, direction), transfer)| Transfer {
                path: path.clone(),
                direction: *direction,
                done: transfer.progress.done().min(transfer.size),
                size: transfer.size,
            })
            .collect();
        self.watched.send_if_modified(|shown| {
            let differs = **shown != now;
            if differs {
                *shown = Arc::new(now);
            }
            differs
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::FolderState;

    #[test]
    fn shows_progress_and_counts_what_was_done() {
        let (mut board, mut reader) = Board::new();
        let path = RelPath::new("a").unwrap();
        board.update(|status| status.pending_up = 100);
        let progress = board.begin(path.clone(), Direction::Up, 100);
        progress.add(40);
        board.show();
        let status = reader.borrow_and_update().clone();
        assert_eq!((status.transfers[0].done, status.sent, status.pending_up), (40, 40, 60));
        progress.add(60);
        board.end(&path, Direction::Up);
        board.show();
        let status = reader.borrow_and_update().clone();
        assert_eq!((status.transfers.len(), status.sent, status.pending_up), (0, 100, 0));
        // What an earlier try moved is not moved again.
        board.begin(path.clone(), Direction::Up, 50).set(30);
        board.show();
        let status = reader.borrow_and_update().clone();
        assert_eq!((status.transfers[0].done, status.sent), (30, 100));
        board.show();
        assert!(!reader.has_changed().unwrap());
    }

    #[test]
    fn a_cycle_is_counted_in_the_same_picture_as_its_end() {
        let (mut board, mut reader) = Board::new();
        board.count_cycle(UnixNanos(7));
        assert!(!reader.has_changed().unwrap());
        board.update(|status| status.state = FolderState::Idle);
        let status = reader.borrow_and_update().clone();
        assert_eq!((status.state, status.cycles, status.last_cycle), (FolderState::Idle, 1, Some(UnixNanos(7))));
    }
}
