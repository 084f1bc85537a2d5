//! A shared limit of bytes per second, and a count of bytes moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

/// Bytes granted in one turn. Transfers that share a limit take turns of this size, so none starves the others.
const TURN: u64 = 16 * 1024;
/// How much unused time may be made up for at once.
const BURST: Duration = Duration::from_millis(250);
const SECOND_NANOS: u128 = 1_000_000_000;

/// A limit of bytes per second shared by all clones, changeable while transfers run. Zero is no limit.
#[derive(Clone)]
pub struct RateLimit(Arc<Shared>);

struct Shared {
    rate: watch::Sender<u64>,
    // Held by the transfer whose turn it is, across its wait; tokio's mutex serves the others in order.
    bucket: Mutex<Bucket>,
}

struct Bucket {
    rate: u64,
    /// When all that was granted is paid for at the current rate.
    paid: Instant,
}

impl RateLimit {
    /// A limit of `bytes_per_second`; zero is none.
    pub fn new(bytes_per_second: u64) -> Self {
        let bucket = Bucket { rate: bytes_per_second, paid: Instant::now() };
        Self(Arc::new(Shared { rate: watch::Sender::new(bytes_per_second), bucket: Mutex::new(bucket) }))
    }

    /// No limit, until one is [set](Self::set).
    pub fn unlimited() -> Self {
        Self::new(0)
    }

    /// Changes the limit for all clones, also for those that wait at this moment.
    pub fn set(&self, bytes_per_second: u64) {
        self.0.rate.send_if_modified(|rate| std::mem::replace(rate, bytes_per_second) != bytes_per_second);
    }

    /// The limit in bytes per second, zero for none.
    pub fn get(&self) -> u64 {
        *self.0.rate.borrow()
    }

    /// Waits until `bytes` may be moved.
    pub async fn acquire(&self, bytes: u64) {
        let mut left = bytes;
        let mut changes = self.0.rate.subscribe();
        while left > 0 {
            let turn = left.min(TURN);
            let mut bucket = self.0.bucket.lock().await;
            loop {
                let rate = *changes.borrow_and_update();
                if rate == 0 {
                    return;
                }
                let due = bucket.due(rate);
                if due <= Instant::now() {
                    bucket.charge(turn);
                    break;
                }
                tokio::select! {
                    () = tokio::time::sleep_until(due) => {}
                    _ = changes.changed() => {}
                }
            }
            left -= turn;
        }
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::unlimited()
    }
}

impl Bucket {
    /// When the next turn may begin. A debt made at another rate is forgiven: it could be hours of the new one.
    fn due(&mut self, rate: u64) -> Instant {
        if self.rate != rate {
            self.rate = rate;
            self.paid = Instant::now();
        }
        self.paid
    }

    fn charge(&mut self, bytes: u64) {
        let nanos = u128::from(bytes) * SECOND_NANOS / u128::from(self.rate.max(1));
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let now = Instant::now();
        let start = now.checked_sub(BURST).map_or(self.paid, |earliest| self.paid.max(earliest));
        self.paid = start.checked_add(cost).unwrap_or(now);
    }
}

/// Counts bytes that moved through the connection, those of repeated attempts included. Clones share one count.
#[derive(Clone, Default, Debug)]
pub struct Meter(Arc<AtomicU64>);

impl Meter {
    /// A count that starts at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
