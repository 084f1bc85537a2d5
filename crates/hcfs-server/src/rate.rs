//! How often somebody may do something: a bucket for each, in a table that does not grow without end.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Buckets of one table. When all are in use, newcomers share one.
const BUCKETS: usize = 65_536;
/// How long after a search for buckets that are full again the next one may be.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);

/// So many at once, and one more each time `every` has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// After how long one more is allowed.
    pub every: Duration,
    /// How many may come at once.
    pub burst: u32,
}

impl Rate {
    /// So many a second, and four seconds' worth at once.
    pub(crate) fn per_second(count: u32) -> Self {
        Self { every: Duration::from_secs(1) / count.max(1), burst: 4 * count }
    }
}

/// The buckets of everybody a [`Rate`] is counted for.
///
/// A bucket is one moment: when it will be full again. One that is full needs no place in the table.
pub(crate) struct Rates<K> {
    rate: Rate,
    table: Mutex<Table<K>>,
}

struct Table<K> {
    full_at: HashMap<Option<K>, Instant>,
    searched: Option<Instant>,
}

impl<K: Eq + Hash> Table<K> {
    /// The key that `key` is counted under: itself, if there is a place for it.
    fn place(&mut self, key: K, now: Instant) -> Option<K> {
        let key = Some(key);
        if self.full_at.len() < BUCKETS || self.full_at.contains_key(&key) {
            return key;
        }
        if self.searched.is_none_or(|searched| now >= searched + SEARCH_INTERVAL) {
            self.searched = Some(now);
            self.full_at.retain(|_, full_at| *full_at > now);
        }
        key.filter(|_| self.full_at.len() < BUCKETS)
    }
}

impl<K: Eq + Hash> Rates<K> {
    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, table: Mutex::new(Table { full_at: HashMap::new(), searched: None }) }
    }

    /// Takes one for `key`.
    ///
    /// # Errors
    /// How long it takes until there is one.
    pub(crate) fn take(&self, key: K, now: Instant) -> Result<(), Duration> {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let key = table.place(key, now);
        let full_at = table.full_at.entry(key).or_insert(now);
        let next = (*full_at).max(now) + self.rate.every;
        let most = now + self.rate.every * self.rate.burst;
        if next > most {
            return Err(next - most);
        }
        *full_at = next;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_again() {
        let rates = Rates::new(Rate { every: Duration::from_secs(6), burst: 3 });
        let start = Instant::now();
        for _ in 0..3 {
            rates.take("a", start).unwrap();
        }
        assert_eq!(rates.take("a", start), Err(Duration::from_secs(6)));
        assert_eq!(rates.take("a", start + Duration::from_secs(5)), Err(Duration::from_secs(1)));
        rates.take("b", start).unwrap();
        rates.take("a", start + Duration::from_secs(6)).unwrap();
        assert_eq!(rates.take("a", start + Duration::from_secs(6)), Err(Duration::from_secs(6)));
        for _ in 0..3 {
            rates.take("a", start + Duration::from_secs(60)).unwrap();
        }
        assert!(rates.take("a", start + Duration::from_secs(60)).is_err(), "a bucket holds no more than the burst");
    }

    #[test]
    fn the_table_is_bounded_and_makes_room() {
        let rates = Rates::new(Rate { every: Duration::from_secs(1), burst: 2 });
        let start = Instant::now();
        for client in 0..BUCKETS {
            rates.take(client, start).unwrap();
        }
        let newcomers = (0..10).filter(|client| rates.take(BUCKETS + client, start).is_ok()).count();
        assert_eq!(newcomers, 2, "they share one bucket");
        rates.take(0, start).unwrap();
        assert_eq!(rates.table.lock().unwrap().full_at.len(), BUCKETS + 1);

        let later = start + Duration::from_secs(5);
        rates.take(BUCKETS, later).unwrap();
        assert_eq!(rates.table.lock().unwrap().full_at.len(), 1, "full buckets are forgotten");
    }
}
