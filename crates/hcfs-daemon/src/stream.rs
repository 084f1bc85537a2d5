//! The daemon's events, kept for those who come a little late.
//!
//! Every event gets an id that only grows, also over restarts of the daemon (as long as the clock does not go back), so
//! that a reader may come back with the last one it saw. A reader that is too slow loses events and is told so; nobody
//! waits for it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use hcfs_api::LogEvent;
use tokio::sync::broadcast;

/// How many events are kept for readers that come back.
const KEPT: usize = 2048;
/// How far behind a connected reader may be.
const BEHIND: usize = 512;

/// An event with its id in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) id: u64,
    pub(crate) event: LogEvent,
}

/// What a connected reader hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Live {
    /// Something happened.
    Event(Numbered),
    /// Something happened, and the stream itself does not know what.
    Lost,
}

/// What a reader starts with.
pub(crate) struct Start {
    /// The id that stands for "everything before the events that follow".
    pub(crate) id: u64,
    /// Whether events between what the reader saw last and the first that follows are gone.
    pub(crate) lost: bool,
    /// Events it has not seen.
    pub(crate) missed: VecDeque<Numbered>,
    /// The events from now on.
    pub(crate) live: broadcast::Receiver<Live>,
}

struct Kept {
    last: u64,
    events: VecDeque<Numbered>,
}

/// The stream.
pub(crate) struct Stream {
    kept: Mutex<Kept>,
    live: broadcast::Sender<Live>,
}

impl Stream {
    /// A stream whose ids start above those of any earlier run: a million for every second since 1970.
    pub(crate) fn new(now_seconds: i64) -> Self {
        let last = u64::try_from(now_seconds).unwrap_or(0).saturating_mul(1_000_000);
        Self { kept: Mutex::new(Kept { last, events: VecDeque::new() }), live: broadcast::channel(BEHIND).0 }
    }

    /// Adds an event.
    pub(crate) fn push(&self, event: LogEvent) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        let numbered = Numbered { id: kept.last, event };
        if kept.events.len() == KEPT {
            kept.events.pop_front();
        }
        kept.events.push_back(numbered.clone());
        // Under the lock, so that readers see ids in order. Nobody listening is no failure.
        let _ = self.live.send(Live::Event(numbered));
    }

    /// Says that events were lost on their way here: to who listens now, and to who comes back from before it.
    pub(crate) fn lose(&self) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.last += 1;
        kept.events.clear();
        let _ = self.live.send(Live::Lost);
    }

    /// Starts reading after the event `since`, or now.
    pub(crate) fn read(&self, since: Option<u64>) -> Start {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.live.subscribe();
        let Some(since) = since else {
            return Start { id: kept.last, lost: false, missed: VecDeque::new(), live };
        };
        let before_first = kept.events.front().map_or(kept.last, |first| first.id - 1);
        if since < before_first || since > kept.last {
            return Start { id: kept.last, lost: true, missed: VecDeque::new(), live };
        }
        let missed = kept.events.iter().filter(|numbered| numbered.id > since).cloned().collect();
        Start { id: since, lost: false, missed, live }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: u64) -> LogEvent {
        LogEvent { folder: "f".into(), id: n, at: 0, kind: "uploaded".into(), path: None, text: String::new() }
    }

    fn ids(start: &Start) -> Vec<u64> {
        start.missed.iter().map(|numbered| numbered.event.id).collect()
    }

    #[test]
    fn a_reader_comes_back_to_where_it_was() {
        let stream = Stream::new(1000);
        let begin = stream.read(None).id;
        assert_eq!(begin, 1_000_000_000);
        for n in 1..=5 {
            stream.push(event(n));
        }
        let again = stream.read(Some(begin + 2));
        assert_eq!((ids(&again), again.lost), (vec![3, 4, 5], false));
        let current = stream.read(Some(begin + 5));
        assert_eq!((ids(&current), current.lost), (vec![], false));
        assert_eq!(ids(&stream.read(Some(begin))), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn live_events_follow_without_gap_or_repetition() {
        let stream = Stream::new(0);
        stream.push(event(1));
        let mut start = stream.read(Some(0));
        stream.push(event(2));
        assert_eq!(ids(&start), [1]);
        assert!(matches!(start.live.try_recv().unwrap(), Live::Event(Numbered { id: 2, .. })));
        assert!(start.live.try_recv().is_err());
    }

    #[test]
    fn who_comes_too_late_or_from_another_run_is_told() {
        let stream = Stream::new(1000);
        let begin = stream.read(None).id;
        for n in 0..KEPT as u64 + 10 {
            stream.push(event(n));
        }
        assert!(stream.read(Some(begin + 9)).lost);
        assert!(!stream.read(Some(begin + 10)).lost);
        assert!(stream.read(Some(5)).lost, "an id of an earlier run");
        assert!(stream.read(Some(begin + 1_000_000)).lost, "an id of the future");
        let mut live = stream.read(None).live;
        stream.lose();
        assert_eq!(live.try_recv().unwrap(), Live::Lost);
        assert!(stream.read(Some(begin + KEPT as u64 + 10)).lost);
    }

    #[test]
    fn a_slow_reader_loses_events_instead_of_slowing_the_stream() {
        let stream = Stream::new(0);
        let mut slow = stream.read(None).live;
        for n in 0..BEHIND as u64 + 7 {
            stream.push(event(n));
        }
        assert!(matches!(slow.try_recv(), Err(broadcast::error::TryRecvError::Lagged(7))));
    }
}
