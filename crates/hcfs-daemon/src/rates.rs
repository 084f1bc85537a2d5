//! How fast bytes move, from the counters a folder shows.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use hcfs_api::Rates;

/// Over how long a rate is measured.
const WINDOW: Duration = Duration::from_secs(10);
/// How often a counter is noted at most: the window then holds some 40 notes.
const STEP: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    sent: u64,
    received: u64,
}

/// Notes of two counters that only grow. Rates are computed when they are read, so that an idle folder wakes nobody.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    samples: VecDeque<Sample>,
}

impl Meter {
    /// Notes the counters. A counter that went back belongs to a folder that was started again: notes begin anew.
    pub(crate) fn note(&mut self, at: Instant, sent: u64, received: u64) {
        if let Some(last) = self.samples.back() {
            if sent < last.sent || received < last.received {
                self.samples.clear();
            } else if (sent, received) == (last.sent, last.received) || at.duration_since(last.at) < STEP {
                return;
            }
        }
        self.samples.push_back(Sample { at, sent, received });
        self.forget_before(at);
    }

    /// Bytes a second up and down over the window that ends at `now`, given the counters' values at `now`.
    pub(crate) fn rates(&mut self, now: Instant, sent: u64, received: u64) -> (u64, u64) {
        self.forget_before(now);
        let Some(first) = self.samples.front() else { return (0, 0) };
        let millis = u64::try_from(now.duration_since(first.at).as_millis()).unwrap_or(u64::MAX);
        // Over a shorter time than a step a rate is noise.
        if u128::from(millis) < STEP.as_millis() {
            return (0, 0);
        }
        let per_second = |now: u64, then: u64| now.saturating_sub(then).saturating_mul(1000) / millis;
        (per_second(sent, first.sent), per_second(received, first.received))
    }

    /// Keeps one note at or before the window's start: what moved since then is what the window shows.
    fn forget_before(&mut self, now: Instant) {
        let old = |sample: &Sample| now.duration_since(sample.at) >= WINDOW;
        while self.samples.len() > 1 && self.samples.get(1).is_some_and(old) {
            self.samples.pop_front();
        }
        if self.samples.len() == 1 && self.samples.front().is_some_and(old) {
            // Nothing has changed for a whole window: the rate is nought, and what comes next starts now.
            self.samples.clear();
        }
    }
}

/// Rates with the time they need for what is pending.
pub(crate) fn with_time_left((up, down): (u64, u64), pending_up: u64, pending_down: u64) -> Rates {
    let seconds = |pending: u64, rate: u64| match (pending, rate) {
        (0, _) => Some(0),
        (_, 0) => None,
        (pending, rate) => Some(pending.div_ceil(rate)),
    };
    let seconds_left = match (pending_up, pending_down) {
        (0, 0) => None,
        _ => seconds(pending_up, up).zip(seconds(pending_down, down)).map(|(up, down)| up.max(down)),
    };
    Rates { up, down, seconds_left }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_stream_shows_its_rate_and_then_fades() {
        let start = Instant::now();
        let mut meter = Meter::default();
        for second in 0..=30 {
            meter.note(start + Duration::from_secs(second), second * 1000, second * 10);
        }
        let now = start + Duration::from_secs(30);
        assert_eq!(meter.rates(now, 30_000, 300), (1000, 10));
        let later = now + Duration::from_secs(5);
        let (up, _) = meter.rates(later, 30_000, 300);
        assert!((400..=700).contains(&up), "{up}");
        assert_eq!(meter.rates(now + Duration::from_secs(11), 30_000, 300), (0, 0));
    }

    #[test]
    fn many_notes_take_little_room() {
        let start = Instant::now();
        let mut meter = Meter::default();
        for milli in 0..100_000 {
            meter.note(start + Duration::from_millis(milli), milli, 0);
        }
        assert!(meter.samples.len() <= 42, "{}", meter.samples.len());
    }

    #[test]
    fn a_restarted_folder_starts_anew() {
        let start = Instant::now();
        let mut meter = Meter::default();
        meter.note(start, 1_000_000, 0);
        meter.note(start + Duration::from_secs(1), 0, 0);
        assert_eq!(meter.rates(start + Duration::from_secs(2), 500, 0), (500, 0));
    }

    #[test]
    fn time_left_is_that_of_the_slower_direction() {
        assert_eq!(with_time_left((100, 10), 1000, 1001).seconds_left, Some(101));
        assert_eq!(with_time_left((100, 0), 1000, 0).seconds_left, Some(10));
        assert_eq!(with_time_left((100, 0), 1000, 1).seconds_left, None);
        assert_eq!(with_time_left((100, 100), 0, 0).seconds_left, None);
    }
}
