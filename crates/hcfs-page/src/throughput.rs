//! Bytes moved in the last ten minutes, from the counters the status shows.
//!
//! Noted only when the status changes: an idle daemon is not woken.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hcfs_api::{Folder, Status, routes};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::socket::Socket;

/// How long a slot is, in seconds.
pub(crate) const SLOT_SECONDS: u64 = 5;
/// How many slots are kept: ten minutes.
pub(crate) const SLOTS: usize = 120;

/// Bytes that moved within one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Moved {
    pub(crate) up: u64,
    pub(crate) down: u64,
}

#[derive(Default)]
struct Notes {
    /// Slots by their number since the beginning; those in which nothing moved are missing.
    slots: VecDeque<(u64, Moved)>,
    /// The counters of each folder when they were last looked at.
    seen: BTreeMap<String, Moved>,
}

/// What moved in the last ten minutes.
#[derive(Clone)]
pub struct Throughput {
    began: Instant,
    notes: Arc<Mutex<Notes>>,
}

impl Throughput {
    /// Notes what moves from now on, until `stopping` is cancelled. Must be called within a tokio runtime.
    #[must_use]
    pub fn follow(socket: Socket, stopping: CancellationToken) -> Self {
        let throughput = Self::new(Instant::now());
        tokio::spawn(throughput.clone().note_changes(socket, stopping));
        throughput
    }

    fn new(now: Instant) -> Self {
        Self { began: now, notes: Arc::default() }
    }

    fn slot(&self, now: Instant) -> u64 {
        now.duration_since(self.began).as_secs() / SLOT_SECONDS
    }

    /// Notes what moved since the last look. What a folder had moved before the first look is no movement.
    fn note(&self, folders: &[Folder], now: Instant) {
        let slot = self.slot(now);
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut moved = Moved::default();
        let mut seen = BTreeMap::new();
        for folder in folders {
            let total = Moved { up: folder.counts.sent, down: folder.counts.received };
            if let Some(before) = notes.seen.get(&folder.label) {
                // Counters that went back belong to a folder that was started again.
                moved.up += total.up.saturating_sub(before.up);
                moved.down += total.down.saturating_sub(before.down);
            }
            seen.insert(folder.label.clone(), total);
        }
        notes.seen = seen;
        if moved == Moved::default() {
            return;
        }
        match notes.slots.back_mut() {
            Some((last, sum)) if *last == slot => {
                sum.up += moved.up;
                sum.down += moved.down;
            }
            _ => notes.slots.push_back((slot, moved)),
        }
        while notes.slots.front().is_some_and(|(first, _)| first + (SLOTS as u64) <= slot) {
            notes.slots.pop_front();
        }
    }

    /// The last [`SLOTS`] slots, the oldest first.
    pub(crate) fn slots(&self, now: Instant) -> Vec<Moved> {
        let current = self.slot(now);
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slots = vec![Moved::default(); SLOTS];
        for (slot, moved) in &notes.slots {
            let age = usize::try_from(current - slot).unwrap_or(SLOTS);
            if let Some(place) = SLOTS.checked_sub(age + 1).and_then(|at| slots.get_mut(at)) {
                *place = *moved;
            }
        }
        slots
    }

    async fn note_changes(self, socket: Socket, stopping: CancellationToken) {
        let mut changes = socket.changes();
        loop {
            if let Ok(status) = socket.get::<Status>(routes::STATUS).await {
                self.note(&status.folders, Instant::now());
            }
            let next = Instant::now() + Duration::from_secs(1);
            tokio::select! {
                () = stopping.cancelled() => return,
                changed = changes.changed() => if changed.is_err() {
                    return;
                }
            }
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep_until(next) => changes.mark_unchanged(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use hcfs_api::{Counts, FolderMode, FolderState, Rates};

    use super::*;

    fn folder(label: &str, sent: u64, received: u64) -> Folder {
        Folder {
            label: label.into(),
            path: "/".into(),
            mode: FolderMode::Sync,
            state: FolderState::Idle,
            trouble: None,
            counts: Counts { sent, received, ..Counts::default() },
            rates: Rates::default(),
            transfers: Vec::new(),
            last_cycle_at: None,
            cycles: 0,
        }
    }

    #[test]
    fn slots_show_what_moved_in_them_and_are_forgotten() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let throughput = Throughput::new(start);
        throughput.note(&[folder("a", 1000, 0)], at(0));
        throughput.note(&[folder("a", 1010, 1), folder("b", 500, 500)], at(1));
        throughput.note(&[folder("a", 1012, 1), folder("b", 503, 504)], at(4));
        let slots = throughput.slots(at(4));
        assert_eq!(slots.len(), SLOTS);
        assert_eq!(slots[SLOTS - 1], Moved { up: 15, down: 5 });
        assert_eq!(slots[..SLOTS - 1], vec![Moved::default(); SLOTS - 1]);

        throughput.note(&[folder("a", 7, 0), folder("b", 504, 504)], at(12));
        let slots = throughput.slots(at(12));
        assert_eq!((slots[SLOTS - 3], slots[SLOTS - 1]), (Moved { up: 15, down: 5 }, Moved { up: 1, down: 0 }));
        let last = SLOT_SECONDS * SLOTS as u64;
        assert_eq!(throughput.slots(at(last - 1))[0], Moved { up: 15, down: 5 });
        assert_eq!(throughput.slots(at(last))[1], Moved { up: 1, down: 0 });
        assert!(throughput.slots(at(last * 2)).iter().all(|moved| *moved == Moved::default()));
    }
}
